"""What the model sizes show in a run."""

from perturb.experiments.sentences import (
    Interval,
    Tables,
    interval_of,
    known,
    part,
    phrase,
    rows_of,
)
from perturb.formatting import formatted


def falling_errors(found: Tables) -> str:
    """Return how many lines of error over parameters fall, and the steepest of them."""
    rows = known(rows_of(found, "scaling", is_difference=False), "slope_low")
    if not rows:
        return ""
    falling = [row for row in rows if interval_of(row, "slope").sign < 0]
    steepest = min(rows, key=lambda row: row["slope"])
    text = (
        f"The interval of the slope of error over parameters lies below zero in "
        f"{part(len(falling), len(rows), 'lines')}"
    )
    change = _factor(interval_of(steepest, "slope"))
    where = phrase(steepest["test_set"], steepest["test_set_label"])
    return (
        f"{text}; the steepest is that of {steepest['family_label']}s on {where}: "
        f"with ten times the parameters the error is multiplied by {change}."
    )


def _factor(slope: Interval) -> str:
    value, low, high = (formatted(10**end, "ratio") for end in (slope.value, slope.low, slope.high))
    return f"{value} [{low}, {high}]"
