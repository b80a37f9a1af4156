"""The form of the charts of changed models: one panel per model, one row per pre-training set.

Columns are architectures, and the panels of each have an x axis of their own: depths, heads
and grids differ between architectures. Columns that do not fit beside each other are wrapped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import altair as alt
import pandas as pd

from perturb.charts.channels import pretraining_order
from perturb.charts.sentences import NO_MODEL, WORDS, sentence_in
from perturb.charts.style import CHART_WIDTH, HEADER_SIZE, config

_SPACING = 14
_SIDES = 80  # width of the row headers and the first y axis, in px
_CHARACTER = 7.6  # mean width of a character of a header, in px
_LEAST_HEADER = 10.0


@dataclass(frozen=True)
class Size:
    """The size of panels, in px.

    height : of each panel; None for squares.
    axis : width of the y axis of each column but the first.
    """

    widest: float
    least: float
    height: float | None
    axis: float = 0.0


@dataclass(frozen=True)
class Panel:
    """A panel of a column: its size in px, and whether its column is the first of its row."""

    width: float
    height: float
    is_first: bool

    def quieted(self, y: alt.Y) -> alt.Y:
        """Return a y axis that all columns share: only the first shows its labels."""
        if self.is_first:
            return y
        axis = y["axis"].copy()
        axis["labels"] = axis["ticks"] = axis["domain"] = False
        quiet: alt.Y = y.axis(axis).title(None)
        return quiet


Layers = Callable[[pd.DataFrame, Panel], Sequence[alt.Chart]]


class FinishedLayers(alt.LayerChart):
    """Layers that are a part of one chart, and are not changed afterwards.

    Altair would copy them, with all that is in them, several times at each level of nesting.
    """

    def __deepcopy__(self, _: object) -> "FinishedLayers":
        return self


def panels(
    frame: pd.DataFrame,
    names: Sequence[str],
    layers: Layers,
    *,
    size: Size,
    chosen: alt.Parameter | None = None,
) -> alt.ConcatChart:
    """Return a column of panels for each architecture: a whole chart. See `columns`."""
    parts = columns(frame, names, layers, size=size, chosen=chosen)
    chart: alt.ConcatChart = parts.configure(**config())
    return chart


def columns(
    frame: pd.DataFrame,
    names: Sequence[str],
    layers: Layers,
    *,
    size: Size,
    column: str = "architecture_label",
    chosen: alt.Parameter | None = None,
) -> alt.ConcatChart:
    """Return a column of panels for each name with rows in the frame, without configuration.

    Parameters
    ----------
    frame : `pretraining_label` and `pretraining_rank`, the column, and what the layers draw.
    names : entries of the column, in their order.
    layers : the layers of a column of panels, from its rows.
    chosen : a parameter that the layers refer to.
    """
    present = [name for name in names if name in set(frame[column])]
    pretraining = pretraining_order(frame)
    count, width = _layout(len(present), size)
    height = size.height or width
    fitting = header_size(present, width)

    def part(name: str, is_first: bool) -> alt.FacetChart:
        rows = _padded(frame[frame[column] == name], column, pretraining)
        missing = sentence_in(width, height, NO_MODEL, alt.Chart())
        drawn = [*layers(rows, Panel(width, height, is_first))]
        if chosen is not None and name == present[0]:
            drawn[0] = drawn[0].add_params(chosen)
        layered = FinishedLayers(
            layer=[*drawn, *([missing] if WORDS in rows else [])],
            data=rows,
            width=width,
            height=height,
        )
        return layered.facet(
            column=alt.Column(f"{column}:N", title=None, header=alt.Header(labelFontSize=fitting)),
            row=alt.Row(
                "pretraining_label:N",
                title=None,
                sort=pretraining,
                header=alt.Header(labels=is_first, labelLimit=height + _SPACING),
            ),
            spacing=_SPACING,
            # Marks on the edge of a panel must not move the next panel.
            bounds="flush",
        )

    parts = [part(name, at % count == 0) for at, name in enumerate(present)]
    # Altair copies all parts again at each level of nesting: rows of rows would take twice as long.
    return alt.concat(*parts, columns=count, spacing={"row": 24, "column": _SPACING})


def crossed(frame: pd.DataFrame, row: str, column: str, sentence: str) -> pd.DataFrame:
    """Return the rows, with a row of `WORDS`, the sentence, for each missing panel of a grid.

    Vega fills the cells of a grid in order: if one is missing, all later panels would have wrong
    headers.
    """
    present = set(zip(frame[row], frame[column], strict=True))
    every = product(dict.fromkeys(frame[row]), dict.fromkeys(frame[column]))
    empty = [{row: one, column: other, WORDS: sentence} for one, other in every]
    empty = [each for each in empty if (each[row], each[column]) not in present]
    return _with_rows(frame, empty)


def header_size(names: Sequence[str], width: float) -> float:
    """Return the font size at which every name fits over its panel, within limits."""
    needed = _CHARACTER * max(map(len, names), default=0)
    return max(_LEAST_HEADER, HEADER_SIZE * min(1.0, width / max(1.0, needed)))


def _layout(num_columns: int, size: Size) -> tuple[int, float]:
    """Return the number of columns per row, in equal rows, and a panel's width."""
    room = CHART_WIDTH - _SIDES + _SPACING + size.axis
    fitting = max(1, int(room // (size.least + size.axis + _SPACING)))
    rows = -(-num_columns // fitting)
    count = -(-num_columns // rows)
    return count, min(size.widest, int(room / count - size.axis - _SPACING))


def _padded(rows: pd.DataFrame, column: str, pretraining: Sequence[str]) -> pd.DataFrame:
    """Return rows with an empty one for each missing panel, so that rows of panels stay aligned."""
    missing = [label for label in pretraining if label not in set(rows["pretraining_label"])]
    name = rows[column].iloc[0]
    empty = [{column: name, "pretraining_label": label, WORDS: NO_MODEL} for label in missing]
    return _with_rows(rows, empty)


def _with_rows(frame: pd.DataFrame, empty: list[dict[str, Any]]) -> pd.DataFrame:
    # Appending a table with only missing values causes a warning.
    values = frame.to_dict("records") + empty
    return pd.DataFrame(values, columns=[*frame.columns, WORDS]) if empty else frame
