"""The paper's Figure 3, accuracy under every attack, and accuracy over epsilon."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from perturb.charts.channels import choice, dashes, faded, identity, percent_axis, pretraining_order
from perturb.charts.style import CHART_WIDTH, INK, Style, config, style_of
from perturb.charts.test_sets import by_test_set
from perturb.charts.tooltips import (
    EPSILON,
    IMAGES,
    MODEL,
    PARAMETERS,
    count,
    interval,
    number,
    text,
)

_SPACING = 18
_SIDES = 100  # width of names and axes, in px
_WIDEST = 420
_DODGE = 2.5  # distance between the marks of two models, in px
_AREA = 34


@dataclass(frozen=True)
class _Axis:
    """The axis of epsilon: its column, its title, and the column's entry in a tooltip."""

    column: str
    title: str
    entry: alt.Tooltip

    @property
    def tooltip(self) -> list[alt.Tooltip]:
        """The entries of a mark's tooltip."""
        return [
            *MODEL,
            text("attack_label", "Attack"),
            self.entry,
            *interval("accuracy", "Accuracy"),
            IMAGES,
            count("num_attacked", "Clean and correct, attacked"),
            count("num_zero_gradient", "Attacked with zero gradient"),
            PARAMETERS,
        ]


_GRAY = _Axis("epsilon_gray", "Epsilon (gray levels, 0 = clean)", EPSILON)
_LENGTH = _Axis(
    "l2_epsilon",
    "Epsilon (L2, pixels in [0, 1], 0 = clean)",
    number("l2_epsilon", "Epsilon (L2)"),
)


def adversarial(attacks: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return one panel per attack, next to the same images before the attack."""
    is_clean = attacks["test_set"] == "clean"
    frame = attacks.assign(test_set_label=attacks["test_set_label"].mask(is_clean, "Clean"))
    tooltip = [
        *MODEL,
        text("test_set_label", "Attack"),
        EPSILON,
        *interval("accuracy", "Accuracy"),
        IMAGES,
        PARAMETERS,
    ]
    return by_test_set(frame, models, tooltip)


def robust_accuracy(curve: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return one panel per attack and pre-training set: accuracy over epsilon, one line per model.

    Of an ensemble the last stage is drawn, which gives the accuracy after all stages.
    """
    return _curves(curve, models, _GRAY)


def robust_accuracy_l2(curve: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return the same for the ensemble in the L2 ball."""
    return _curves(curve.assign(is_headline=False), models, _LENGTH)


def _curves(curve: pd.DataFrame, models: pd.DataFrame, axis: _Axis) -> alt.FacetChart:
    final = curve[curve["is_final"].astype(bool)]
    looks = style_of(models)
    attacks = list(dict.fromkeys(final["attack_label"]))
    pretraining = pretraining_order(final)
    width = min(_WIDEST, (CHART_WIDTH - _SIDES) // max(1, len(attacks)) - _SPACING)
    epsilons = sorted({epsilon for epsilon in final[axis.column] if epsilon > 0})
    rows = _placed(_with_clean(final, axis), looks, axis, epsilons, width)
    chart: alt.FacetChart = (
        alt.layer(*_layers(rows, looks, axis, epsilons))
        .properties(width=width, height=190 if len(pretraining) > 1 else 260)
        .facet(
            column=alt.Column("attack_label:N", title=None, sort=attacks),
            row=alt.Row("pretraining_label:N", title=None, sort=pretraining),
            spacing=_SPACING,
        )
        .add_params(choice())
        .configure(**config())
    )
    return chart


def _layers(
    rows: pd.DataFrame, looks: Style, axis: _Axis, epsilons: Sequence[float]
) -> list[alt.Chart]:
    chosen, words, data = choice(), identity(looks), alt.Chart(rows)
    base = data.encode(
        x=_x(axis, epsilons), y=percent_axis("accuracy", "Accuracy (%)"), color=words["color"]
    )
    lines = base.mark_line(strokeWidth=1.5).encode(
        detail=alt.Detail("model:N"),
        strokeDash=dashes(looks),
        opacity=faded(chosen, 0.85, 0.06),
    )
    bars = base.mark_rule(strokeWidth=1).encode(
        y=percent_axis("accuracy_low", "Accuracy (%)"),
        y2=alt.Y2("accuracy_high:Q"),
        opacity=faded(chosen, 0.55, 0.04),
    )
    points = base.mark_point(filled=True, strokeWidth=0, size=_AREA).encode(
        shape=words["shape"],
        opacity=faded(chosen, 0.95, 0.06),
        tooltip=axis.tooltip,
    )
    # Each panel keeps one row, and so one line.
    headline = (
        data.transform_filter("datum.is_headline")
        .transform_aggregate(rows="count()", groupby=[axis.column])
        .mark_rule(color=INK, strokeDash=[2, 3], opacity=0.6)
        .encode(x=alt.X(f"{axis.column}:Q"))
    )
    return [lines, bars, points, headline]


def _x(axis: _Axis, epsilons: Sequence[float]) -> alt.X:
    least, largest = epsilons[0], epsilons[-1]
    return alt.X(
        "place:Q",
        title=axis.title,
        # Logarithmic except for its start, so that epsilon 0 has a position.
        scale=alt.Scale(type="symlog", constant=least, domain=[0, largest], nice=False, padding=12),
        axis=alt.Axis(values=[0, *epsilons], format=".3~g", labelOverlap=False),
    )


def _placed(
    rows: pd.DataFrame, looks: Style, axis: _Axis, epsilons: Sequence[float], width: float
) -> pd.DataFrame:
    """Return the rows with `place`: epsilon, shifted so that intervals do not overlap.

    A continuous axis has no offsets, so the shift in px is computed from the scale of `_x`.
    """
    least, largest = epsilons[0], epsilons[-1]
    px = math.log1p(largest / least) / width
    middle = (len(looks.labels) - 1) / 2
    aside = {label: (at - middle) * _DODGE * px for at, label in enumerate(looks.labels)}
    place = [
        least * math.expm1(math.log1p(epsilon / least) + aside[label])
        for epsilon, label in zip(rows[axis.column], rows["architecture_label"], strict=True)
    ]
    return rows.assign(place=place)


def _with_clean(final: pd.DataFrame, axis: _Axis) -> pd.DataFrame:
    """Return the rows with the clean accuracy added at epsilon 0."""
    columns = {f"clean_accuracy{end}": f"accuracy{end}" for end in ("", "_low", "_high")}
    starts = final.drop_duplicates(["attack", "model"]).drop(columns=list(columns.values()))
    starts = starts.rename(columns=columns).assign(**{axis.column: 0.0}, is_headline=False)
    return pd.concat([starts, final.drop(columns=list(columns))], ignore_index=True)
