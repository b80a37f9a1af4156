"""The paper's Figure 6: which of two cues a model follows, where shape and texture disagree."""

import altair as alt
import pandas as pd

from perturb.charts.by_pretraining import Value, by_pretraining
from perturb.charts.channels import choice
from perturb.charts.style import config
from perturb.charts.tooltips import IMAGES, MODEL, PARAMETERS, count, interval, text

_PANELS = {
    "shape_bias": "Shape bias",
    "shape_rate": "Answers with the shape",
    "texture_rate": "Answers with the texture",
}

_EMPTY = "No answer names the shape or the texture."


def shape_bias(bias: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return shape bias, and the two rates that it comes from, by pre-training set.

    Parameters
    ----------
    bias : the table `shape_bias`.
    models : the table `models`.
    """
    several = bias["dataset"].nunique() > 1
    parts = [
        _panel(rows, column, f"{title} ({dataset})" if several else title)
        for dataset, rows in bias.groupby("dataset", sort=False)
        for column, title in _PANELS.items()
    ]
    tooltip = [
        *MODEL,
        text("panel", "Measure"),
        *interval("share", "Share"),
        count("num_shape", "Images named by their shape"),
        count("num_texture", "Images named by their texture"),
        IMAGES,
        PARAMETERS,
    ]
    value = Value("share", "Share (%)", panel="panel", empty=_EMPTY)
    chart = by_pretraining(pd.concat(parts, ignore_index=True), models, value, tooltip=tooltip)
    configured: alt.FacetChart = chart.add_params(choice()).configure(**config())
    return configured


def _panel(rows: pd.DataFrame, column: str, title: str) -> pd.DataFrame:
    """Return the rows with one of the measures as the column `share`."""
    ends = ("", "_low", "_high")
    shares = {f"share{end}": rows[f"{column}{end}"] for end in ends}
    others = [f"{other}{end}" for other in _PANELS for end in ends]
    return rows.drop(columns=others).assign(panel=title, **shares)
