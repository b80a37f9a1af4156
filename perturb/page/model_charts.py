"""Charts whose data the reader chooses on the page: the page's scripts set values and titles."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import altair as alt

from perturb.charts.style import CONTROL, INK, SERIES, config

# Names of the data sets that the page's scripts fill.
_MODELS, _DIFFERENCES = "models", "differences"
_FAINT = 0.35
# A longer legend would be taller than the chart; the names stand in the tooltips.
_MOST_IN_LEGEND = 16


def choosing_chart(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the chart of two measures: a mark a model, its intervals, and the Pareto front.

    Parameters
    ----------
    models : id, name, architecture, colour, shape.

    Returns
    -------
    A specification over values that the page sets: id, name, architecture, x, x_low, x_high,
    x_text, y, y_low, y_high, y_text, cost, cost_text, is_front, is_chosen, side.
    """
    styles = {model["architecture"]: model for model in models}
    base = alt.Chart(alt.NamedData(name=_MODELS)).encode(
        opacity=alt.condition("datum.is_front || datum.is_chosen", alt.value(1), alt.value(_FAINT))
    )
    across = alt.X("x:Q", title="", scale=alt.Scale(zero=False, nice=True))
    up = alt.Y("y:Q", title="", scale=alt.Scale(zero=False, nice=True))
    spec = alt.layer(
        base.transform_filter("datum.x_low != null")
        .mark_rule(color=CONTROL)
        .encode(alt.X("x_low:Q"), alt.X2("x_high:Q"), up)
        .properties(name="across"),
        base.transform_filter("datum.y_low != null")
        .mark_rule(color=CONTROL)
        .encode(across, alt.Y("y_low:Q"), alt.Y2("y_high:Q"))
        .properties(name="up"),
        # With a third measure the front is no line.
        base.transform_filter("datum.is_front && datum.cost == null")
        .mark_line(color=INK, strokeDash=[4, 3])
        .encode(across, up, opacity=alt.value(1))
        .properties(name="front"),
        _chosen_ring(base, across, up),
        _marks(base, across, up, styles).properties(name="marks"),
        *(
            _names(base, across, up, *side)
            for side in product(("left", "right"), ("above", "below"))
        ),
    ).properties(width="container", height=430)
    return _finished(spec)


def _marks(
    base: alt.Chart, across: alt.X, up: alt.Y, styles: Mapping[str, Mapping[str, Any]]
) -> alt.Chart:
    labels = list(styles)
    legend = alt.Legend(title=None, orient="bottom") if len(labels) <= _MOST_IN_LEGEND else None
    marks: alt.Chart = base.mark_point(
        filled=True, cursor="pointer", stroke="white", strokeWidth=0.6
    ).encode(
        across,
        up,
        color=alt.Color(
            "architecture:N",
            legend=legend,
            scale=alt.Scale(domain=labels, range=[styles[label]["colour"] for label in labels]),
        ),
        shape=alt.Shape(
            "architecture:N",
            legend=legend,
            scale=alt.Scale(domain=labels, range=[styles[label]["shape"] for label in labels]),
        ),
        size=alt.Size("cost:Q", legend=None, scale=alt.Scale(type="log", range=[50, 420])),
        tooltip=[
            alt.Tooltip("name:N", title="Model"),
            alt.Tooltip("x_text:N", title="Across"),
            alt.Tooltip("y_text:N", title="Up"),
            alt.Tooltip("cost_text:N", title="Cost"),
        ],
    )
    return marks


def _names(base: alt.Chart, across: alt.X, up: alt.Y, beside: str, level: str) -> alt.Chart:
    """Return the names on one side of their marks."""
    is_left, side = beside == "left", f"{beside} {level}"
    text = base.transform_filter(f"datum.side == '{side}'").mark_text(
        align="right" if is_left else "left",
        dx=-9 if is_left else 9,
        dy=-9 if level == "above" else 12,
        fontSize=11.5,
        color=INK,
    )
    found: alt.Chart = text.encode(across, up, text="name:N").properties(name=side)
    return found


def _chosen_ring(base: alt.Chart, across: alt.X, up: alt.Y) -> alt.Chart:
    ring = base.transform_filter("datum.is_chosen").mark_point(
        filled=False, shape="circle", size=700, stroke=INK, strokeWidth=2, opacity=1
    )
    named: alt.Chart = ring.encode(across, up).properties(name="chosen")
    return named


def difference_chart() -> dict[str, Any]:
    """Return the chart of one model's lead over another: a dot and its interval a measure.

    Returns
    -------
    A specification over values that the page sets: label, lead, low, high (points), better, text.
    """
    base = alt.Chart(alt.NamedData(name=_DIFFERENCES)).encode(
        y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelOverlap=False)),
        color=alt.Color(
            "better:N",
            legend=None,
            scale=alt.Scale(domain=["a", "b", "neither"], range=[SERIES[2], SERIES[1], CONTROL]),
        ),
        tooltip=[
            alt.Tooltip("label:N", title="Measure"),
            alt.Tooltip("text:N", title="Lead (points)"),
        ],
    )
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK).encode(x="zero:Q")
    spec = alt.layer(
        zero,
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=""), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("lead:Q", title="")),
    ).properties(width="container")
    return _finished(spec)


def _finished(chart: alt.LayerChart | alt.FacetChart) -> dict[str, Any]:
    spec: dict[str, Any] = chart.to_dict(validate=False)
    # The page's own paper.
    look = {**config(), "background": "transparent"}
    spec["config"] = {**look, "axis": {**look["axis"], "titleLimit": 600}}
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec
