"""The form of the paper's Figures 8 and 9: accuracy over the strength of a change of the model.

One panel per model, one line per kind of change; a dashed line is the unchanged model's accuracy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from perturb.charts.channels import faded, percent_axis
from perturb.charts.panels import Panel, Size, panels
from perturb.charts.style import CONTROL, INK, style_of

_SIZE = Size(widest=260, least=150, height=136)
_DODGE = 3.0  # from one line's marks to the next one's, in px
_TICK = 26  # least distance of two numbers on the x axis, in px
_TICK_OF_PERCENT = 45  # as above, of percentages
_SHAPES = ("circle", "square", "triangle-up")
_Y = "Accuracy (%)"


@dataclass(frozen=True)
class Curves:
    """The drawn columns.

    x : an integer, or a fraction of 0 or more that is shown in percent; the change grows to the
        right.
    title : of the x axis, or its lines.
    way : the column with the kind of change of each line; `{way}_label` is its label.
    ways : the colour of each kind, in order; the line of a control is dashed.
    bars : columns with both ends of the bars.
    is_falling : whether the change grows as x falls.
    spread : columns with both ends of the shaded band, if there is one.
    """

    x: str
    title: str | Sequence[str]
    way: str
    ways: Mapping[str, str]
    is_fraction: bool = False
    is_falling: bool = False
    bars: tuple[str, str] = ("accuracy_low", "accuracy_high")
    spread: tuple[str, str] | None = None


def curves(
    frame: pd.DataFrame, models: pd.DataFrame, what: Curves, tooltip: Sequence[alt.Tooltip]
) -> alt.ConcatChart:
    """Return one panel per model, with one line per kind of change.

    Parameters
    ----------
    frame : model columns, baseline_accuracy, accuracy, and the columns of `what`.
    models : the table `models`.
    """
    labels = _labels(frame, what)
    words = _identity(labels, what)
    chosen = alt.selection_point(fields=[f"{what.way}_label"], bind="legend", name="chosen")
    places = {way: at - (len(labels) - 1) / 2 for at, way in enumerate(labels)}
    frame = frame.assign(aside=frame[what.way].map(places))

    def layers(rows: pd.DataFrame, panel: Panel) -> list[alt.Chart]:
        low, high = _domain(rows[what.x].dropna(), what)
        px = (high - low) / panel.width
        # A continuous axis has no offsets.
        base = (
            alt.Chart()
            .transform_calculate(place=f"datum.{what.x} + {_DODGE * px:.6g} * datum.aside")
            .encode(x=_x((low, high), what, panel), color=words["color"])
        )
        points = base.mark_point(filled=True, strokeWidth=0, size=26).encode(
            y=panel.quieted(percent_axis("accuracy", _Y)),
            shape=words["shape"],
            opacity=faded(chosen, 1, 0.08),
            tooltip=list(tooltip),
        )
        lines = base.mark_line(strokeWidth=1.6).encode(
            y=alt.Y("accuracy:Q"),
            strokeDash=words["strokeDash"],
            opacity=faded(chosen, 0.9, 0.08),
        )
        return [*_spread(base, what, chosen), _baseline(), lines, _bars(base, what, chosen), points]

    return panels(frame, style_of(models).labels, layers, size=_SIZE, chosen=chosen)


def _labels(frame: pd.DataFrame, what: Curves) -> dict[str, str]:
    """Return the label of each kind of change in the frame, in order."""
    labels = dict(zip(frame[what.way], frame[f"{what.way}_label"], strict=True))
    return {way: labels[way] for way in what.ways if way in labels}


def _identity(labels: dict[str, str], what: Curves) -> dict[str, Any]:
    """Return the encodings of the lines, with one legend for all."""
    legend = alt.Legend(
        orient="bottom", direction="horizontal", symbolOpacity=1, symbolSize=60, labelLimit=400
    )
    looks = [_look_of(way, what) for way in labels]
    domain = list(labels.values())
    field = f"{what.way}_label:N"

    def scale(place: int) -> alt.Scale:
        return alt.Scale(domain=domain, range=[each[place] for each in looks])

    return {
        "color": alt.Color(field, title=None, scale=scale(0), legend=legend),
        "shape": alt.Shape(field, title=None, scale=scale(1), legend=legend),
        "strokeDash": alt.StrokeDash(field, title=None, scale=scale(2), legend=legend),
    }


def _look_of(way: str, what: Curves) -> tuple[str, str, list[int]]:
    """Return colour, shape and dash of each kind of change, the same in every study."""
    shape = _SHAPES[list(what.ways).index(way)]
    colour = what.ways[way]
    return colour, shape, [4, 3] if colour == CONTROL else [1, 0]


def _domain(values: pd.Series, what: Curves) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = max(0.02, 0.04 * (high - low)) if what.is_fraction else 0.5
    return low - margin, high + margin


def _x(domain: tuple[float, float], what: Curves, panel: Panel) -> alt.X:
    scale = alt.Scale(domain=list(domain), nice=False, zero=False, reverse=what.is_falling)
    if what.is_fraction:
        axis = _axis_of_fractions(domain, panel)
    else:
        first, last = math.ceil(domain[0]), math.floor(domain[1])
        step = math.ceil((last - first + 1) * _TICK / panel.width)
        axis = alt.Axis(values=list(range(first, last + 1, step)), format="d")
    title = what.title if isinstance(what.title, str) else list(what.title)
    return alt.X("place:Q", title=title, scale=scale, axis=axis)


def _axis_of_fractions(domain: tuple[float, float], panel: Panel) -> alt.Axis:
    """Return an axis in percent without numbers below 0: no size of a change is negative."""
    low, high = domain
    least = (high - low) / max(2, panel.width // _TICK_OF_PERCENT)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(number * power for number in (1, 2, 5, 10) if number * power >= least)
    numbers = range(max(0, math.ceil(low / step)), math.floor(high / step) + 1)
    digits = max(0, -math.floor(math.log10(100 * step) + 1e-9))
    return alt.Axis(
        values=[round(number * step, 12) for number in numbers],
        labelExpr=f"format(datum.value * 100, '.{digits}f')",
    )


def _baseline() -> alt.Chart:
    # One row per panel remains, and so one line.
    row = alt.Chart().transform_aggregate(unchanged="max(baseline_accuracy)")
    line: alt.Chart = row.mark_rule(color=INK, strokeDash=[5, 3], opacity=0.75).encode(
        y=alt.Y("unchanged:Q")
    )
    return line


def _spread(base: alt.Chart, what: Curves, chosen: alt.Parameter) -> list[alt.Chart]:
    if what.spread is None:
        return []
    low, high = what.spread
    opacity = faded(chosen, 0.16, 0.02)
    area: alt.Chart = base.mark_area().encode(
        y=alt.Y(f"{low}:Q"), y2=alt.Y2(f"{high}:Q"), opacity=opacity
    )
    return [area]


def _bars(base: alt.Chart, what: Curves, chosen: alt.Parameter) -> alt.Chart:
    low, high = what.bars
    bars: alt.Chart = base.mark_rule(strokeWidth=1.1).encode(
        y=alt.Y(f"{low}:Q"),
        y2=alt.Y2(f"{high}:Q"),
        opacity=faded(chosen, 0.75, 0.05),
    )
    return bars
