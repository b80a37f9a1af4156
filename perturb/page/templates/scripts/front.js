// The models that no other beats in all that is chosen, and where their names stand.

// More names beside marks would cover each other.
const MOST_NAMES = 12;

// Whether one model is at least as good as another in every measure, and better in one.
function beats(one, other) {
  return one.every((value, place) => value >= other[place]) && one.some((value, place) => value > other[place]);
}

function choosingRows(board, axes, chosen) {
  const places = axes.filter(Boolean).map((measure) => board.measures.indexOf(measure));
  const goodness = board.models.map((model, number) => places.map((place) => {
    const value = board.value[place][number];
    return value === null ? null : board.measures[place].is_axis_better_high ? value : -value;
  }));
  const isComplete = (values) => !values.includes(null);
  const rows = board.models.map((model, number) => ({
    id: model.id, name: model.name, architecture: model.architecture,
    ...axisValues(board, axes[0], number, "x"),
    ...axisValues(board, axes[1], number, "y"),
    ...costValue(board, axes[2], number),
    is_front: isComplete(goodness[number]) &&
      !goodness.some((other) => isComplete(other) && beats(other, goodness[number])),
    is_chosen: model.id === chosen.get("model"),
  }));
  const drawn = rows.filter((row, number) => isComplete(goodness[number]));
  return withNames(drawn);
}

// Names of the front's models and of the chosen one stand towards the middle of the chart, and by
// turns above and below their marks.
function withNames(rows) {
  const areFew = rows.filter((row) => row.is_front).length <= MOST_NAMES;
  const isNamed = (row) => row.is_chosen || (row.is_front && areFew);
  const named = rows.filter(isNamed).sort((one, other) => one.x - other.x);
  const places = rows.map((row) => row.x);
  const middle = (Math.min(...places) + Math.max(...places)) / 2;
  const sideOf = (row) => `${row.x > middle ? "left" : "right"} ${named.indexOf(row) % 2 ? "below" : "above"}`;
  return rows.map((row) => ({ ...row, side: isNamed(row) ? sideOf(row) : "none" }));
}
