"""What the confidences of predictions show in a run."""

from collections.abc import Sequence

from perturb.experiments.sentences import Row, Tables, agreeing, capitalised, known, part, rows_of
from perturb.formatting import listed


def overconfident(found: Tables) -> str:
    """Return how many models are more confident than accurate, on clean and on corrupted images."""
    clean = rows_of(found, "calibration", test_set="clean", corruption_severity=None)
    corrupted = known(rows_of(found, "calibration"), "corruption_severity")
    parts = [(_counted(clean), " on unchanged images")] if clean else []
    if corrupted:
        worst = max(row["corruption_severity"] for row in corrupted)
        most = [row for row in corrupted if row["corruption_severity"] == worst]
        parts.append((_counted(most), f" at corruption severity {worst:g}"))
    if not parts:
        return ""
    (count, who), place = parts[0]
    are = f"{agreeing(count, 'is', 'are')} on average more confident than accurate"
    first = f"{capitalised(who)} {are}{place}"
    return listed([first, *(f"{who}{place}" for (_, who), place in parts[1:])]) + "."


def _counted(rows: Sequence[Row]) -> tuple[int, str]:
    count = sum(row["mean_confidence"] > row["accuracy"] for row in rows)
    return count, part(count, len(rows), "models")
