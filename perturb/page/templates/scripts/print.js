// Printing cannot wait: charts, unfolded tables and pictures are made before, while the browser is
// idle.

function idle() {
  return new Promise((resolve) => {
    // Safari has no idle callbacks.
    if (window.requestIdleCallback) requestIdleCallback(resolve, { timeout: 1000 });
    else setTimeout(resolve, 50);
  });
}

function unfoldedTables() {
  return Array.from(document.querySelectorAll("details[data-table][open]"));
}

// Pictures that are read when they come near: paper has no such moment.
function readPictures() {
  return Array.from(document.images, (image) => {
    image.loading = "eager";
    // One that cannot be read stands on paper as its words, and stops no other.
    return image.decode().catch(() => undefined);
  });
}

async function makeOthers() {
  for (const place of places) {
    await idle();
    await drawn(place);
  }
  for (const details of unfoldedTables()) {
    await idle();
    await made(details);
  }
  await idle();
  await Promise.all(readPictures());
}
if (document.readyState === "complete") makeOthers();
else window.addEventListener("load", makeOthers);

document.getElementById("print").addEventListener("click", async () => {
  await Promise.all([
    ...places.map(drawn),
    ...unfoldedTables().map(made),
    ...readPictures(),
    madeSections(),
  ]);
  window.print();
});

// On paper a table has all its rows.
function turnPages(length) {
  for (const [details, table] of madeTables) {
    if (details.open && table.page.info().recordsTotal > ROWS_OF_A_PAGE) table.page.len(length).draw();
  }
}
window.addEventListener("beforeprint", () => turnPages(-1));
window.addEventListener("afterprint", () => turnPages(ROWS_OF_A_PAGE));
