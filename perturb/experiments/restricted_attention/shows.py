"""What restricted attention shows in a run."""

from collections.abc import Sequence

from perturb.experiments.sentences import (
    Row,
    Tables,
    accuracy_of,
    capitalised,
    mean,
    plain_percent,
    rows_of,
)
from perturb.formatting import listed


def window_and_control(found: Tables) -> str:
    """Return mean accuracies in the smallest window, and with as many pairs at random."""
    rows = rows_of(found, "restricted_attention")
    if not rows:
        return _patch_alone(rows_of(found, "patch_attention"))
    distance = min(row["distance"] for row in rows)
    restricted = [row for row in rows if row["distance"] == distance]
    within = f"within {distance} patch{'' if distance == 1 else 'es'}"
    ways = {"window": f"with attention {within}", "permuted": "with equally many pairs at random"}
    return _means(restricted, "control", ways)


def _patch_alone(rows: Sequence[Row]) -> str:
    most: dict[str, int] = {}
    for row in rows:
        most[row["model"]] = max(row["num_blocks_restricted"], most.get(row["model"], 0))
    # With all blocks restricted the place is the same.
    restricted = [
        {**row, "place": ""} for row in rows if row["num_blocks_restricted"] == most[row["model"]]
    ]
    return _means(restricted, "place", {"": "with attention to the patch itself and to CLS alone"})


def _means(rows: Sequence[Row], column: str, ways: dict[str, str]) -> str:
    if not rows:
        return ""
    means = [f"{plain_percent(mean(rows, 'baseline_accuracy'))} with unrestricted attention"]
    for way, words in ways.items():
        of = [row for row in rows if row[column] == way]
        if of:
            means.append(f"{plain_percent(mean(of, 'accuracy'))} {words}")
    return f"{capitalised(accuracy_of(rows))} is {listed(means)}."
