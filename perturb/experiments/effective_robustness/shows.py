"""What effective robustness shows in a run."""

from perturb.experiments.sentences import (
    Tables,
    agreeing,
    capitalised,
    interval_of,
    known,
    part,
    phrase,
    points,
    rows_of,
)
from perturb.formatting import named


def beside_the_line(found: Tables) -> str:
    """Return how many values lie above and below the line, and the highest of them."""
    rows = known(rows_of(found, "effective_robustness"), "effective_robustness_low")
    if not rows:
        return ""
    values = [interval_of(row, "effective_robustness") for row in rows]
    above, below = (sum(value.sign == sign for value in values) for sign in (1, -1))
    highest = max(rows, key=lambda row: row["effective_robustness"])
    count, higher = part(above, len(rows), "values"), agreeing(above, "is", "are")
    return (
        f"{capitalised(count)} {higher} above what clean accuracy explains, by intervals that "
        f"exclude zero, and {below:,} below; the highest is "
        f"{points(interval_of(highest, 'effective_robustness'))}, of {named(highest)} on "
        f"{phrase(highest['test_set'], highest['test_set_label'])}."
    )
