"""The paper's Figure 2: accuracy on every test set."""

import altair as alt
import pandas as pd

from perturb.charts.test_sets import by_test_set
from perturb.charts.tooltips import IMAGES, MODEL, PARAMETERS, count, interval, text


def robustness_benchmarks(accuracy: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return one panel per test set: accuracy by pre-training set, ResNets left, ViTs right."""
    tooltip = [
        *MODEL,
        text("test_set_label", "Test set"),
        *interval("accuracy", "Accuracy"),
        IMAGES,
        count("num_predictions", "Predictions"),
        PARAMETERS,
    ]
    return by_test_set(accuracy, models, tooltip)
