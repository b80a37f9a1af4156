"""Note on the robustness benchmarks: numbers of images, and by whom some of them were chosen."""

import pyarrow as pa

from perturb.charts.notes import images


def images_and_choice(accuracy: pa.Table, *_: pa.Table) -> str:
    """Return sentences about the number of images, and the networks that chose test sets."""
    chosen = {row["test_set_label"]: row["chosen_by"] for row in accuracy.to_pylist()}
    choices = [
        f"{label}: chosen by the errors of {models}, which counts against networks like these."
        for label, models in chosen.items()
        if models
    ]
    return " ".join([images(accuracy), *choices])
