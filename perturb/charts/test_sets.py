"""Accuracy on every test set, one panel each, beside the same images unchanged."""

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from perturb.charts.by_pretraining import Value, by_pretraining
from perturb.charts.channels import choice
from perturb.charts.style import config

_ACCURACY = Value("accuracy", "Accuracy (%)", panel="test_set_label")


def by_test_set(
    frame: pd.DataFrame, models: pd.DataFrame, tooltip: Sequence[alt.Tooltip]
) -> alt.FacetChart:
    """Return one panel per test set: accuracy by pre-training set, ResNets left, ViTs right.

    Parameters
    ----------
    frame : as of `with_clean_beside`.
    models : the table `models`.
    """
    chart = by_pretraining(with_clean_beside(frame), models, _ACCURACY, tooltip=tooltip)
    configured: alt.FacetChart = chart.add_params(choice()).configure(**config())
    return configured


def with_clean_beside(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a panel of clean accuracy before each set that needs one.

    A set of some of the clean images is compared with the same images, unchanged. No panel is added
    if another panel shows the clean accuracy on as many images.

    Parameters
    ----------
    frame : test_set, test_set_label, num_images, accuracy and clean_accuracy with their ends.
    """
    shown = set(frame.loc[frame["test_set"] == "clean", "num_images"])
    parts = []
    for _, rows in frame.groupby("test_set", sort=False):
        clean = rows.dropna(subset="clean_accuracy")
        for size, same in clean[~clean["num_images"].isin(shown)].groupby("num_images"):
            shown.add(size)
            parts.append(_unchanged(same, f"Clean, same {size:,} images"))
        parts.append(rows)
    return pd.concat(parts, ignore_index=True) if parts else frame


def _unchanged(rows: pd.DataFrame, label: str) -> pd.DataFrame:
    """Return the rows with the clean accuracy as accuracy: one prediction per image."""
    ends = {f"accuracy{end}": rows[f"clean_accuracy{end}"] for end in ("", "_low", "_high")}
    clean = rows.assign(test_set_label=label, **ends)
    if "num_predictions" in clean:
        clean["num_predictions"] = clean["num_images"]
    if "epsilon_gray" in clean:
        clean["epsilon_gray"] = math.nan
    return clean
