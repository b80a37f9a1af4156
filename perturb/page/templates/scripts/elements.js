// Small parts of which the models' sections are made. Text is always set as text.

// An element with attributes and children: elements, or texts.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function options(select, entries, first = null) {
  const all = first === null ? entries : [["", first], ...entries];
  select.replaceChildren(...all.map(([value, text]) => make("option", { value }, text)));
}

function modelOptions(select, board) {
  options(select, board.models.map((model) => [model.id, model.name]));
}

// A value with its interval, small beside it.
function withInterval(text, interval) {
  const beside = interval ? make("span", { class: "interval" }, " [" + interval + "]") : "";
  return [text, beside];
}

function modelLink(model) {
  const href = "#" + new URLSearchParams({ model: model.id });
  return make("a", { href, "data-model": model.id }, model.name);
}

// A table of rows of cells; a cell is a text, an element, or a list of these.
function plainTable(caption, heads, rows) {
  const row = (tag, cells) =>
    make("tr", {}, ...cells.map((cell, place) => {
      const attributes = place === 0 || tag === "th" ? { scope: tag === "th" ? "col" : "row" } : {};
      if (place > 0) attributes.class = "number";
      return make(place === 0 ? "th" : tag, attributes, ...[cell].flat());
    }));
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption });
  scroll.append(
    make("table", {},
      make("caption", {}, caption),
      make("thead", {}, row("th", heads)),
      make("tbody", {}, ...rows.map((cells) => row("td", cells)))),
  );
  return make("div", { class: "rows" }, scroll);
}

// Numbers are packed as whole parts of one.
function percent(part, parts) {
  return part === null ? "–" : ((100 * part) / parts).toFixed(1).replace("-", "−");
}

function points(part, parts) {
  if (part === null) return "–";
  const text = percent(part, parts);
  return part > 0 && text !== "0.0" ? "+" + text : text === "−0.0" ? "0.0" : text;
}

function percentInterval(low, high, parts) {
  return low === null || high === null ? "" : percent(low, parts) + ", " + percent(high, parts);
}

// The picture of all tiles is packed once, and shown in part by each tile.
const sprites = new Map();

function sprite(id) {
  if (!sprites.has(id)) sprites.set(id, textOf("sprite-" + id).then((uri) => addSprite(id, uri)));
  return sprites.get(id);
}

function addSprite(id, uri) {
  document.head.append(make("style", {}, `.tile-${id} { background-image: url("${uri}") }`));
}

// One tile of a sprite at least 64 px wide; small images are scaled by whole numbers.
function tile(id, facts, number, label) {
  const scale = Math.max(1, Math.ceil(64 / facts.tile));
  const side = scale * facts.tile;
  const [column, row] = [number % facts.columns, Math.floor(number / facts.columns)];
  const picture = make("span", { class: `tile tile-${id}`, role: "img", "aria-label": label });
  Object.assign(picture.style, {
    width: side + "px",
    height: side + "px",
    backgroundSize: facts.columns * side + "px auto",
    backgroundPosition: `${-column * side}px ${-row * side}px`,
  });
  return picture;
}
