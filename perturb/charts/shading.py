"""What all heat maps share: their colours, the numbers in their cells, the range they span."""

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from perturb.charts.style import INK

# Light for low, dark for high: one hue, ordered by lightness, the same for every eye.
_RANGE = ["#f6efe2", "#dbe4dd", "#aacdd3", "#6fa9c0", "#356f9c", "#173a63"]
_WHITE_FROM = 0.68
# Two digits do not fit into less, in px.
_LEAST_FOR_NUMBERS = 19


def shaded(
    base: alt.Chart, accuracy: pd.Series, *, step: float, title: str = "Accuracy (%)"
) -> list[alt.Chart]:
    """Return layers for the column `accuracy`: coloured boxes, and percent in them where it fits.

    Parameters
    ----------
    base : a chart with x, y and tooltip, whose data has `accuracy` in [0, 1].
    accuracy : all values that the colours must span.
    step : width of a cell, in px.
    """
    low, high = tenths_around(accuracy)
    colour = alt.Color(
        "accuracy:Q",
        title=title,
        scale=alt.Scale(domain=[low, high], range=_RANGE, interpolate="lab"),
        legend=alt.Legend(
            orient="bottom",
            direction="horizontal",
            gradientLength=220,
            labelExpr="format(datum.value * 100, '.0f')",
        ),
    )
    boxes = base.mark_rect(stroke="white", strokeWidth=0.6).encode(color=colour)
    if step < _LEAST_FOR_NUMBERS:
        return [boxes]
    numbers = base.transform_calculate(percent="format(100 * datum.accuracy, '.0f')")
    is_dark = f"datum.accuracy > {low + _WHITE_FROM * (high - low):.3f}"
    return [
        boxes,
        numbers.mark_text(fontSize=11 if step > 24 else 9.5).encode(
            text=alt.Text("percent:N"),
            color=alt.condition(is_dark, alt.value("white"), alt.value(INK)),
        ),
    ]


def tenths_around(accuracy: pd.Series | Sequence[float]) -> tuple[float, float]:
    """Return the tenths around all accuracies: small differences stay visible."""
    low, high = min(accuracy), max(accuracy)
    return math.floor(10 * low) / 10, max(math.ceil(10 * high), math.floor(10 * low) + 1) / 10
