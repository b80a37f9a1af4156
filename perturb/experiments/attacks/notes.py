"""Models that attacks along the gradient say nothing of."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from perturb.formatting import formatted


def vanishing_gradients(found: Mapping[str, pa.Table]) -> list[str]:
    """Return a sentence for each model without any gradient on some of the attacked images.

    Such a model stands every attack that follows the gradient there, however fragile it is.
    """
    if "adversarial_accuracy" not in found:
        return []
    worst: dict[str, Mapping[str, Any]] = {}
    for row in found["adversarial_accuracy"].to_pylist():
        kept = worst.setdefault(row["model"], row)
        if row["num_zero_gradient"] > kept["num_zero_gradient"]:
            worst[row["model"]] = row
    return [
        f"{row['architecture_label']} ({row['pretraining_label']}): no gradient on "
        f"{formatted(row['num_zero_gradient'], 'count')} of "
        f"{formatted(row['num_attacked'], 'count')} attacked images"
        for row in worst.values()
        if row["num_zero_gradient"] > 0
    ]
