// Two measures against each other, and the models that no other model beats in all that is chosen.

const AXES = ["across", "up", "cost"];
// Width of an entry of the legend, in px.
const LEGEND_ENTRY = 120;

function defaultAxes(board) {
  const ranked = board.measures.filter((measure) => measure.is_ranked && hasBetterSide(measure));
  const sided = board.measures.filter(hasBetterSide);
  const up = ranked.find((measure) => measure.id === board.first_order) ?? sided[0];
  const across = ranked.find((measure) => measure !== up) ?? sided[0];
  const cost = board.measures.find((measure) => measure.is_cost && hasBetterSide(measure));
  return { across: across.id, up: up.id, cost: cost?.id ?? "none" };
}

function axesIn(board, chosen) {
  const defaults = defaultAxes(board);
  return AXES.map((axis) => {
    const measures = board.measures.filter(hasBetterSide);
    const found = measures.find((measure) => measure.id === chosen.get(axis));
    if (found) return found;
    if (axis === "cost" && chosen.get(axis) === "none") return null;
    return measures.find((measure) => measure.id === defaults[axis]) ?? null;
  });
}

function axisValues(board, measure, model, axis) {
  const place = board.measures.indexOf(measure);
  const scale = measure.unit === "fraction" ? 100 : 1;
  const times = (value) => (value === null ? null : scale * value);
  return {
    [axis]: times(board.value[place][model]),
    [axis + "_low"]: times(board.low[place][model]),
    [axis + "_high"]: times(board.high[place][model]),
    [axis + "_text"]: axisText(board, place, model),
  };
}

function costValue(board, measure, model) {
  if (!measure) return { cost: null, cost_text: "not chosen" };
  const place = board.measures.indexOf(measure);
  return { cost: board.value[place][model], cost_text: axisText(board, place, model) };
}

function axisText(board, place, model) {
  const interval = board.interval[place][model];
  return `${board.measures[place].head}: ${board.text[place][model]}${interval ? ` [${interval}]` : ""}`;
}

// The layers that draw some of the models only, by name.
const isDrawn = {
  across: (row) => row.x_low !== null,
  up: (row) => row.y_low !== null,
  front: (row) => row.is_front && row.cost === null,
  chosen: (row) => row.is_chosen,
  marks: () => true,
};

function choosingSpec(spec, axes, rows, columns) {
  const drawn = structuredClone(spec);
  drawn.datasets = { ...drawn.datasets, models: rows };
  for (const layer of drawn.layer) {
    axes.slice(0, 2).forEach((measure, place) => {
      const encoding = layer.encoding["xy"[place]];
      encoding.title = axisTitle(measure);
      encoding.scale = measure.is_cost ? { type: "log" } : { zero: false };
      encoding.axis = { tickCount: 6, ...(measure.is_cost ? { format: "~s" } : {}) };
    });
    if (!axes[2] && layer.encoding.size) layer.encoding.size = { value: 130 };
    for (const channel of ["color", "shape"]) {
      if (layer.encoding[channel]?.legend) layer.encoding[channel].legend.columns = columns;
    }
  }
  // The library warns of layers without values.
  drawn.layer = drawn.layer.filter((layer) => rows.some(isDrawn[layer.name] ?? ((row) => row.side === layer.name)));
  return drawn;
}

function axisTitle(measure) {
  return `${measure.head}, ${measure.is_axis_better_high ? "more" : "less"} is better`;
}

async function showChoosing(section) {
  const [board, spec] = await Promise.all([unpack("board"), unpack("spec-choosing")]);
  const sided = board.measures.filter(hasBetterSide).map((measure) => [measure.id, measure.label]);
  for (const axis of AXES) {
    const select = section.querySelector("#choosing-" + axis);
    options(select, axis === "cost" ? [["none", "none"], ...sided] : sided);
    select.addEventListener("change", () => choose({ [axis]: select.value }));
  }
  let last = "";
  await follow(async (chosen) => {
    const axes = axesIn(board, chosen);
    const shown = JSON.stringify([axes.map((measure) => measure?.id), chosen.get("model")]);
    if (shown === last) return;
    last = shown;
    AXES.forEach((axis, place) => {
      section.querySelector("#choosing-" + axis).value = axes[place]?.id ?? "none";
    });
    const rows = choosingRows(board, axes, chosen);
    section.querySelector("#choosing-front").textContent = frontSentence(axes, rows, board);
    const place = section.querySelector("#choosing-chart");
    const { view } = await embedChosen(place, "choosing", choosingSpec(spec, axes, rows, Math.max(1, Math.floor(place.clientWidth / LEGEND_ENTRY))));
    place.setAttribute("data-drawn", shown);
    view.addEventListener("click", (event, item) => {
      if (item?.datum?.id) choose({ model: item.datum.id });
    });
  });
}

function frontSentence(axes, rows, board) {
  const front = rows.filter((row) => row.is_front).map((row) => row.name);
  const names = axes.filter(Boolean).map((measure) => measure.label);
  const without = board.models.length - rows.length;
  return `On the Pareto front of ${names.join(", ")}: ${front.join("; ")}.` +
    (without === 1 ? " 1 model lacks a value and is not drawn." : "") +
    (without > 1 ? ` ${without} models lack a value and are not drawn.` : "");
}

whenNear("choosing", showChoosing);
