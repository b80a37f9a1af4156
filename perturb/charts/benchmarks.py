"""The paper's Figures 2 and 3: accuracy on every test set, and under every attack."""

import math

import altair as alt
import pandas as pd

from perturb.charts.by_pretraining import Value, by_pretraining
from perturb.charts.channels import choice
from perturb.charts.style import config
from perturb.charts.tooltips import EPSILON, IMAGES, MODEL, PARAMETERS, count, interval, text

_ACCURACY = Value("accuracy", "Accuracy (%)", panel="test_set_label")


def robustness_benchmarks(accuracy: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return a panel a test set: accuracy by pre-training set, ResNets left, ViTs right.

    Parameters
    ----------
    accuracy, models : the tables of these names.
    """
    tooltip = [
        *MODEL,
        text("test_set_label", "Test set"),
        *interval("accuracy", "Accuracy"),
        IMAGES,
        count("num_decisions", "Decisions"),
        PARAMETERS,
    ]
    frame = with_clean_beside(accuracy)
    chart = by_pretraining(frame, models, _ACCURACY, tooltip=tooltip)
    return _configured(chart)


def adversarial(attacks: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return a panel an attack, beside the same images unattacked, in the same form.

    Parameters
    ----------
    attacks, models : the tables of these names.
    """
    is_clean = attacks["test_set"] == "clean"
    frame = attacks.assign(test_set_label=attacks["test_set_label"].mask(is_clean, "Clean"))
    tooltip = [
        *MODEL,
        text("test_set_label", "Attack"),
        EPSILON,
        *interval("accuracy", "Accuracy"),
        IMAGES,
        PARAMETERS,
    ]
    frame = with_clean_beside(frame)
    return _configured(by_pretraining(frame, models, _ACCURACY, tooltip=tooltip))


def with_clean_beside(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a panel of clean accuracy before each set that needs one.

    A set of some of the clean images is compared with these alone, unchanged. Where another panel
    shows the clean accuracy on as many images, that one serves.

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
    """Return the rows with their clean accuracy as the accuracy: one decision an image."""
    ends = {f"accuracy{end}": rows[f"clean_accuracy{end}"] for end in ("", "_low", "_high")}
    clean = rows.assign(test_set_label=label, **ends)
    if "num_decisions" in clean:
        clean["num_decisions"] = clean["num_images"]
    if "epsilon_gray" in clean:
        clean["epsilon_gray"] = math.nan
    return clean


def _configured(chart: alt.FacetChart) -> alt.FacetChart:
    configured: alt.FacetChart = chart.add_params(choice()).configure(**config())
    return configured
