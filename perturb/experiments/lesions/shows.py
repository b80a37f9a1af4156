"""What lesions show in a run."""

from perturb.experiments.sentences import Row, Tables, lost_points, rows_of, span
from perturb.formatting import named


def removed_parts(found: Tables) -> str:
    """Return what the removal of one block costs, at least and at most; of one head without it."""
    blocks = rows_of(found, "lesions_single", part="block")
    if blocks:
        return (
            f"The removal of one block costs {span(blocks, 'drop', lost_points, _block, 'blocks')}."
        )
    heads = rows_of(found, "heads")
    if heads:
        return f"The removal of one head costs {span(heads, 'drop', lost_points, _head, 'heads')}."
    return ""


def _block(row: Row) -> str:
    return f"block {row['block']} of {named(row)}"


def _head(row: Row) -> str:
    return f"head {row['head']} of block {row['block']} of {named(row)}"
