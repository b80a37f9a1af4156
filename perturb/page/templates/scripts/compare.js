// Two models on the same images: paired differences, and images on which one of them errs.

// The differences of models a and b, from the pair in either order.
function pairRows(board, pairs, a, b) {
  const pair = pairs.a.findIndex((one, place) => (one === a && pairs.b[place] === b) || (one === b && pairs.b[place] === a));
  if (pair < 0) return [];
  const sign = pairs.a[pair] === a ? 1 : -1;
  const turned = (value) => (value === null ? null : sign * value);
  return pairs.measures.map((measure, place) => {
    const ends = [pairs.low[place][pair], pairs.high[place][pair]].map(turned);
    const [low, high] = sign === 1 ? ends : ends.reverse();
    const difference = turned(pairs.difference[place][pair]);
    return { label: measure.label, difference, low, high, better: betterOf(low, high), num_images: pairs.num_images[place][pair] };
  }).filter((row) => row.difference !== null).sort((one, other) => other.difference - one.difference);
}

function betterOf(low, high) {
  if (low === null || high === null) return "neither";
  return low > 0 ? "a" : high < 0 ? "b" : "neither";
}

function compareSentence(rows, a, b) {
  const count = (side) => rows.filter((row) => row.better === side).length;
  const times = (number) => `${number} of ${rows.length}`;
  if (!rows.length) return `${a.name} and ${b.name} were not evaluated on the same images.`;
  return `${a.name} is better than ${b.name} on ${times(count("a"))} measures, ${b.name} on ${count("b")}; ` +
    `on ${count("neither")} the images do not decide between them.`;
}

function differenceSpec(spec, rows, parts, a, b) {
  const drawn = structuredClone(spec);
  const scaled = (value) => (value === null ? null : (100 * value) / parts);
  drawn.datasets = {
    ...drawn.datasets,
    differences: rows.map((row) => ({
      label: row.label, better: row.better, text: differenceText(row, parts),
      difference: scaled(row.difference), low: scaled(row.low), high: scaled(row.high),
    })),
  };
  drawn.height = 20 * rows.length;
  const title = ["Difference in accuracy (points)", `← ${b.name} is better`, `${a.name} is better →`];
  for (const layer of drawn.layer) layer.encoding.x.title = title;
  return drawn;
}

function differenceText(row, parts) {
  const interval = row.low === null ? "" : ` [${points(row.low, parts)}, ${points(row.high, parts)}]`;
  return points(row.difference, parts) + interval;
}

function differenceTable(rows, parts, a, b) {
  const names = { a: a.name, b: b.name, neither: "undecided" };
  return plainTable(
    `Accuracy of ${a.name} minus that of ${b.name} on the same images, in points, with the 95 % interval of the paired difference.`,
    ["Measure", "Difference (points)", "Better", "Images"],
    rows.map((row) => [row.label, differenceText(row, parts), names[row.better], String(row.num_images)]),
  );
}

// The chosen two, or the first two of the leaderboard.
function comparedIn(board, chosen) {
  const place = (key) => board.models.findIndex((model) => model.id === chosen.get(key));
  const [a, b] = [place("a"), place("b")];
  const order = board.measures.findIndex((measure) => measure.id === board.first_order);
  const best = board.models.map((model, number) => number)
    .sort((one, other) => (board.rank[order][one] ?? Infinity) - (board.rank[order][other] ?? Infinity));
  const first = a >= 0 ? a : best.find((number) => number !== b);
  return [first, b >= 0 ? b : best.find((number) => number !== first)];
}

async function showCompare(section) {
  const [board, pairs, spec] = await Promise.all(
    [unpack("board"), unpack("pairs"), unpack("spec-differences")]);
  for (const key of ["a", "b"]) {
    const select = section.querySelector("#compare-" + key);
    modelOptions(select, board);
    select.addEventListener("change", () => {
      const [a, b] = comparedIn(board, choices);
      choose({ a: board.models[a].id, b: board.models[b].id, [key]: select.value });
    });
  }
  let last = "";
  follow(async (chosen) => {
    const [first, second] = comparedIn(board, chosen);
    if (last === `${first} ${second}`) return;
    last = `${first} ${second}`;
    const [a, b] = [board.models[first], board.models[second]];
    section.querySelector("#compare-a").value = a.id;
    section.querySelector("#compare-b").value = b.id;
    const rows = first === second ? [] : pairRows(board, pairs, first, second);
    section.querySelector("#compare-sentence").textContent =
      first === second ? "Choose two different models." : compareSentence(rows, a, b);
    section.querySelector("#compare-table").replaceChildren(differenceTable(rows, pairs.parts, a, b));
    showDisagreements(section, a, b);
    const place = section.querySelector("#compare-chart");
    await embed(place, differenceSpec(spec, rows, pairs.parts, a, b));
    place.setAttribute("data-drawn", last);
  });
}

whenNear("compare", showCompare);
