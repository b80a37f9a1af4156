// Filters, columns and weights of the leaderboard.

function showFilters(section, board) {
  const find = section.querySelector("#board-find");
  find.addEventListener("input", () => choose({ find: find.value }, true));
  for (const facet of FACETS) {
    const select = section.querySelector("#board-" + facet);
    const values = [...new Set(board.models.map((model) => model[facet]))].filter(Boolean);
    select.closest("label").hidden = values.length < 2;
    options(select, values.map((value) => [value, value]), "all");
    select.addEventListener("change", () => choose({ [facet]: select.value }));
  }
  const columns = section.querySelector("#board-columns");
  columns.append(...board.measures.map((measure) =>
    make("label", {}, make("input", { type: "checkbox", value: measure.id }), " " + measure.label)));
  columns.addEventListener("change", () => {
    const hidden = [...columns.querySelectorAll("input:not(:checked)")].map((box) => box.value);
    choose({ hide: hidden.join(" ") });
  });
  section.querySelector("#board-reset").addEventListener("click", () => {
    choose({ find: "", family: "", pretraining: "", size: "", hide: "", weights: "", sort: "" });
  });
  follow((chosen) => {
    if (document.activeElement !== find) find.value = chosen.get("find") ?? "";
    for (const facet of FACETS) section.querySelector("#board-" + facet).value = chosen.get(facet) ?? "";
    const hidden = hiddenMeasures(chosen);
    for (const box of columns.querySelectorAll("input")) box.checked = !hidden.has(box.value);
  });
}

// The score: a weighted mean of measures, each scaled to 0-1 over the models.

let scores = [];
let weights = new Map();

function hasWeights() {
  return weights.size > 0;
}

// Weights in the link: a measure and a number each, such as "clean:1 corruptions:2".
function weightsIn(board, chosen) {
  const known = new Map(board.measures.filter(hasBetterSide).map((measure) => [measure.id, measure]));
  const found = new Map();
  for (const part of (chosen.get("weights") ?? "").split(" ")) {
    const at = part.lastIndexOf(":");
    const weight = Number(part.slice(at + 1));
    if (known.has(part.slice(0, at)) && weight > 0 && Number.isFinite(weight)) found.set(part.slice(0, at), weight);
  }
  return found;
}

function hasBetterSide(measure) {
  return measure.is_known && measure.is_axis_better_high !== null;
}

// Each value in 0-1, 1 for the best model; null where there is no value.
function scaled(values, isBetterHigh) {
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return values.map((value) => {
    if (value === null) return null;
    if (high === low) return 1;
    const share = (value - low) / (high - low);
    return isBetterHigh ? share : 1 - share;
  });
}

// A model without a value of a counted measure has no score.
function setWeights(board, chosen) {
  weights = weightsIn(board, chosen);
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  scores = board.models.map(() => (total ? 0 : null));
  board.measures.forEach((measure, place) => {
    const weight = weights.get(measure.id);
    if (!weight) return;
    const shares = scaled(board.value[place], measure.is_axis_better_high);
    scores = scores.map((score, model) =>
      score === null || shares[model] === null ? null : score + (weight / total) * shares[model]);
  });
}

function scoreCell(model, type) {
  const score = scores[model.number] ?? null;
  if (type !== "display") return score;
  return make("span", {}, score === null ? "–" : score.toFixed(3));
}

function showWeights(section, board) {
  const place = section.querySelector("#board-weights");
  place.append(...board.measures.filter(hasBetterSide).map((measure) =>
    make("label", {}, measure.label + " ",
      make("input", { type: "number", min: "0", max: "100", step: "any", value: "0", "data-weight": measure.id }))));
  const inputs = [...place.querySelectorAll("input")];
  place.addEventListener("input", () => {
    const counted = inputs.filter((input) => Number(input.value) > 0);
    choose({ weights: counted.map((input) => `${input.dataset.weight}:${Number(input.value)}`).join(" "), sort: "" }, true);
  });
  follow((chosen) => {
    const known = weightsIn(board, chosen);
    for (const input of inputs) {
      if (document.activeElement !== input) input.value = known.get(input.dataset.weight) ?? 0;
    }
  });
}

whenNear("leaderboard", showLeaderboard);
