"""Accuracy by confidence, calibration error by severity, and error by coverage."""

from collections.abc import Callable, Sequence

import altair as alt
import pandas as pd

from perturb.charts.by_pretraining import SPACING
from perturb.charts.channels import (
    choice,
    dashes,
    faded,
    identity,
    legend_of,
    percent_axis,
    pretraining_order,
)
from perturb.charts.panels import FinishedLayers, crossed
from perturb.charts.sentences import NO_MODEL, WORDS, sentence_in
from perturb.charts.style import CHART_WIDTH, INK, Style, config, style_of
from perturb.charts.tooltips import IMAGES, MODEL, count, interval, number, text

_SIDES = 130  # width of the y axis and the row headers, in px
_WIDEST, _HEIGHT = 330, 210
# From one model's marks to the next one's, and the farthest from the severity, in severities.
_DODGE, _FARTHEST = 0.06, 0.25

Layers = Callable[[alt.Chart, Style], Sequence[alt.Chart]]


def reliability_diagram(bins: pd.DataFrame, models: pd.DataFrame) -> alt.VConcatChart:
    """Return accuracy over confidence: a row per test set, a column per pre-training set."""
    tooltip = [
        *MODEL,
        text("panel", "Images"),
        number("bin_confidence", "Mean confidence", ".1%"),
        *interval("bin_accuracy", "Accuracy"),
        count("bin_size", "Predictions of the bin"),
        IMAGES,
    ]

    def layers(base: alt.Chart, looks: Style) -> list[alt.Chart]:
        base = base.encode(x=_percent_x("bin_confidence", "Confidence (%)"))
        y = percent_axis("bin_accuracy", "Accuracy (%)")
        return [
            _diagonal(base),
            *_lines(base, looks, y),
            _points(base, looks, tooltip).encode(y=y),
        ]

    return _grid(_ends(bins), models, layers)


def risk_coverage_curves(kept: pd.DataFrame, models: pd.DataFrame) -> alt.VConcatChart:
    """Return error over coverage: a row per test set, a column per pre-training set."""
    tooltip = [
        *MODEL,
        text("panel", "Images"),
        number("coverage", "Coverage", ".0%"),
        *interval("selective_error", "Error"),
        IMAGES,
    ]

    def layers(base: alt.Chart, looks: Style) -> list[alt.Chart]:
        base = base.encode(x=_percent_x("coverage", "Coverage (%)"))
        y = alt.Y(
            "selective_error:Q",
            title="Error (%)",
            axis=alt.Axis(labelExpr="format(datum.value * 100, '.0f')", tickCount=5),
        )
        band = base.mark_area().encode(
            y=alt.Y("selective_error_low:Q"),
            y2=alt.Y2("selective_error_high:Q"),
            color=_colour(looks),
            opacity=faded(choice(), 0.1, 0.01),
        )
        points = _points(base, looks, tooltip).encode(y=y, size=alt.value(16))
        return [band, _line(base, looks).encode(y=y), points]

    return _grid(_ends(kept), models, layers)


def calibration_by_severity(found: pd.DataFrame, models: pd.DataFrame) -> alt.VConcatChart:
    """Return calibration error over the severity of corruptions, a panel per pre-training set."""
    tooltip = [
        *MODEL,
        count("corruption_severity", "Severity"),
        *interval("calibration_error", "ECE"),
        number("plain_calibration_error", "ECE without correction", ".1%"),
        number("accuracy", "Accuracy", ".1%"),
        number("mean_confidence", "Mean confidence", ".1%"),
        IMAGES,
        count("num_predictions", "Predictions"),
    ]
    corrupted = found.dropna(subset="corruption_severity").assign(panel="")
    labels = style_of(models).labels
    aside = corrupted["architecture_label"].map(labels.index) - (len(labels) - 1) / 2
    step = min(_DODGE, 2 * _FARTHEST / max(1, len(labels) - 1))
    corrupted["place"] = corrupted["corruption_severity"] + step * aside

    def layers(base: alt.Chart, looks: Style) -> list[alt.Chart]:
        axis = alt.Axis(values=list(range(6)), format="d", grid=False)
        scale = alt.Scale(domain=[-0.3, 5.3], nice=False)
        base = base.encode(x=alt.X("place:Q", title="Severity", axis=axis, scale=scale))
        y = alt.Y(
            "calibration_error:Q",
            title="Calibration error (%)",
            axis=alt.Axis(labelExpr="format(datum.value * 100, '.0f')"),
        )
        bars = base.mark_rule(strokeWidth=1, color=INK).encode(
            y=alt.Y("calibration_error_low:Q"),
            y2=alt.Y2("calibration_error_high:Q"),
            opacity=faded(choice(), 0.4, 0.02),
        )
        return [
            _line(base, looks).encode(y=y),
            bars,
            _points(base, looks, tooltip).encode(y=y),
        ]

    return _grid(corrupted, models, layers)


def _ends(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of unchanged images, and of the highest severity of corruptions."""
    severity = frame["corruption_severity"]
    chosen: pd.DataFrame = frame[severity.isna() | (severity == severity.max())]
    suffix = chosen["corruption_severity"].map(
        lambda value: "" if pd.isna(value) else f", severity {value:.0f}"
    )
    ends: pd.DataFrame = chosen.assign(panel=chosen["test_set_label"] + suffix)
    return ends


def _grid(frame: pd.DataFrame, models: pd.DataFrame, layers: Layers) -> alt.VConcatChart:
    """Return panels: a row per entry of `panel`, a column per pre-training set.

    The panels of a row share their y axis; rows have their own.
    """
    names, pretraining = list(dict.fromkeys(frame["panel"])), pretraining_order(frame)
    width = min(_WIDEST, int((CHART_WIDTH - _SIDES) / max(1, len(pretraining)) - SPACING))
    frame = crossed(frame, "panel", "pretraining_label", NO_MODEL)
    looks = style_of(models)

    def row(name: str, is_first: bool) -> alt.FacetChart:
        rows = frame[frame["panel"] == name]
        drawn = list(layers(alt.Chart(), looks))
        if is_first:
            drawn[0] = drawn[0].add_params(choice())
        if WORDS in frame:
            drawn.append(sentence_in(width, _HEIGHT, NO_MODEL, alt.Chart()))
        layered = FinishedLayers(layer=drawn, data=rows, width=width, height=_HEIGHT)
        return layered.facet(
            row=alt.Row("panel:N", title=None, header=alt.Header(labelLimit=_HEIGHT)),
            column=alt.Column(
                "pretraining_label:N",
                title=None,
                sort=pretraining,
                header=alt.Header(labels=is_first),
            ),
            spacing=SPACING,
            bounds="flush",
        )

    parts = [row(name, at == 0) for at, name in enumerate(names)]
    chart: alt.VConcatChart = alt.vconcat(*parts, spacing=SPACING).configure(**config())
    return chart


def _percent_x(column: str, title: str) -> alt.X:
    return alt.X(
        f"{column}:Q",
        title=title,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(
            labelExpr="format(datum.value * 100, '.0f')", values=[0, 0.2, 0.4, 0.6, 0.8, 1]
        ),
    )


def _diagonal(base: alt.Chart) -> alt.Chart:
    """Return the line of a calibrated model."""
    # One row per panel remains, and so one line.
    once = base.transform_aggregate(rows="count()").transform_calculate(end="[0, 1]")
    line: alt.Chart = (
        once.transform_flatten(["end"])
        .mark_line(color=INK, strokeDash=[5, 3], strokeWidth=1, opacity=0.6)
        .encode(x=alt.X("end:Q"), y=alt.Y("end:Q"))
    )
    return line


def _lines(base: alt.Chart, looks: Style, y: alt.Y) -> list[alt.Chart]:
    bars = base.mark_rule(strokeWidth=1, color=INK).encode(
        y=alt.Y("bin_accuracy_low:Q"),
        y2=alt.Y2("bin_accuracy_high:Q"),
        opacity=faded(choice(), 0.25, 0.02),
    )
    return [bars, _line(base, looks).encode(y=y)]


def _line(base: alt.Chart, looks: Style) -> alt.Chart:
    line: alt.Chart = base.mark_line(strokeWidth=1.6).encode(
        color=_colour(looks),
        strokeDash=dashes(looks),
        detail=alt.Detail("model:N"),
        opacity=faded(choice(), 0.9, 0.06),
    )
    return line


def _points(base: alt.Chart, looks: Style, tooltip: Sequence[alt.Tooltip]) -> alt.Chart:
    channels = identity(looks)
    points: alt.Chart = base.mark_point(filled=True, strokeWidth=0).encode(
        color=channels["color"],
        shape=channels["shape"],
        size=alt.value(34),
        opacity=faded(choice(), 0.9, 0.06),
        tooltip=list(tooltip),
    )
    return points


def _colour(looks: Style) -> alt.Color:
    return alt.Color(
        "architecture_label:N",
        title=None,
        scale=alt.Scale(domain=looks.labels, range=looks.colours),
        legend=legend_of(looks),
    )
