"""Note on error consistency: the number of images and of conditions."""

import pyarrow as pa

from perturb.charts.notes import images
from perturb.formatting import formatted


def images_and_conditions(kappas: pa.Table, *_: pa.Table) -> str:
    """Return sentences about the number of images, and of conditions where there are several."""
    counts = {row["test_set_label"]: row["num_conditions"] for row in kappas.to_pylist()}
    told = [
        f"{label}: means over {formatted(count, 'count')} conditions."
        for label, count in counts.items()
        if count > 1
    ]
    return " ".join([images(kappas), *told])
