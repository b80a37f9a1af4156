"""Note on error consistency: the number of images and of conditions."""

import pyarrow as pa

from perturb.charts.notes import images
from perturb.formatting import formatted


def images_and_conditions(kappas: pa.Table, *_: pa.Table) -> str:
    """Return sentences about the number of images, and of conditions where there are several."""
    counts: dict[str, set[int]] = {}
    for row in kappas.to_pylist():
        counts.setdefault(row["test_set_label"], set()).add(row["num_conditions"])
    means = [
        # A pair has no kappa in a condition in which it is always right, or always wrong.
        f"{label}: means over {'up to ' if len(found) > 1 else ''}{formatted(max(found), 'count')} "
        "conditions."
        for label, found in counts.items()
        if max(found) > 1
    ]
    return " ".join([images(kappas), *means])
