"""What the sizes of pre-training sets show in a run."""

from collections.abc import Sequence

from perturb.experiments.sentences import Row, Tables, interval_of, rows_of


def ahead_and_behind(found: Tables) -> str:
    """Return how many ViTs are ahead of and behind their ResNets, with the ends of the data."""
    rows = rows_of(found, "crossing_points")
    if not rows:
        return ""
    least, most = (_counted(rows, column) for column in ("smallest", "largest"))
    one = len(rows) == 1
    of = "In the only comparison" if one else f"Of {len(rows):,} comparisons"
    is_open = any(sum(counts) < len(rows) for counts in (least, most))
    undecided = "; in the others the interval of the difference includes zero" if is_open else ""
    return (
        f"{of} of a ViT with the ResNet of matched size, the ViT is ahead in {least[0]:,} and "
        f"behind in {least[1]:,} with the smallest pre-training set, ahead in {most[0]:,} and "
        f"behind in {most[1]:,} with the largest{undecided}."
    )


def _counted(rows: Sequence[Row], column: str) -> tuple[int, int]:
    signs = [interval_of(row, f"{column}_difference").sign for row in rows]
    return signs.count(1), signs.count(-1)
