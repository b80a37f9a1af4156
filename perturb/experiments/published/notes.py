"""The sentence beside the comparison with the paper."""

import pyarrow as pa

from perturb.formatting import formatted


def share_within(comparison: pa.Table, *_: pa.Table) -> str:
    """Return a sentence about how many of the paper's numbers were met.

    Parameters
    ----------
    comparison : the table `paper_comparison`.
    """
    met = comparison["is_within"].to_pylist()
    within, all_of_them = formatted(sum(met), "count"), formatted(len(met), "count")
    return f"{within} of {all_of_them} numbers differ by no more."
