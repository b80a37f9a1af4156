"""Measured values over the paper's values; equal values are on the diagonal."""

import altair as alt
import pandas as pd

from perturb.charts.channels import choice, faded, identity, percent_axis
from perturb.charts.style import CHART_WIDTH, INK, config, style_of
from perturb.charts.tooltips import IMAGES, MODEL, PARAMETERS, interval, number, text

_SIDE = 205
_SPACING = 18
_AXIS = 60  # width of the y axis, in px
_TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1]
_TOOLTIP = [
    *MODEL,
    text("quantity_label", "Quantity"),
    text("setting", "Setting"),
    *interval("ours", "Measured"),
    number("paper_value", "Paper", ".1%"),
    text("bound", "Paper's number is"),
    number("tolerance", "Tolerance", ".1%"),
    *interval("paper_difference", "Measured minus paper", "+.1%"),
    text("verdict", "Within"),
    text("figure", "In the paper"),
    IMAGES,
    PARAMETERS,
]


def paper_comparison(comparison: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return one panel per quantity: measured over paper's values, with the diagonal.

    Horizontal bars are the tolerance, from 0 where the paper's value is an upper bound; vertical
    bars are the measured interval. Hollow: the difference is larger than both explain.
    """
    frame = _drawn(comparison)
    quantities = list(dict.fromkeys(frame["quantity_label"]))
    fitting = (CHART_WIDTH - _AXIS + _SPACING) // (_SIDE + _SPACING)
    chart: alt.FacetChart = (
        alt.layer(*_layers(alt.Chart(frame), models))
        .properties(width=_SIDE, height=_SIDE)
        .facet(
            facet=alt.Facet(
                "quantity_label:N",
                title=None,
                sort=quantities,
                header=alt.Header(labelLimit=_SIDE + _SPACING, labelFontSize=12),
            ),
            columns=min(fitting, len(quantities)),
            spacing=_SPACING,
        )
        .add_params(choice())
        .configure(**config())
    )
    return chart


def _layers(data: alt.Chart, models: pd.DataFrame) -> list[alt.Chart]:
    chosen, words = choice(), identity(style_of(models))
    # Each panel keeps one row, and so one line.
    line = data.transform_aggregate(rows="count()").mark_rule(
        color=INK, strokeDash=[5, 3], opacity=0.6
    )
    diagonal = line.encode(x=alt.XDatum(0), y=alt.YDatum(0), x2=alt.X2Datum(1), y2=alt.Y2Datum(1))
    bars = data.mark_rule(strokeWidth=1.2, color=INK).encode(opacity=faded(chosen, 0.75, 0.05))
    across = bars.encode(x=_x("paper_low"), x2=alt.X2("paper_high:Q"), y=_y())
    upwards = bars.encode(x=_x("paper_value"), y=_y("ours_low"), y2=alt.Y2("ours_high:Q"))
    points = data.encode(
        x=_x("paper_value"),
        y=_y(),
        opacity=faded(chosen, 0.85, 0.06),
        tooltip=_TOOLTIP,
        **words,
    )
    filled = points.transform_filter("datum.is_within").mark_point(filled=True, strokeWidth=0)
    hollow = points.transform_filter("!datum.is_within").mark_point(filled=False, strokeWidth=1.6)
    return [filled, hollow, across, upwards, diagonal]


def _drawn(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the ends of the paper's bars, and the text of the tooltip."""
    is_bound = comparison["is_upper_bound"].astype(bool)
    low = (comparison["paper_value"] - comparison["tolerance"]).clip(lower=0)
    return comparison.assign(
        paper_low=low.mask(is_bound, 0.0),
        paper_high=(comparison["paper_value"] + comparison["tolerance"]).clip(upper=1),
        bound=is_bound.map({True: "an upper bound", False: "read off the figure"}),
        verdict=comparison["is_within"].astype(bool).map({True: "yes", False: "no"}),
    )


def _x(column: str) -> alt.X:
    return alt.X(
        f"{column}:Q",
        title="Paper (%)",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labelExpr="format(datum.value * 100, '.0f')", values=_TICKS),
    )


def _y(column: str = "ours") -> alt.Y:
    return percent_axis(column, "Measured (%)")
