// Two models on the same images: paired differences, and images on which one of them errs.

// By how much model a is better than b, from the pair in either order.
function pairRows(pairs, a, b) {
  const isPair = (place, one, other) => pairs.a[place] === one && pairs.b[place] === other;
  const pair = pairs.a.findIndex((_, place) => isPair(place, a, b) || isPair(place, b, a));
  if (pair < 0) return [];
  const rows = pairs.measures.map((measure, place) => {
    const sign = isPair(pair, a, b) === measure.is_better_high ? 1 : -1;
    const turned = (value) => (value === null ? null : sign * value);
    const ends = [pairs.low[place][pair], pairs.high[place][pair]].map(turned);
    const [low, high] = sign === 1 ? ends : ends.reverse();
    return {
      label: measure.label + (measure.is_better_high ? "" : " (less is better)") + (measure.is_paired ? "" : " *"),
      lead: turned(pairs.difference[place][pair]), low, high,
      better: BETTER[sign * pairs.sign[place][pair]], is_single_corruption: measure.is_single_corruption,
      num_images: pairs.num_images[place][pair],
    };
  });
  return rows.filter((row) => row.lead !== null).sort((one, other) => other.lead - one.lead);
}

// Of the sign of a lead whose interval does not contain zero.
const BETTER = { 1: "a", 0: "neither", "-1": "b" };

// How often either is better, on the measures and on the corruptions that one of them is the mean of.
function compareSentence(rows, a, b) {
  if (!rows.length) return `${a.name} and ${b.name} were not evaluated on the same images.`;
  return [counted(rows.filter((row) => !row.is_single_corruption), "measure", a, b),
    counted(rows.filter((row) => row.is_single_corruption), "single corruption", a, b)].filter(Boolean).join(" ");
}

function counted(rows, kind, a, b) {
  const count = (side) => rows.filter((row) => row.better === side).length;
  const kinds = rows.length === 1 ? kind : `${kind}s`;
  if (!rows.length) return "";
  if (count("neither") === rows.length) return `${a.name} and ${b.name} cannot be distinguished on any of ${rows.length} ${kinds}.`;
  return `${a.name} is better than ${b.name} on ${count("a")} of ${rows.length} ${kinds}, ` +
    `${b.name} on ${count("b")}; on ${count("neither")} they cannot be distinguished.`;
}

function differenceSpec(spec, rows, parts, [a, b], width) {
  const drawn = structuredClone(spec);
  const scaled = (value) => (value === null ? null : (100 * value) / parts);
  drawn.datasets = {
    ...drawn.datasets,
    differences: rows.map((row) => ({
      label: row.label, better: row.better, text: differenceText(row, parts),
      lead: scaled(row.lead), low: scaled(row.low), high: scaled(row.high),
    })),
  };
  drawn.height = 20 * rows.length;
  const title = ["Lead (points)", `← ${b.name} is better`, `${a.name} is better →`];
  for (const { encoding } of drawn.layer) {
    encoding.x = { ...encoding.x, title, axis: { tickCount: Math.round(width / 90) } };
    if (encoding.y) encoding.y.axis.labelLimit = width / 3;
  }
  return drawn;
}

function differenceText(row, parts) {
  const interval = row.low === null ? "" : ` [${points(row.low, parts)}, ${points(row.high, parts)}]`;
  return points(row.lead, parts) + interval;
}

function differenceTable(rows, parts, a, b) {
  const names = { a: a.name, b: b.name, neither: "cannot be distinguished" };
  return plainTable(
    `Lead of ${a.name} over ${b.name} in points, with its 95 % interval; a star: of values taken as independent.`,
    ["Measure", "Lead (points)", "Better", "Images"],
    rows.map((row) => [row.label, differenceText(row, parts), names[row.better], String(row.num_images)]),
  );
}

function rankOf(board, measure, model) {
  return board.rank[measure][model] ?? Infinity;
}

// The chosen two, or the first two of the leaderboard.
function comparedIn(board, compared, chosen) {
  const place = (key) => compared.find((number) => board.models[number].id === chosen.get(key)) ?? -1;
  const [a, other] = [place("a"), place("b")];
  const b = other === a ? -1 : other;
  const order = board.measures.findIndex((measure) => measure.id === board.first_order);
  const best = [...compared].sort((one, other) => rankOf(board, order, one) - rankOf(board, order, other));
  const named = place("model");
  const first = a >= 0 ? a : named >= 0 && named !== b ? named : best.find((number) => number !== b);
  return [first, b >= 0 ? b : best.find((number) => number !== first)];
}

async function showCompare(section) {
  const [board, pairs, spec] = await Promise.all(
    [unpack("board"), unpack("pairs"), unpack("spec-differences")]);
  const compared = [...new Set([...pairs.a, ...pairs.b])].sort((one, other) => one - other);
  for (const key of ["a", "b"]) {
    const select = section.querySelector("#compare-" + key);
    options(select, compared.map((number) => [board.models[number].id, board.models[number].name]));
    select.addEventListener("change", () => {
      const [a, b] = comparedIn(board, compared, choices);
      choose({ a: board.models[a].id, b: board.models[b].id, [key]: select.value });
    });
  }
  let last = "";
  await follow(async (chosen) => {
    const [first, second] = comparedIn(board, compared, chosen);
    if (last === `${first} ${second}`) return;
    last = `${first} ${second}`;
    const [a, b] = [board.models[first], board.models[second]];
    section.querySelector("#compare-a").value = a.id;
    section.querySelector("#compare-b").value = b.id;
    for (const [id, model] of [["#compare-a", b], ["#compare-b", a]]) {
      for (const option of section.querySelector(id)) option.disabled = option.value === model.id;
    }
    const rows = pairRows(pairs, first, second);
    section.querySelector("#compare-sentence").textContent = compareSentence(rows, a, b);
    section.querySelector("#compare-table").replaceChildren(differenceTable(rows, pairs.parts, a, b));
    await Promise.all([showDisagreements(section, a, b), showDifferences(section, spec, rows, pairs.parts, [a, b])]);
  });
}

async function showDifferences(section, spec, rows, parts, models) {
  for (const part of section.querySelectorAll("figure.chart, details")) part.hidden = !rows.length;
  const place = section.querySelector("#compare-chart");
  if (rows.length) await embedChosen(place, "compare", differenceSpec(spec, rows, parts, models, place.clientWidth));
  place.setAttribute("data-drawn", models.map((model) => model.id).join(" "));
}

whenNear("compare", showCompare);
