"""The paper's Figures 2 and 3: accuracy on every test set, and under every attack."""

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
    chart = by_pretraining(accuracy, models, _ACCURACY, tooltip=tooltip)
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
    return _configured(by_pretraining(frame, models, _ACCURACY, tooltip=tooltip))


def _configured(chart: alt.FacetChart) -> alt.FacetChart:
    configured: alt.FacetChart = chart.add_params(choice()).configure(**config())
    return configured
