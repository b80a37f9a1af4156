"""The paper's Figure 6: shape bias, and the rates of shape and texture predictions."""

import altair as alt
import pandas as pd

from perturb.charts.by_pretraining import Value, by_pretraining
from perturb.charts.channels import choice
from perturb.charts.style import config
from perturb.charts.tooltips import IMAGES, MODEL, PARAMETERS, count, interval, text

_PANELS = {
    "shape_bias": "Shape bias",
    "shape_rate": "Shape predictions",
    "texture_rate": "Texture predictions",
}

_EMPTY = "No prediction is of the shape or the texture."


def shape_bias(bias: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return shape bias, and its two rates, by pre-training set."""
    several = bias["dataset"].nunique() > 1
    parts = [
        _panel(rows, column, f"{title} ({dataset})" if several else title)
        for dataset, rows in bias.groupby("dataset", sort=False)
        for column, title in _PANELS.items()
    ]
    tooltip = [
        *MODEL,
        text("panel", "Measure"),
        *interval("share", "Fraction"),
        count("num_shape", "Images predicted by shape"),
        count("num_texture", "Images predicted by texture"),
        IMAGES,
        PARAMETERS,
    ]
    value = Value("share", "Fraction (%)", panel="panel", empty=_EMPTY)
    chart = by_pretraining(pd.concat(parts, ignore_index=True), models, value, tooltip=tooltip)
    configured: alt.FacetChart = chart.add_params(choice()).configure(**config())
    return configured


def _panel(rows: pd.DataFrame, column: str, title: str) -> pd.DataFrame:
    """Return the rows with one of the measures as the column `share`."""
    ends = ("", "_low", "_high")
    shares = {f"share{end}": rows[f"{column}{end}"] for end in ends}
    others = [f"{other}{end}" for other in _PANELS for end in ends]
    return rows.drop(columns=others).assign(panel=title, **shares)
