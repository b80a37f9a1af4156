"""What restricted attention shows in a run."""

from collections.abc import Mapping, Sequence

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
    """Return mean accuracies in the smallest window, and with as many pairs at random.

    Without windows they are those with most blocks restricted to the patch itself and CLS.
    """
    rows = rows_of(found, "restricted_attention")
    if not rows:
        return _patch_alone(rows_of(found, "patch_attention"), rows_of(found, "models"))
    distance = min(row["distance"] for row in rows)
    restricted = [row for row in rows if row["distance"] == distance]
    within = f"within {distance} patch{'' if distance == 1 else 'es'}"
    ways = {"window": f"with attention {within}", "permuted": "with equally many pairs at random"}
    return _means(restricted, "control", ways)


def _patch_alone(rows: Sequence[Row], models: Sequence[Row]) -> str:
    if not rows:
        return ""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["model"]] = max(row["num_blocks_restricted"], counts.get(row["model"], 0))
    count = min(counts.values())
    alone = "with attention to the patch itself and to CLS alone in"
    restricted = [row for row in rows if row["num_blocks_restricted"] == count]
    if all(row["num_blocks"] == count for row in models if row["model"] in counts):
        # The first and the last blocks are all blocks.
        whole = [{**row, "place": ""} for row in restricted]
        return _means(whole, "place", {"": f"{alone} all blocks"})
    ways = {place: f"{alone} the {place} {count} blocks" for place in ("first", "last")}
    return _means(restricted, "place", ways)


def _means(rows: Sequence[Row], column: str, ways: Mapping[str, str]) -> str:
    means = [f"{plain_percent(mean(rows, 'baseline_accuracy'))} with unrestricted attention"]
    for way, words in ways.items():
        of = [row for row in rows if row[column] == way]
        if of:
            means.append(f"{plain_percent(mean(of, 'accuracy'))} {words}")
    return f"{capitalised(accuracy_of(rows))} is {listed(means)}."
