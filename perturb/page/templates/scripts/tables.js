// Tables, made by DataTables when they are unfolded and about to be seen.

const ROWS_OF_A_PAGE = 200;
// Below, a list of columns to hide is of no use.
const MANY_COLUMNS = 5;

function textOfCell(cell) {
  return Array.isArray(cell) ? cell[0] : cell;
}

function keyOfCell(cell) {
  return Array.isArray(cell) ? cell[1] : cell;
}

// A cell as elements: DataTables would read a text as HTML.
function shownCell(cell) {
  const shown = document.createElement("span");
  shown.textContent = textOfCell(cell);
  if (Array.isArray(cell) && cell.length > 2) {
    const interval = document.createElement("span");
    interval.className = "interval";
    interval.textContent = "[" + cell[2] + "]";
    shown.append(" ", interval);
  }
  return shown;
}

// Numbers by value, text by the reader's own alphabet, missing values last in both directions.
function comparison(sign, isNumber) {
  return (a, b) => {
    const order = (a === null) - (b === null);
    if (order || a === null) return order;
    return sign * (isNumber ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  };
}

function declareOrders(DataTable) {
  for (const [name, isNumber] of [["value", true], ["words", false]]) {
    DataTable.ext.type.order[name + "-asc"] = comparison(1, isNumber);
    DataTable.ext.type.order[name + "-desc"] = comparison(-1, isNumber);
  }
}

function columnOf(header, index, escaped) {
  return {
    data: index,
    type: header.isNumber ? "value" : "words",
    className: header.isNumber ? "number" : "",
    cellType: index === 0 ? "th" : "td",
    createdCell: (cell) => index === 0 && cell.setAttribute("scope", "row"),
    orderSequence: ["asc", "desc"],
    render: (cell, type) => {
      if (type === "display") return shownCell(cell);
      // Where a text has an ampersand, DataTables reads it as HTML before it searches.
      return type === "filter" ? escaped(textOfCell(cell)) : keyOfCell(cell);
    },
  };
}

function head(headers) {
  const row = document.createElement("tr");
  for (const header of headers) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.title = header.description;
    cell.textContent = header.label;
    row.append(cell);
  }
  const made = document.createElement("thead");
  made.append(row);
  return made;
}

function emptyTable(title, headers) {
  const table = document.createElement("table");
  const caption = document.createElement("caption");
  caption.className = "unseen";
  caption.textContent = title;
  table.append(caption, head(headers));
  return table;
}

function layoutOf(content, escaped) {
  const labels = content.headers.map((header) => escaped(header.label));
  const choice = {
    extend: "colvis",
    text: "Columns",
    fade: 0,
    columns: ":gt(0)",
    columnText: (_, index) => labels[index],
  };
  const isLong = content.rows.length > ROWS_OF_A_PAGE;
  return {
    topStart: labels.length > MANY_COLUMNS ? { buttons: [choice] } : null,
    topEnd: "search",
    bottomStart: isLong ? "info" : null,
    bottomEnd: isLong ? "paging" : null,
  };
}

const madeTables = new Map();
const makings = new Map();

// Make a table once.
function made(details) {
  if (!makings.has(details)) makings.set(details, makeTable(details));
  return makings.get(details);
}

async function makeTable(details) {
  const DataTable = (await library("datatables")).default;
  declareOrders(DataTable);
  const content = await unpack("table-" + details.dataset.table);
  const escaped = DataTable.render.text().display;
  const { title } = details.dataset;
  const table = emptyTable(title, content.headers);
  table.setAttribute("aria-describedby", details.id + "-caption");
  details.querySelector(".rows").append(table);
  const shown = new DataTable(table, {
    data: content.rows,
    columns: content.headers.map((header, index) => columnOf(header, index, escaped)),
    autoWidth: false,
    order: [],
    paging: content.rows.length > ROWS_OF_A_PAGE,
    pageLength: ROWS_OF_A_PAGE,
    layout: layoutOf(content, escaped),
    language: { search: "Filter", info: "Rows _START_ to _END_ of _TOTAL_", infoEmpty: "No row" },
  });
  scrollAlone(table, title);
  madeTables.set(details, shown);
  details.setAttribute("data-made", "");
}

// The table scrolls, not the page.
function scrollAlone(table, title) {
  const place = table.closest(".dt-layout-cell");
  place.classList.add("scroll");
  for (const [name, value] of [["tabindex", 0], ["role", "group"], ["aria-label", title]]) {
    place.setAttribute(name, value);
  }
  clickBySpace(table);
}

// Heads that order the rows answer the space bar as buttons do.
function clickBySpace(table) {
  table.tHead.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.getAttribute("role") !== "button") return;
    event.preventDefault();
    event.target.click();
  });
}

const unfolded = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting || !target.open) continue;
      unfolded.unobserve(target);
      made(target).catch((error) => console.error(error));
    }
  },
  { rootMargin: "600px 0px" },
);
for (const details of document.querySelectorAll("details[data-table]")) {
  if (details.open) unfolded.observe(details);
  details.addEventListener("toggle", () => {
    if (details.open && !details.hasAttribute("data-made")) unfolded.observe(details);
  });
}
