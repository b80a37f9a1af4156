"""Accuracy on perturbed images over clean accuracy, on probit axes, with a line through all."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from scipy.special import ndtri

from perturb.charts.channels import choice, faded, identity
from perturb.charts.style import CHART_WIDTH, INK, config, style_of
from perturb.charts.tooltips import IMAGES, MODEL, count, interval, number, text
from perturb.experiments.effective_robustness.fits import clipped

_COLUMNS = 4
_AXIS = 62  # width of a y axis with its labels, in px
_HEIGHT = 210
_TICKS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
_TOOLTIP = [
    *MODEL,
    text("test_set_label", "Test set"),
    *interval("unperturbed_accuracy", "Clean accuracy"),
    *interval("accuracy", "Accuracy"),
    number("predicted_accuracy", "Accuracy that the other models predict", ".1%"),
    *interval("effective_robustness", "Effective robustness", "+.1%"),
    count("num_baseline", "Models of the line"),
    IMAGES,
]


def effective_robustness(fits: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return a panel per test set: a mark for each model, and the line through all."""
    chosen = choice()
    looks = identity(style_of(models))
    drawn = fits.assign(
        **_probits(fits, "unperturbed_accuracy", "num_unperturbed"),
        **_probits(fits, "accuracy", "num_images"),
    )
    parts = [
        _panel(rows, looks, chosen, is_first=place % _COLUMNS == 0)
        for place, (_, rows) in enumerate(drawn.groupby("test_set", sort=False))
    ]
    parts[0] = parts[0].add_params(chosen)
    chart: alt.ConcatChart = alt.concat(*parts, columns=_COLUMNS, spacing={"row": 30, "column": 14})
    configured: alt.ConcatChart = chart.configure(**config())
    return configured


def _probits(fits: pd.DataFrame, column: str, num_images: str) -> dict[str, pd.Series]:
    """Return the probits of an accuracy and of its ends, as columns."""
    sizes = fits[num_images].to_numpy()
    return {
        f"probit_{column}{end}": ndtri(clipped(fits[f"{column}{end}"].to_numpy(), sizes))
        for end in ("", "_low", "_high")
    }


def _panel(
    rows: pd.DataFrame, looks: dict[str, object], chosen: alt.Parameter, *, is_first: bool
) -> alt.LayerChart:
    width = CHART_WIDTH / _COLUMNS - _AXIS
    across = alt.X(**_axis(rows, "unperturbed_accuracy", "Clean accuracy (%)"))
    up = alt.Y(**_axis(rows, "accuracy", "Accuracy (%)" if is_first else None))
    base = alt.Chart(rows)
    bars = base.mark_rule(color=INK, strokeWidth=0.8)
    faint = faded(chosen, 0.45, 0.05)
    upright = bars.encode(
        x=across, y=up, y2="probit_accuracy_high:Q", opacity=faint
    ).transform_calculate(probit_accuracy="datum.probit_accuracy_low")
    level = bars.encode(
        x=across, x2="probit_unperturbed_accuracy_high:Q", y=up, opacity=faint
    ).transform_calculate(probit_unperturbed_accuracy="datum.probit_unperturbed_accuracy_low")
    marks = base.mark_point(filled=True, opacity=1).encode(
        x=across, y=up, **looks, opacity=faded(chosen, 0.95, 0.1), tooltip=_TOOLTIP
    )
    title = rows["test_set_label"].iloc[0]
    layers = (_line(rows, across, up), level, upright, marks)
    whole: Any = alt.layer(*layers)
    layered: alt.LayerChart = whole.properties(width=width, height=_HEIGHT, title=title)
    return layered


def _axis(rows: pd.DataFrame, column: str, title: str | None) -> dict[str, Any]:
    low, high = rows[f"probit_{column}_low"].min(), rows[f"probit_{column}_high"].max()
    margin = 0.04 * (high - low)
    ticks = [float(tick) for tick in ndtri(np.array(_TICKS)) if low - margin < tick < high + margin]
    axis = alt.Axis(
        values=ticks,
        labelExpr="format(100 * cumulativeNormal(datum.value), '.2~r')",
        labelOverlap="greedy",
    )
    scale = alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)
    return {"shorthand": f"probit_{column}:Q", "title": title, "scale": scale, "axis": axis}


def _line(rows: pd.DataFrame, across: alt.X, up: alt.Y) -> alt.Chart:
    """Return the line through all models, over the marks and no further."""
    intercept, slope = rows["line_intercept"].iloc[0], rows["line_slope"].iloc[0]
    x = np.array(
        [rows["probit_unperturbed_accuracy"].min(), rows["probit_unperturbed_accuracy"].max()]
    )
    ends = pd.DataFrame(
        {"probit_unperturbed_accuracy": x, "probit_accuracy": intercept + slope * x}
    )
    line: alt.Chart = (
        alt.Chart(ends)
        .mark_line(color=INK, strokeDash=[5, 3], strokeWidth=1.4, clip=True)
        .encode(x=across, y=up)
    )
    return line
