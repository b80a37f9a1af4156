"""What the consistency of errors shows in a run."""

from perturb.experiments.sentences import (
    Row,
    Tables,
    interval_of,
    known,
    phrase,
    ratio,
    rows_of,
    within,
)
from perturb.formatting import listed


def of_families(found: Tables) -> str:
    """Return the mean consistency within and between families, on the first test set."""
    rows = known(rows_of(found, "error_consistency_means"), "kappa")
    if not rows:
        return ""
    first = rows[0]
    means = [
        f"{ratio(interval_of(row, 'kappa'))} {_pair(row)}"
        for row in rows
        if row["test_set"] == first["test_set"]
    ]
    where = phrase(first["test_set"], first["test_set_label"])
    return f"On {where} the mean error consistency is {listed(means)}."


def _pair(row: Row) -> str:
    one, other = row["one_family"], row["other_family_name"]
    if one == other:
        return f"among {within(one)}"
    return f"between {within(one)} and {within(other)}"
