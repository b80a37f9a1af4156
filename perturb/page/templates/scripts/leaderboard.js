// The leaderboard: order, filters and columns of a table of models.

const FACETS = ["family", "pretraining", "size"];
// What "Find" searches.
const SEARCHED = ["name", "id", "architecture", ...FACETS];
// Choices that change the rows or their cells.
const REDRAWN = ["sort", "weights", "hide", "find", ...FACETS];

// Missing values come last in both directions.
function orderOf(direction) {
  return (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return direction * (a - b);
  };
}

function isShown(model, chosen) {
  const text = SEARCHED.map((key) => model[key]).join(" ").toLowerCase();
  const words = (chosen.get("find") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const isOf = (facet) => !chosen.get(facet) || model[facet] === chosen.get(facet);
  return words.every((word) => text.includes(word)) && FACETS.every(isOf);
}

function hiddenMeasures(chosen) {
  return new Set((chosen.get("hide") ?? "").split(" ").filter(Boolean));
}

function boardColumns(board) {
  const cell = (place) => (data, type, model) => {
    if (type !== "display") return board.value[place][model.number];
    return boardCell(board, place, model.number);
  };
  return [
    { name: "model", data: "name", cellType: "th", render: (name, type, model) => type === "display" ? modelLink(model) : name },
    { name: "score", data: null, type: "value", className: "number", orderSequence: ["desc", "asc"], render: (data, type, model) => scoreCell(model, type) },
    ...board.measures.map((measure, place) => ({
      name: measure.id, data: null, type: "value", className: "number", render: cell(place),
      orderSequence: measure.is_axis_better_high === false ? ["asc", "desc"] : ["desc", "asc"],
    })),
  ];
}

function boardCell(board, place, model) {
  const rank = board.rank_text[place][model];
  const [text, interval] = withInterval(board.text[place][model], board.interval[place][model]);
  const reason = board.reason[place][model];
  return make("span", { class: "value", title: reason || null },
    make("span", {}, text, interval),
    rank ? make("span", { class: "rank" }, "rank " + rank) : "");
}

// The heads are made here, because the library would read texts as HTML.
function boardTable(board) {
  const heads = [["model", "Model"], ["score", "Score"]];
  for (const measure of board.measures) heads.push([measure.id, measure.head]);
  const head = ([id, text], place) =>
    make("th", { scope: "col", class: place ? "number" : null, "data-measure": id }, text);
  return make("table", { id: "leaderboard-table" },
    make("caption", { class: "unseen" }, document.getElementById("leaderboard-caption").content.textContent),
    make("thead", {}, make("tr", {}, ...heads.map(head))));
}

async function showLeaderboard(section) {
  const [{ default: DataTable }, board] = await Promise.all([library("datatables"), unpack("board")]);
  const element = boardTable(board);
  section.querySelector("#leaderboard-rows").replaceChildren(element);
  DataTable.ext.type.order["value-asc"] = orderOf(1);
  DataTable.ext.type.order["value-desc"] = orderOf(-1);
  const table = new DataTable(element, {
    data: board.models.map((model, number) => ({ ...model, number })),
    columns: boardColumns(board),
        paging: false, info: false, searching: true, layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
    autoWidth: false, order: [],
    createdRow: (row, model) => {
      row.setAttribute("data-row", model.id);
      row.cells[0].setAttribute("scope", "row");
    },
  });
  table.search.fixed("choices", (text, model) => isShown(model, choices));
  showFilters(section, board);
  showWeights(section, board);
  rememberOrder(table, board);
  clickBySpace(element);
  let last = null;
  follow((chosen) => {
    const asked = JSON.stringify(REDRAWN.map((key) => chosen.get(key)));
    // Rows that are drawn anew lose the focus.
    if (asked !== last) drawRows(table, board, chosen);
    last = asked;
    showChosen(section, table, board, chosen);
  });
}

function drawRows(table, board, chosen) {
  const hidden = hiddenMeasures(chosen);
  setWeights(board, chosen);
  table.columns().every(function () {
    const name = this.name();
    const isWanted = name === "score" ? hasWeights() : !hidden.has(name);
    if (this.visible() !== isWanted) this.visible(isWanted, false);
  });
  const [name, direction] = orderIn(board, chosen);
  table.rows().invalidate("data");
  table.order([table.column(name + ":name").index(), direction]).draw();
}

function showChosen(section, table, board, chosen) {
  for (const row of section.querySelectorAll("[data-row]")) {
    if (row.dataset.row === chosen.get("model")) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
  const count = table.rows({ search: "applied" }).count();
  const model = board.models.find((model) => model.id === chosen.get("model"));
  section.querySelector("#leaderboard-chosen").hidden = !model;
  section.querySelector("#leaderboard-model").textContent = model?.name ?? "";
  section.querySelector("#leaderboard-count").textContent = `${count} of ${board.models.length} models are shown.`;
}

function orderIn(board, chosen) {
  const [name, direction] = (chosen.get("sort") ?? "").split(" ");
  const names = ["model", "score", ...board.measures.map((measure) => measure.id)];
  if (names.includes(name)) return [name, direction === "asc" ? "asc" : "desc"];
  if (hasWeights()) return ["score", "desc"];
  const first = board.measures.find((measure) => measure.id === board.first_order);
  return [first.id, first.is_better_high === false ? "asc" : "desc"];
}

// The order by a click on a head goes into the link.
function rememberOrder(table, board) {
  table.on("order.dt", () => {
    const [[column, direction]] = table.order().length ? table.order() : [[0, "asc"]];
    const order = [table.column(column).name(), direction];
    if (order.join() !== orderIn(board, choices).join()) choose({ sort: order.join(" ") });
  });
}
