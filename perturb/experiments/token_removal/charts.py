"""Accuracy over the remaining computations when patch tokens are removed."""

import altair as alt
import pandas as pd

from perturb.charts.curves import Curves, curves
from perturb.charts.style import CONTROL, SERIES
from perturb.charts.tooltips import BASELINE, IMAGES, MODEL, count, interval, number, text


def token_removal(kept: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy over the remaining computations when patch tokens are removed."""
    tooltip = [
        *MODEL,
        text("method_label", "Removed"),
        number("drop_rate", "Fraction of the patch tokens", ".0%"),
        number("flops_kept", "FLOPs kept", ".1%"),
        *interval("accuracy", "Accuracy"),
        BASELINE,
        count("num_seeds", "Seeds"),
        IMAGES,
    ]
    what = Curves(
        "flops_kept",
        "FLOPs kept (%)",
        way="method",
        ways={"low_attention": SERIES[2], "random": CONTROL},
        is_fraction=True,
        is_falling=True,
    )
    return curves(kept, models, what, tooltip)
