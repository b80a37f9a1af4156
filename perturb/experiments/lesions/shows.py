"""What lesions show in a run."""

from perturb.experiments.sentences import Interval, Row, Tables, points, rows_of, span
from perturb.formatting import named


def removed_parts(found: Tables) -> str:
    """Return what the removal of one block costs, at least and at most; of one head without it."""
    blocks = rows_of(found, "lesions_single", part="block")
    if blocks:
        return f"The removal of one block costs {span(blocks, 'drop', _cost, _block, 'blocks')}."
    heads = rows_of(found, "heads")
    if heads:
        return f"The removal of one head costs {span(heads, 'drop', _cost, _head, 'heads')}."
    return ""


def _cost(drop: Interval) -> str:
    """Return the accuracy lost as text; a negative one is gained."""
    return points(drop).replace("+", "")


def _block(row: Row) -> str:
    return f"block {row['block']} of {named(row)}"


def _head(row: Row) -> str:
    return f"head {row['head']} of block {row['block']} of {named(row)}"
