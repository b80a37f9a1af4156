"""Warnings about models for which gradient attacks are not informative."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from perturb.formatting import formatted, named

_TABLES = ("adversarial_accuracy", "adversarial_accuracy_l2")


def vanishing_gradients(found: Mapping[str, pa.Table]) -> list[str]:
    """Return a sentence for each model without any gradient on some of the attacked images.

    On these images gradient attacks have no effect, whether or not the model is robust.
    """
    tables = (found[name] for name in _TABLES if name in found)
    worst: dict[str, Mapping[str, Any]] = {}
    for row in (row for table in tables for row in table.to_pylist()):
        kept = worst.setdefault(row["model"], row)
        if row["num_zero_gradient"] > kept["num_zero_gradient"]:
            worst[row["model"]] = row
    return [
        f"{named(row)}: no gradient on "
        f"{formatted(row['num_zero_gradient'], 'count')} of "
        f"{formatted(row['num_attacked'], 'count')} attacked images"
        for row in worst.values()
        if row["num_zero_gradient"] > 0
    ]
