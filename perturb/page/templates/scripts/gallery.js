// What the models see: the same few images under every condition, and a model's accuracy there.

// Conditions by experiment, and in it by the label of their row.
function galleryRows(facts) {
  const experiments = new Map();
  facts.conditions.forEach((condition, place) => {
    const rows = experiments.get(condition.experiment) ?? new Map();
    experiments.set(condition.experiment, rows);
    const key = condition.label;
    rows.set(key, [...(rows.get(key) ?? []), place]);
  });
  return experiments;
}

function galleryCell(facts, place) {
  const condition = facts.conditions[place];
  const name = [condition.label, condition.severity_label].filter(Boolean).join(", ");
  const tiles = Array.from({ length: facts.num_images }, (_, image) =>
    tile("gallery", facts, place * facts.num_images + image, `Image ${image + 1}: ${name}`));
  return make("figure", { class: "severity" },
    make("div", { class: "tiles" }, ...tiles),
    make("figcaption", {}, condition.severity_label || "", make("span", { class: "accuracy", "data-condition": String(place) })));
}

function gallerySection(facts, title, rows, isOpen) {
  const body = [...rows].map(([label, places]) =>
    make("div", { class: "condition" }, make("h4", {}, label),
      make("div", { class: "severities" }, ...places.map((place) => galleryCell(facts, place)))));
  return make("details", { open: isOpen }, make("summary", {}, title), ...body);
}

const conditionKey = (row) => [row.dataset, row.perturbation, row.condition, row.severity].join("|");

// The accuracy of a model under each condition, beneath its pictures.
function showAccuracies(section, data, number, facts) {
  const places = new Map(data.conditions.map((condition, place) => [conditionKey(condition), place]));
  const keys = facts.conditions.map(conditionKey);
  for (const element of section.querySelectorAll("[data-condition]")) {
    const key = keys[Number(element.dataset.condition)];
    const place = places.get(key);
    const accuracy = place === undefined ? null : data.accuracy[place][number];
    const interval = place === undefined ? "" : percentInterval(data.low[place][number], data.high[place][number], data.parts);
    // Several pictures may be of one condition, such as random transforms.
    const isShared = keys.filter((other) => other === key).length > 1;
    const of = isShared && place !== undefined ? data.conditions[place].condition_label + ": " : "";
    const shown = withInterval(of + percent(accuracy, data.parts) + " %", interval);
    element.replaceChildren(...(accuracy === null ? ["not evaluated"] : shown));
  }
}

async function showGallery(section) {
  const facts = await unpack("gallery");
  await sprite("gallery");
  const { experiments: titles } = await unpack("names");
  const parts = [...galleryRows(facts)].map(([experiment, rows], place) =>
    gallerySection(facts, titles[experiment] ?? experiment, rows, place < 2));
  section.querySelector("#gallery-rows").replaceChildren(...parts);
  if (!document.getElementById("packed-conditions") || !document.getElementById("packed-board")) return;
  const [board, data] = await Promise.all([unpack("board"), unpack("conditions")]);
  const select = modelSelect(section, "#gallery-model", board);
  follow((chosen) => {
    const number = modelIn(board, chosen);
    select.value = board.models[number].id;
    showAccuracies(section, data, number, facts);
    section.querySelector("#gallery-said").textContent = `Accuracy of ${board.models[number].name}, in percent with the 95 % interval.`;
  });
}

whenNear("gallery", showGallery);
