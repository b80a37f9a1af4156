"""The form of the paper's Figures 2, 3 and 6: values by pre-training set, ResNets left, ViTs right.

Networks of other families stand right of the ViTs, behind a gap.

Every mark stands at its model's own place beside the tick, with its interval in ink. Models
differ in colour, shape and area (`perturb.charts.style`); a click on the legend selects them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from perturb.charts.channels import choice, faded, identity, percent_axis, pretraining_order
from perturb.charts.sentences import WORDS, sentence_in, with_words
from perturb.charts.style import CHART_WIDTH, INK, Style, style_of

_HEIGHT = 300
SPACING = 18
Y_AXIS = 60  # width of the y axis with its labels and title, in px
# Mean width of a character, in px.
_LABEL, _HEADER = 6.6, 7.6


@dataclass(frozen=True)
class Value:
    """The drawn values: a column with its `_low` and `_high`.

    panel : the column with the panel of each row.
    empty : the sentence in a panel without a value.
    reference : the value of a horizontal line. A ratio's axis includes it.
    """

    column: str
    title: str
    panel: str
    empty: str = "There is no value."
    is_fraction: bool = True
    reference: float | None = None


def by_pretraining(
    frame: pd.DataFrame,
    models: pd.DataFrame,
    value: Value,
    *,
    tooltip: Sequence[alt.Tooltip],
    width: float = CHART_WIDTH,
) -> alt.FacetChart:
    """Return a panel for each entry of `value.panel`, in their order.

    The caller adds the configuration and the parameter `choice()`: in a row of charts, they are
    set once for all.

    Parameters
    ----------
    frame : model columns, the value's columns, and those of the tooltip.
    models : the table `models`.
    width : of the whole chart, in px; panels that do not fit beside each other are wrapped.
    """
    looks = style_of(models)
    places = slots(looks)
    pretraining = pretraining_order(frame)
    names = list(dict.fromkeys(frame[value.panel]))
    natural = max(_HEADER * _longest(names), len(pretraining) * max(78, 8 * len(places)))
    columns, panel_width = layout(len(names), min(natural, width - Y_AXIS), width)
    frame = with_words(frame, value.panel, [value.column], value.empty)
    base = alt.Chart(frame).encode(
        x=pretraining_axis(pretraining, panel_width / max(1, len(pretraining))),
        xOffset=alt.XOffset("architecture_label:N", scale=alt.Scale(domain=places)),
        tooltip=list(tooltip),
    )
    layers: list[alt.Chart | alt.LayerChart] = _layers(base, frame, value, looks)
    if WORDS in frame:
        layers.append(sentence_in(panel_width, _HEIGHT, value.empty, alt.Chart(frame)))
    panels = alt.layer(*layers)
    panels = panels.properties(width=panel_width, height=_HEIGHT)
    header = alt.Header(labelLimit=panel_width + SPACING)
    if columns == len(names):
        column = alt.Column(f"{value.panel}:N", title=None, sort=names, header=header)
        return panels.facet(column=column, spacing=SPACING)
    facet = alt.Facet(f"{value.panel}:N", title=None, sort=names, header=header)
    return panels.facet(facet=facet, columns=columns, spacing=SPACING)


def _layers(
    base: alt.Chart, frame: pd.DataFrame, value: Value, looks: Style
) -> list[alt.Chart | alt.LayerChart]:
    chosen = choice()
    # In ink: a short interval in the mark's colour would be invisible.
    bars = base.mark_rule(strokeWidth=1.2, color=INK).encode(
        y=alt.Y(f"{value.column}_low:Q").title(value.title),
        y2=alt.Y2(f"{value.column}_high:Q"),
        opacity=faded(chosen, 0.85, 0.05),
    )
    points = base.mark_point(filled=True, strokeWidth=0).encode(
        y=_y(frame, value),
        opacity=faded(chosen, 0.8, 0.06),
        **identity(looks),
    )
    layers = [points, bars]
    if value.reference is None:
        return layers
    # One row per panel remains, and so one line.
    line = alt.Chart(frame).transform_aggregate(rows="count()")
    line = line.mark_rule(color=INK, strokeDash=[5, 3], opacity=0.6)
    return [*layers, line.encode(y=alt.YDatum(value.reference))]


def pretraining_axis(pretraining: list[str], step: float) -> alt.X:
    """Return the x axis of the pre-training sets, `step` px from one to the next."""
    # Side by side, long names of pre-training sets would run into each other.
    angled = {"labelAngle": -30, "labelAlign": "right", "labelLimit": 140}
    straight = {"labelAngle": 0, "labelPadding": 8}
    return alt.X(
        "pretraining_label:O",
        title=None,
        sort=pretraining,
        scale=alt.Scale(paddingInner=0.4, paddingOuter=0.25),
        axis=alt.Axis(
            grid=True,
            ticks=False,
            **(angled if _LABEL * _longest(pretraining) > step else straight),
        ),
    )


def _y(frame: pd.DataFrame, value: Value) -> alt.Y:
    if value.is_fraction:
        return percent_axis(value.column, value.title)
    columns = [value.column, f"{value.column}_low", f"{value.column}_high"]
    ends = [*frame[columns].min(), *frame[columns].max(), value.reference]
    known = [end for end in ends if end is not None and not math.isnan(end)]
    domain = [min(known), max(known)] if known else [0.0, 1.0]
    return alt.Y(
        f"{value.column}:Q",
        title=value.title,
        scale=alt.Scale(domain=domain, zero=False, nice=True),
    )


def layout(num_panels: int, natural: float, width: float) -> tuple[int, float]:
    """Return the number of panels per row and their width in px: narrowed first, then wrapped."""
    room = width - Y_AXIS + SPACING
    fitting = max(1, int(room // (0.7 * natural + SPACING)))
    rows = -(-num_panels // fitting) or 1
    columns = -(-num_panels // rows) or 1
    return columns, min(natural, int(room / columns - SPACING))


def _longest(names: Sequence[str]) -> int:
    return max(map(len, names), default=0)


def slots(looks: Style) -> list[str]:
    """Return the places beside a tick: ResNets left of it, a gap, ViTs right; others behind a gap.

    Each side gets as many places as the longer one needs, so that the tick stays between them.
    """
    pairs = list(zip(looks.labels, looks.families, strict=True))
    left = [label for label, family in pairs if family == "resnet"]
    vits = [label for label, family in pairs if family == "vit"]
    others = [label for label, family in pairs if family == "other"]
    right = [*vits, *(["beyond"] if vits and others else []), *others]
    if not left or not right:
        return left + right
    longest = max(len(left), len(right))
    before = [f"before {place}" for place in range(longest - len(left))]
    after = [f"after {place}" for place in range(longest - len(right))]
    return [*before, *left, "between", *right, *after]
