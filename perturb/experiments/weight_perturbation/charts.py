"""Accuracy over how much the weights of a model are changed."""

import altair as alt
import pandas as pd

from perturb.charts.curves import Curves, curves
from perturb.charts.style import SERIES
from perturb.charts.tooltips import IMAGES, MODEL, count, interval, number

_BASELINE = number("baseline_accuracy", "Accuracy of the unchanged model", ".1%")


def weight_noise(noisy: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy over the size of noise on all weights.

    Parameters
    ----------
    noisy : the table `weight_noise`.
    models : the table `models`.
    """
    tooltip = [
        *MODEL,
        number("noise_scale", "Noise", ".1%"),
        *interval("accuracy", "Accuracy"),
        number("accuracy_min", "Least of the draws", ".1%"),
        number("accuracy_max", "Most of the draws", ".1%"),
        _BASELINE,
        count("num_seeds", "Draws"),
        IMAGES,
    ]
    what = Curves(
        "noise_scale",
        "Noise (% of the weights' deviation)",
        way="noise",
        ways={"gaussian": SERIES[2]},
        is_fraction=True,
        spread=("accuracy_min", "accuracy_max"),
    )
    return curves(noisy, models, what, tooltip)


def weight_rounding(rounded: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy over the bits of a weight.

    Parameters
    ----------
    rounded : the table `weight_rounding`.
    models : the table `models`.
    """
    tooltip = [*MODEL, count("bits", "Bits"), *interval("accuracy", "Accuracy"), _BASELINE, IMAGES]
    what = Curves(
        "bits",
        "Bits of a weight",
        way="rounding",
        ways={"symmetric": SERIES[1]},
        is_falling=True,
    )
    return curves(rounded, models, what, tooltip)
