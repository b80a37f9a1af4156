// What the models see: the same few images under every condition, and a model's accuracy there.

// On a phone the second experiment is many screens long.
const OPEN_GALLERIES = matchMedia("(min-width: 40rem)").matches ? 2 : 1;
const conditionKey = (row) => [row.dataset, row.perturbation, row.condition, row.severity].join("|");

// The conditions of the gallery with their labels and their place in the table of accuracies.
// Several pictures may be of one condition, such as some of many random transforms.
function galleryConditions(facts, data) {
  const places = new Map(data?.conditions.map((row, place) => [conditionKey(row), place]));
  const count = new Map();
  for (const row of facts.conditions) count.set(conditionKey(row), (count.get(conditionKey(row)) ?? 0) + 1);
  return facts.conditions.map((row, number) => {
    const place = places.get(conditionKey(row)) ?? null;
    const found = place === null ? null : data.conditions[place];
    const isShared = count.get(conditionKey(row)) > 1;
    const isNamed = found && !isShared && row.perturbation !== "none";
    return {
      ...row, number, place,
      label: isNamed ? found.condition_label : row.label,
      severity_label: found?.severity_label ?? row.severity_label,
      of: isShared && found ? found.condition_label + ": " : "",
    };
  });
}

// Conditions by experiment, and in it by their label: a row of severities each.
function galleryRows(conditions) {
  const experiments = new Map();
  for (const condition of conditions) {
    const rows = experiments.get(condition.experiment) ?? new Map();
    experiments.set(condition.experiment, rows);
    rows.set(condition.label, [...(rows.get(condition.label) ?? []), condition]);
  }
  return experiments;
}

function galleryCell(facts, condition) {
  const name = [condition.label, condition.severity_label].filter(Boolean).join(", ");
  const images = facts.images?.[condition.dataset] ?? Array.from({ length: facts.num_images }, () => ({}));
  const tiles = images.map((image, place) =>
    tile("gallery", facts, condition.number * facts.num_images + place, `${image.class ?? "Image " + (place + 1)}: ${name}`));
  return make("figure", { class: "severity" },
    make("div", { class: "tiles" }, ...tiles),
    make("figcaption", {}, condition.severity_label || "", make("span", { class: "accuracy", "data-condition": String(condition.number) })));
}

function gallerySection(facts, title, rows, isOpen) {
  const body = [...rows].map(([label, conditions]) =>
    make("div", { class: conditions.length > 1 ? "condition many" : "condition" }, make("h3", {}, label),
      make("div", { class: "severities" }, ...conditions.map((condition) => galleryCell(facts, condition)))));
  return make("details", { open: isOpen }, make("summary", {}, title), make("div", { class: "conditions" }, ...body));
}

// The accuracy of a model under each condition, beneath its pictures.
function showAccuracies(section, data, model, conditions) {
  for (const element of section.querySelectorAll("[data-condition]")) {
    const { place, of } = conditions[Number(element.dataset.condition)];
    const accuracy = place === null ? null : data.accuracy[place][model];
    if (accuracy === null) element.textContent = "not evaluated";
    else {
      const interval = percentInterval(data.low[place][model], data.high[place][model], data.parts);
      element.replaceChildren(...withInterval(of + percent(accuracy, data.parts) + " %", interval));
    }
  }
}

async function showGallery(section) {
  const isThere = (id) => document.getElementById("packed-" + id);
  const hasAccuracies = isThere("conditions") && isThere("board");
  const [facts, { experiments: titles }, , data, board] = await Promise.all([
    unpack("gallery"), unpack("names"), sprite("gallery"),
    hasAccuracies ? unpack("conditions") : null, isThere("board") ? unpack("board") : null]);
  const conditions = galleryConditions(facts, data);
  const parts = [...galleryRows(conditions)].map(([experiment, rows], place) =>
    gallerySection(facts, titles[experiment] ?? experiment, rows, place < OPEN_GALLERIES));
  section.querySelector("#gallery-rows").replaceChildren(...parts);
  const viewer = board?.models.find((model) => model.id === facts.model)?.name ?? facts.model;
  if (viewer) section.querySelector("#gallery-viewer").textContent = `Attacks are those on ${viewer}.`;
  if (!hasAccuracies) return;
  const select = modelSelect(section, "#gallery-model", board);
  follow((chosen) => {
    const number = modelIn(board, chosen);
    select.value = board.models[number].id;
    showAccuracies(section, data, number, conditions);
    section.querySelector("#gallery-said").textContent = `Accuracy of ${board.models[number].name}, in percent with the 95 % interval.`;
  });
}

whenNear("gallery", showGallery);
