// Sortable tables and filters.

// Numbers by value, text by the reader's own alphabet, missing values last in both directions.
function compareCells(a, b, isNumber) {
  if (a === null || b === null) return null;
  return isNumber ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true });
}

function sortBy(table, column, descending) {
  const heads = table.tHead.rows[0].cells;
  const isNumber = heads[column].classList.contains("number");
  const key = (row) => row.cells[column].getAttribute("data-sort");
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => {
    const order = compareCells(key(a), key(b), isNumber);
    if (order === null) return (key(a) === null) - (key(b) === null);
    return descending ? -order : order;
  });
  table.tBodies[0].append(...rows);
  Array.from(heads).forEach((head, index) => {
    const state = index === column ? (descending ? "descending" : "ascending") : "none";
    head.setAttribute("aria-sort", state);
  });
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    // A button is reached by the keyboard and answers Enter and Space by itself.
    head.querySelector("button").addEventListener("click", () => {
      sortBy(table, column, head.getAttribute("aria-sort") === "ascending");
    });
  });
}

for (const input of document.querySelectorAll("input[data-filter]")) {
  const rows = input.closest(".table").querySelectorAll("tbody tr");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
