"""Shared parts of heat maps: their colours, the numbers in their cells, their range."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from perturb.charts.style import INK, between

# Light for low, dark for high: one hue, ordered by lightness, for every kind of colour vision.
_RANGE = ["#f6efe2", "#dbe4dd", "#aacdd3", "#6fa9c0", "#356f9c", "#173a63"]
# Values equally far below zero are about equally dark, in another hue.
_BELOW = [_RANGE[0], "#8a3f12"]
_WHITE_FROM = 0.68
FINE = 8.0  # smaller cells have no gaps, in px
# Smallest cell into which two digits fit, in px.
_LEAST_WIDTH, _LEAST_HEIGHT = 19, 11


@dataclass(frozen=True)
class Shades:
    """The colours of a column's values.

    domain, range : the colours' stops.
    dark : a condition for the cells on which dark text is not legible.
    is_percent : whether the legend multiplies by 100.
    """

    column: str
    title: str
    domain: list[float]
    range: list[str]
    dark: str
    is_percent: bool = True

    def boxes(self, base: alt.Chart, *, is_fine: bool = False) -> alt.Chart:
        """Return the coloured cells, with the legend below the chart.

        Small cells have neither gaps nor texts for screen readers: there are thousands.
        """
        words = "format(datum.value * 100, '.0f')" if self.is_percent else "datum.label"
        legend = alt.Legend(
            orient="bottom",
            direction="horizontal",
            gradientLength=220,
            titleLimit=400,
            labelExpr=words,
        )
        scale = alt.Scale(domain=self.domain, range=self.range, interpolate="lab")
        colour = alt.Color(f"{self.column}:Q", title=self.title, scale=scale, legend=legend)
        form = {"aria": False} if is_fine else {"stroke": "white", "strokeWidth": 0.6}
        cells: alt.Chart = base.mark_rect(**form).encode(color=colour)
        return cells

    def numbers(self, base: alt.Chart, width: float, height: float = math.inf) -> list[alt.Chart]:
        """Return percent in the cells, of this size in px, if it fits."""
        if width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
            return []
        # A number that rounds to zero has no sign.
        percent = f"replace(format(100 * datum.{self.column}, '.0f'), /^[^0-9]0$/, '0')"
        # Vega would show a missing value as 0.
        known = base.transform_filter(f"isValid(datum.{self.column})")
        text = known.transform_calculate(percent=percent)
        return [
            text.mark_text(fontSize=11 if min(width, 1.8 * height) > 24 else 9.5).encode(
                text=alt.Text("percent:N"),
                color=alt.condition(self.dark, alt.value("white"), alt.value(INK)),
            )
        ]


def sequential(
    column: str, domain: tuple[float, float], title: str, *, is_percent: bool = True
) -> Shades:
    """Return shades from light to dark over the domain."""
    low, high = domain
    dark = f"datum.{column} > {low + _WHITE_FROM * (high - low):.3f}"
    return Shades(column, title, [low, high], _RANGE, dark, is_percent)


def signed(column: str, values: pd.Series, title: str) -> Shades:
    """Return shades that grow darker away from zero, in one hue above it and another below."""
    known = values.dropna()
    low, high = min(0.0, *known, 0.0), max(0.01, *known, 0.01)
    most = max(-low, high)
    steps = [most * place / (len(_RANGE) - 1) for place in range(len(_RANGE))]
    below = ([low], [between(_BELOW, -low / most)]) if low < 0 else ([], [])
    dark = f"abs(datum.{column}) > {_WHITE_FROM * most:.3f}"
    return Shades(column, title, below[0] + steps, below[1] + _RANGE, dark)


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
    shades = sequential("accuracy", tenths_around(accuracy), title)
    return [shades.boxes(base), *shades.numbers(base, step)]


def tenths_around(accuracy: pd.Series | Sequence[float]) -> tuple[float, float]:
    """Return the tenths around all accuracies, so that small differences are visible."""
    low, high = min(accuracy), max(accuracy)
    return math.floor(10 * low) / 10, max(math.ceil(10 * high), math.floor(10 * low) + 1) / 10
