"""Accuracy over the size of changes of a model's weights."""

import altair as alt
import pandas as pd

from perturb.charts.curves import Curves, curves
from perturb.charts.style import SERIES
from perturb.charts.tooltips import BASELINE, IMAGES, MODEL, count, interval, number


def weight_noise(noisy: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy over the size of noise on all weights."""
    tooltip = [
        *MODEL,
        number("noise_scale", "Noise", ".1%"),
        *interval("accuracy", "Accuracy"),
        number("accuracy_min", "Minimum over draws", ".1%"),
        number("accuracy_max", "Maximum over draws", ".1%"),
        BASELINE,
        count("num_seeds", "Draws"),
        IMAGES,
    ]
    what = Curves(
        "noise_scale",
        ("Noise (% of the weights'", "standard deviation)"),
        way="noise",
        ways={"gaussian": SERIES[2]},
        is_fraction=True,
        spread=("accuracy_min", "accuracy_max"),
    )
    return curves(noisy, models, what, tooltip)


def weight_rounding(rounded: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy over the bits per weight."""
    tooltip = [*MODEL, count("bits", "Bits"), *interval("accuracy", "Accuracy"), BASELINE, IMAGES]
    what = Curves(
        "bits",
        "Bits per weight",
        way="rounding",
        ways={"symmetric": SERIES[1]},
        is_falling=True,
    )
    return curves(rounded, models, what, tooltip)
