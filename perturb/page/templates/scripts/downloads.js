// Files that the reader saves: charts as they are on paper, tables with all their columns.

// Charts whose data the reader chooses, by the name of their files, as they are shown.
const chosenCharts = new Map();
// In px.
const SAVED_WIDTH = 720;

async function embedChosen(place, id, spec) {
  chosenCharts.set(id, { ...spec, width: SAVED_WIDTH, background: "white" });
  return embed(place, spec);
}

async function chartFile(id, kind) {
  const spec = chosenCharts.get(id) ?? (await unpack("chart-" + id));
  const { view } = await embed(document.createElement("div"), spec);
  try {
    if (kind === "svg") return new Blob([await view.toSVG()], { type: "image/svg+xml" });
    const canvas = await view.toCanvas(2);
    return await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  } finally {
    view.finalize();
  }
}

async function tableFile(id, kind) {
  const content = await unpack("table-" + id);
  const [text, type] =
    kind === "csv" ? [content.csv, "text/csv"] : [content.latex, "application/x-tex"];
  return new Blob([text], { type: type + ";charset=utf-8" });
}

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-save]");
  if (button === null) return;
  const { save: kind, of: id } = button.dataset;
  const file = kind === "svg" || kind === "png" ? chartFile : tableFile;
  save(id + "." + kind, await file(id, kind));
});
