"""Note on the comparison with the paper."""

import pyarrow as pa

from perturb.formatting import formatted


def share_within(comparison: pa.Table, *_: pa.Table) -> str:
    """Return a sentence with the number of the paper's values that agree."""
    met = comparison["is_within"].to_pylist()
    within, all_of_them = formatted(sum(met), "count"), formatted(len(met), "count")
    return f"{within} of {all_of_them} numbers differ by no more."
