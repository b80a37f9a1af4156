"""Shared channels of single models' charts: order, style, selection in the legend, percent axes."""

from typing import Any

import altair as alt
import pandas as pd

from perturb.charts.style import OTHER_SHAPE, RESNET_SHAPE, VIT_SHAPES, Style

_LEAST_TICK = 24  # least distance of two numbers on an axis, in px
# From the largest patches to the smallest; the first is a solid line.
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def pretraining_order(frame: pd.DataFrame) -> list[str]:
    """Return the labels of the pre-training sets in a table, from the smallest to the largest."""
    return list(dict.fromkeys(frame.sort_values("pretraining_rank")["pretraining_label"]))


def choice() -> alt.Parameter:
    """Return the selection of architectures by the legend, which highlights them."""
    return alt.selection_point(fields=["architecture_label"], bind="legend", name="chosen")


def identity(looks: Style) -> dict[str, Any]:
    """Return the encodings of architectures, with one legend for all."""
    legend = legend_of(looks)
    return {
        "color": alt.Color(
            "architecture_label:N",
            title=None,
            scale=alt.Scale(domain=looks.labels, range=looks.colours),
            legend=legend,
        ),
        "shape": alt.Shape(
            "architecture_label:N",
            title=None,
            scale=alt.Scale(domain=looks.labels, range=looks.shapes),
            legend=legend,
        ),
        "size": alt.Size(
            "architecture_label:O",
            title=None,
            # An ordinal scale uses each area exactly; the default would interpolate.
            scale=alt.Scale(type="ordinal", domain=looks.labels, range=looks.areas),
            legend=legend,
        ),
    }


def dashes(looks: Style) -> alt.StrokeDash:
    """Return a dash for each patch size: the patch sizes of one size share its colour."""
    unpatched = (RESNET_SHAPE, OTHER_SHAPE)
    patches = sorted(set(looks.shapes) - set(unpatched), key=VIT_SHAPES.index)
    dash_of = dict.fromkeys(unpatched, _DASHES[0])
    dash_of |= {shape: _DASHES[at % len(_DASHES)] for at, shape in enumerate(patches)}
    return alt.StrokeDash(
        "architecture_label:N",
        scale=alt.Scale(domain=looks.labels, range=[dash_of[shape] for shape in looks.shapes]),
        title=None,
        legend=legend_of(looks),
    )


def legend_of(looks: Style) -> alt.Legend:
    """Return the legend of the architectures, below the chart."""
    count = len(looks.labels)
    columns = count if count <= 8 else -(-count // 2)
    return alt.Legend(orient="bottom", columns=columns, symbolOpacity=1, columnPadding=18)


def percent_axis(column: str, title: str) -> alt.Y:
    """Return the y axis of a fraction, from 0 to 100 %."""
    return alt.Y(
        f"{column}:Q",
        title=title,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(
            labelExpr="format(datum.value * 100, '.0f')",
            values=[0, 0.2, 0.4, 0.6, 0.8, 1],
            tickCount=6,  # Vega would leave some out in low panels
        ),
    )


def indices(count: int, length: float) -> alt.Axis:
    """Return the axis of indices from 0, with as many labels as fit into the length, in px."""
    step = -(-count * _LEAST_TICK // int(length))
    values = list(range(0, count, step))
    return alt.Axis(values=values, labelAngle=0, ticks=False, domain=False)


def faded(chosen: alt.Parameter, shown: float, hidden: float) -> alt.OpacityValue:
    """Return the opacity of marks: of those that are chosen, and of all others.

    Altair derives the class of `alt.condition`, and of a channel that is a text, from its schemas
    each time, which takes a third of the time of a chart.
    """
    return alt.OpacityValue(hidden, condition={"param": chosen.name, "value": shown})
