"""What the model sizes show in a run."""

from perturb.experiments.sentences import Tables, interval_of, known, number, part, phrase, rows_of


def falling_errors(found: Tables) -> str:
    """Return how many lines of error over parameters fall, and the lowest slope."""
    rows = known(rows_of(found, "scaling", is_difference=False), "slope_low")
    if not rows:
        return ""
    falling = sum(interval_of(row, "slope").sign < 0 for row in rows)
    lowest = min(rows, key=lambda row: row["slope"])
    where = phrase(lowest["test_set"], lowest["test_set_label"])
    return (
        f"The interval of the slope of error over parameters lies below zero in "
        f"{part(falling, len(rows), 'lines')}; the lowest slope is "
        f"{number(interval_of(lowest, 'slope'))}, of {lowest['family_label']}s on {where}."
    )
