// Everything about one model: its facts, its ranks, and the conditions under which it is weakest.

const FIRST_CONDITIONS = 12;

// The chosen model, or the first of the leaderboard.
function modelIn(board, chosen) {
  const found = board.models.findIndex((model) => model.id === chosen.get("model"));
  if (found >= 0) return found;
  const order = board.measures.findIndex((measure) => measure.id === board.first_order);
  const ranks = board.rank[order].map((rank) => rank ?? Infinity);
  return ranks.indexOf(Math.min(...ranks));
}

function modelSelect(section, id, board) {
  const select = section.querySelector(id);
  modelOptions(select, board);
  select.addEventListener("change", () => choose({ model: select.value }));
  return select;
}

function modelFacts(board, number) {
  const model = board.models[number];
  const facts = [["Family", model.family], ["Size", model.size], ["Patch", model.patch_size && `${model.patch_size} px`],
    ["Pre-training", model.pretraining], ["Name in the study", model.id]];
  board.measures.forEach((measure, place) => {
    const reason = board.reason[place][number];
    if (measure.is_cost) facts.push([measure.label, reason || board.text[place][number]]);
  });
  return facts.filter(([, value]) => value)
    .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}

function measureRows(board, number) {
  return board.measures.map((measure, place) => [measure, place])
    .filter(([measure]) => !measure.is_cost)
    .map(([measure, place]) => [
      measure.head,
      withInterval(board.text[place][number], board.interval[place][number]),
      board.rank_text[place][number] || board.reason[place][number] || "–",
    ]);
}

// Conditions of a model, those with the smallest share of the clean accuracy first.
function weakest(data, number, model) {
  const rows = data.conditions.map((condition, place) => ({
    ...condition,
    accuracy: data.accuracy[place][number],
    low: data.low[place][number],
    high: data.high[place][number],
    clean: data.clean[place][number],
    num_images: data.num_images[place][number],
  })).filter((row) => row.accuracy !== null && !isOwn(row, model));
  const kept = (row) => (row.clean ? row.accuracy / row.clean : Infinity);
  // Where there is no clean accuracy of the same images, nothing says how much is kept.
  return rows.filter((row) => row.perturbation !== "none" || row.clean === null)
    .sort((one, other) => kept(one) - kept(other) || one.accuracy - other.accuracy || 0);
}

// Transfer to the model whose examples they are is the attack itself.
function isOwn(row, model) {
  return row.perturbation === "transfer" && row.condition === model.id;
}

// The conditions of transfer are the models whose examples they are.
function conditionName(row) {
  const label = row.perturbation === "transfer" ? "PGD examples of " + row.condition_label : row.condition_label;
  return [label, row.severity_label].filter(Boolean).join(", ");
}

function whereOf(row, names) {
  const { datasets, experiments } = names;
  return `${experiments[row.experiment] ?? row.perturbation}, ${datasets[row.dataset] ?? row.dataset}`;
}

function weakestTable(data, number, model, count, names) {
  const rows = weakest(data, number, model);
  const shown = rows.slice(0, count).map((row) => [
    [conditionName(row), make("span", { class: "quiet" }, whereOf(row, names))],
    withInterval(percent(row.accuracy, data.parts), percentInterval(row.low, row.high, data.parts)),
    percent(row.clean, data.parts),
    row.clean ? Math.round((100 * row.accuracy) / row.clean) + " %" : "–",
    String(row.num_images),
  ]);
  const caption = `Conditions of ${model.name}, the weakest first: accuracy (%), and the share of the accuracy on the same images unchanged that is kept.`;
  return [rows.length, plainTable(caption, ["Condition", "Accuracy (%)", "Unchanged (%)", "Kept", "Images"], shown)];
}

async function showModel(section) {
  const [board, names] = await Promise.all([unpack("board"), unpack("names")]);
  const data = document.getElementById("packed-conditions") ? await unpack("conditions") : null;
  const select = modelSelect(section, "#model-select", board);
  let count = FIRST_CONDITIONS;
  const all = section.querySelector("#model-all");
  const showConditions = (number) => {
    if (!data) return;
    const [total, table] = weakestTable(data, number, board.models[number], count, names);
    section.querySelector("#model-conditions").replaceChildren(table);
    all.hidden = total <= FIRST_CONDITIONS;
    all.textContent = count === Infinity ? `Show the ${FIRST_CONDITIONS} weakest alone` : `Show all ${total} conditions`;
    all.setAttribute("aria-expanded", String(count === Infinity));
  };
  all?.addEventListener("click", () => {
    count = count === Infinity ? FIRST_CONDITIONS : Infinity;
    showConditions(modelIn(board, choices));
  });
  let last = null;
  await follow((chosen) => {
    const number = modelIn(board, chosen);
    if (number === last) return null;
    last = number;
    const model = board.models[number];
    select.value = model.id;
    section.querySelector("#model-name").textContent = model.name;
    section.querySelector("#model-facts").replaceChildren(...modelFacts(board, number));
    section.querySelector("#model-measures").replaceChildren(
      plainTable(`Measures of ${model.name}, with 95 % intervals and ranks.`, ["Measure", "Value", "Rank"], measureRows(board, number)));
    showConditions(number);
    return showWorst(section, model);
  });
}

whenNear("model", showModel);
