"""Accuracy over the number of pre-training images, one panel per test set, one line per model."""

import math

import altair as alt
import pandas as pd

from perturb.charts.channels import choice, faded, identity, percent_axis
from perturb.charts.runs import entries_of
from perturb.charts.style import CHART_WIDTH, INK, Style, config, style_of
from perturb.charts.tooltips import IMAGES, MODEL, PARAMETERS, count, interval, text

_COLUMNS = 3
_SIDES = 60  # width of the y axis with its labels and title, in px
_SPACING = 18
_HEIGHT = 260
_DODGE = 4.0  # from the marks of one model to those of the next, in px
_TOOLTIP = [
    *MODEL,
    count("pretraining_images", "Pre-training images"),
    text("test_set_label", "Test set"),
    *interval("accuracy", "Accuracy"),
    count("num_trainings", "Trainings"),
    PARAMETERS,
    IMAGES,
]


def data_scaling(points: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return accuracy over pre-training images, with a line through the sets of each model."""
    looks = style_of(entries_of(models)).only(set(points["architecture_label"]))
    names = list(dict.fromkeys(points["test_set_label"]))
    columns = math.ceil(len(names) / math.ceil(len(names) / _COLUMNS))  # rows of equal length
    width = int((CHART_WIDTH - _SIDES) / columns - _SPACING) if columns > 1 else 520
    domain = _domain(points["pretraining_images"], len(looks.labels), width)
    px = math.log10(domain[1] / domain[0]) / width
    places = {label: at - (len(looks.labels) - 1) / 2 for at, label in enumerate(looks.labels)}
    aside = points["architecture_label"].map(places) * _DODGE * px
    points = points.assign(place=points["pretraining_images"] * 10**aside)
    panels = alt.layer(*_layers(alt.Chart(points).encode(x=_x(points, domain)), looks, choice()))
    chart: alt.FacetChart = (
        panels.properties(width=width, height=_HEIGHT)
        .facet(
            facet=alt.Facet("test_set_label:N", title=None, sort=names),
            columns=columns,
            spacing=_SPACING,
        )
        .add_params(choice())
        .configure(**config())
    )
    return chart


def _layers(base: alt.Chart, looks: Style, chosen: alt.Parameter) -> list[alt.Chart]:
    words = identity(looks)
    lines = base.mark_line(strokeWidth=1.6).encode(
        y=alt.Y("accuracy:Q"), color=words["color"], opacity=faded(chosen, 0.9, 0.08)
    )
    # In ink: a short interval in the mark's colour would be invisible.
    bars = base.mark_rule(strokeWidth=1.1, color=INK).encode(
        y=alt.Y("accuracy_low:Q"),
        y2=alt.Y2("accuracy_high:Q"),
        detail="model:N",
        opacity=faded(chosen, 0.8, 0.05),
    )
    points = base.mark_point(filled=True, strokeWidth=0).encode(
        y=percent_axis("accuracy", "Accuracy (%)"),
        opacity=faded(chosen, 0.9, 0.06),
        tooltip=_TOOLTIP,
        **words,
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
