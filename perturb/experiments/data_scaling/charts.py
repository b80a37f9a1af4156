"""Accuracy, and the gap between ViTs and ResNets, over the number of pre-training images."""

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from perturb.charts.channels import choice, faded, identity
from perturb.charts.runs import entries_of
from perturb.charts.shading import tenths_around
from perturb.charts.style import CHART_WIDTH, INK, Style, config, style_of
from perturb.charts.tooltips import IMAGES, MODEL, PARAMETERS, count, interval, number, text

_COLUMNS = 3
_SIDES = 60  # width of the y axis with its labels and title, in px
_SPACING = 18
_HEIGHT = 260
_DODGE = 4.0  # from the marks of one model to those of the next, in px
_SET = count("pretraining_images", "Pre-training images")
_TEST_SET = text("test_set_label", "Test set")
_OF_MODELS = [
    *MODEL,
    _SET,
    _TEST_SET,
    *interval("accuracy", "Accuracy"),
    count("num_trainings", "Trainings"),
    PARAMETERS,
    IMAGES,
]
_OF_PAIRS = [
    text("vit_label", "ViT"),
    text("resnet_label", "ResNet"),
    number("parameter_ratio", "Parameter ratio", ".2f"),
    _SET,
    _TEST_SET,
    *interval("difference", "ViT minus ResNet", "+.1%"),
    IMAGES,
]


def data_scaling(points: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return accuracy over pre-training images, with a line through the sets of each model."""
    y = alt.Y(
        "accuracy:Q",
        title="Accuracy (%)",
        # Of models that all are far above 0 the difference would be too small to see.
        scale=alt.Scale(domain=list(tenths_around(_ends(points, "accuracy"))), zero=False),
        axis=alt.Axis(labelExpr="format(datum.value * 100, '.0f')"),
    )
    return _panels(points, models, "accuracy", y, _OF_MODELS)


def data_gaps(points: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return ViT minus ResNet over pre-training images, with a line at zero."""
    ends = [*_ends(points, "difference"), 0.0]
    y = alt.Y(
        "difference:Q",
        title="ViT minus ResNet (points)",
        scale=alt.Scale(domain=[min(ends), max(ends)], nice=True),
        axis=alt.Axis(labelExpr="datum.value ? format(datum.value * 100, '+.0f') : '0'"),
    )
    of_vits = points.assign(architecture_label=points["vit_label"])
    return _panels(of_vits, models, "difference", y, _OF_PAIRS, reference=0)


def _ends(points: pd.DataFrame, column: str) -> Sequence[float]:
    """Return the ends of all intervals."""
    return [*points[f"{column}_low"], *points[f"{column}_high"]]


def _panels(
    points: pd.DataFrame,
    models: pd.DataFrame,
    column: str,
    y: alt.Y,
    tooltip: Sequence[alt.Tooltip],
    reference: float | None = None,
) -> alt.FacetChart:
    """Return a panel per test set, with a line for each architecture of the points.

    column : the values; the ends of their intervals are the columns `_low` and `_high`.
    y : their axis.
    reference : where a dashed line across every panel is.
    """
    looks = style_of(entries_of(models)).only(set(points["architecture_label"]))
    names = list(dict.fromkeys(points["test_set_label"]))
    columns = math.ceil(len(names) / math.ceil(len(names) / _COLUMNS))  # rows of equal length
    width = int((CHART_WIDTH - _SIDES) / columns - _SPACING) if columns > 1 else 520
    domain = _domain(points["pretraining_images"], len(looks.labels), width)
    px = math.log10(domain[1] / domain[0]) / width
    places = {label: at - (len(looks.labels) - 1) / 2 for at, label in enumerate(looks.labels)}
    aside = points["architecture_label"].map(places) * _DODGE * px
    points = points.assign(place=points["pretraining_images"] * 10**aside)
    base = alt.Chart(points).encode(x=_x(points, domain))
    layers = _layers(base, looks, column, y, tooltip)
    if reference is not None:
        # One row per panel remains, and so one line.
        line = alt.Chart(points).transform_aggregate(rows="count()")
        line = line.mark_rule(color=INK, strokeDash=[5, 3], opacity=0.6)
        layers.append(line.encode(y=alt.YDatum(reference)))
    chart: alt.FacetChart = (
        alt.layer(*layers)
        .properties(width=width, height=_HEIGHT)
        .facet(
            facet=alt.Facet("test_set_label:N", title=None, sort=names),
            columns=columns,
            spacing=_SPACING,
        )
        .add_params(choice())
        .configure(**config())
    )
    return chart


def _layers(
    base: alt.Chart, looks: Style, column: str, y: alt.Y, tooltip: Sequence[alt.Tooltip]
) -> list[alt.Chart]:
    chosen, words = choice(), identity(looks)
    lines = base.mark_line(strokeWidth=1.6).encode(
        y=alt.Y(f"{column}:Q"), color=words["color"], opacity=faded(chosen, 0.9, 0.08)
    )
    # In ink: a short interval in the mark's colour would be invisible.
    bars = base.mark_rule(strokeWidth=1.1, color=INK).encode(
        y=alt.Y(f"{column}_low:Q"),
        y2=alt.Y2(f"{column}_high:Q"),
        opacity=faded(chosen, 0.8, 0.05),
    )
    points = base.mark_point(filled=True, strokeWidth=0).encode(
        y=y, opacity=faded(chosen, 0.9, 0.06), tooltip=list(tooltip), **words
    )
    return [lines, points, bars]


def _domain(images: pd.Series, num_series: int, width: float) -> tuple[float, float]:
    """Return the ends of the x axis: the sets, with room for the marks beside the outer ones."""
    low, high = float(images.min()), float(images.max())
    margin = 10 ** (math.log10(high / low) * (num_series * _DODGE / 2 + 8) / width)
    return low / margin, high * margin


def _x(points: pd.DataFrame, domain: tuple[float, float]) -> alt.X:
    return alt.X(
        "place:Q",
        title="Pre-training images",
        scale=alt.Scale(type="log", domain=list(domain), nice=False),
        axis=alt.Axis(values=sorted(set(points["pretraining_images"])), format="~s"),
    )
