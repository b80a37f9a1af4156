"""Accuracy over rotation and translation, for each model."""

import altair as alt
import pandas as pd

from perturb.charts.channels import pretraining_order
from perturb.charts.panels import crossed, header_size
from perturb.charts.sentences import NO_MODEL, WORDS, sentence_in
from perturb.charts.shading import shaded
from perturb.charts.style import CHART_WIDTH, config, style_of
from perturb.charts.tooltips import IMAGES, MODEL, count, interval, number, text

_LABELS = 70  # width of axis labels and titles, in px
_CHARACTER = 7.6  # mean width of a character of a row's name, in px
_SPACING = 10
_SHIFT_STEP = 24  # height of a row of cells, in px
_TOOLTIP = [
    *MODEL,
    text("rotation_bin", "Rotation (degrees)"),
    number("translation", "Translation (of the largest)", ".0%"),
    *interval("accuracy", "Accuracy"),
    IMAGES,
    count("num_predictions", "Predictions"),
]


def spatial_heatmap(grid: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return rotation x translation, a panel per model: architectures across, pre-training down."""
    present = set(grid["architecture_label"])
    architectures = [label for label in style_of(models).labels if label in present]
    pretraining = pretraining_order(grid)
    rotations = list(dict.fromkeys(grid.sort_values("rotation_low_deg")["rotation_bin"]))
    names = _LABELS + _CHARACTER * max(map(len, pretraining), default=0)
    room = (CHART_WIDTH - names) / max(1, len(architectures)) - _SPACING
    step = max(8, min(34, int(room / max(1, len(rotations)))))
    accuracy = grid["accuracy"]
    translations = sorted(set(grid["translation"]), reverse=True)
    grid = crossed(grid, "pretraining_label", "architecture_label", NO_MODEL)
    base = alt.Chart(grid).encode(
        x=alt.X(
            "rotation_bin:O",
            title="Rotation (degrees)" if step * len(rotations) > 120 else "Rotation",
            sort=rotations,
            scale=alt.Scale(domain=rotations),
            axis=alt.Axis(
                labelAngle=-90,
                ticks=False,
                domain=False,
                labelExpr="replace(datum.label, /-/g, '\N{MINUS SIGN}')",
            ),
        ),
        y=alt.Y(
            "translation:O",
            title="Shift",
            sort="descending",
            scale=alt.Scale(domain=translations),
            axis=alt.Axis(ticks=False, domain=False, format=".0%"),
        ),
        tooltip=_TOOLTIP,
    )
    layers = shaded(base, accuracy, step=step)
    if WORDS in grid:
        size = (step * len(rotations), _SHIFT_STEP * len(translations))
        layers.append(sentence_in(*size, NO_MODEL, alt.Chart(grid)))
    chart: alt.FacetChart = (
        alt.layer(*layers)
        .properties(width=alt.Step(step), height=alt.Step(_SHIFT_STEP))
        .facet(
            column=alt.Column(
                "architecture_label:N",
                title=None,
                sort=architectures,
                header=alt.Header(labelFontSize=header_size(architectures, step * len(rotations))),
            ),
            row=alt.Row(
                "pretraining_label:N",
                title=None,
                sort=pretraining,
                header=alt.Header(labelAngle=0, labelAlign="left"),
            ),
            spacing=_SPACING,
        )
        .configure(**config())
        .configure_view(stroke=None)
    )
    return chart
