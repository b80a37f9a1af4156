"""Accuracy of every target model on images computed against every source model."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from perturb.charts.borders import borders
from perturb.charts.shading import shaded
from perturb.charts.style import CHART_WIDTH, INK, config
from perturb.charts.tooltips import EPSILON, IMAGES, interval, number, text

_LABELS = 190  # width of the names of the sources, in px
_TOOLTIP = [
    text("source_label", "Computed against"),
    text("target_label", "Shown to"),
    EPSILON,
    *interval("accuracy", "Accuracy"),
    number("clean_accuracy", "Accuracy on the clean images", ".1%"),
    IMAGES,
]


def transfer_heatmap(transfer: pd.DataFrame) -> alt.VConcatChart:
    """Return sources x targets, by family, then pre-training, then size; the diagonal is framed.

    Each epsilon has a heat map.
    """
    epsilons = sorted(set(transfer["epsilon_gray"]))
    parts = [
        _heatmap(
            transfer[transfer["epsilon_gray"] == epsilon],
            transfer["accuracy"],
            f"Epsilon: {epsilon:.3g} of 255 gray levels" if len(epsilons) > 1 else "",
        )
        for epsilon in epsilons
    ]
    chart: alt.VConcatChart = alt.vconcat(*parts).configure(**config()).configure_view(stroke=None)
    return chart


def _heatmap(
    transfer: pd.DataFrame, spanned: pd.Series, title: str
) -> alt.LayerChart | alt.FacetChart:
    sources, targets = _sources(transfer), _targets(transfer)
    step = max(12, min(32, (CHART_WIDTH - _LABELS) // max(1, len(targets))))
    height = min(step, 26)
    has_room = height * len(sources) > 300
    base = alt.Chart(transfer).encode(
        x=alt.X(
            "target_label:N",
            title="Target: the model evaluated on the images" if has_room else "Target",
            sort=list(targets),
            scale=alt.Scale(domain=list(targets)),
            axis=alt.Axis(labelAngle=-50, ticks=False, domain=False, labelLimit=_LABELS),
        ),
        y=alt.Y(
            "source_label:N",
            title="Source: the model that the images are computed against"
            if has_room
            else "Source",
            sort=list(sources),
            scale=alt.Scale(domain=list(sources)),
            axis=alt.Axis(ticks=False, domain=False, labelLimit=_LABELS),
        ),
        tooltip=_TOOLTIP,
    )
    boxes = shaded(base, spanned, step=step, title="Accuracy of the target (%)")
    itself = base.transform_filter("datum.source == datum.target")
    diagonal = itself.mark_rect(fill=None, stroke=INK, strokeWidth=1.6)
    heatmap = alt.layer(*boxes, *borders(sources, targets), diagonal)
    return heatmap.properties(width=alt.Step(step), height=alt.Step(height), title=title)


def _sources(transfer: pd.DataFrame) -> dict[str, tuple[str, int]]:
    keys = ["source_family", "source_pretraining_rank", "source_num_parameters", "source_label"]
    return _ordered(transfer, "source_label", keys)


def _targets(transfer: pd.DataFrame) -> dict[str, tuple[str, int]]:
    keys = ["target_family", "pretraining_rank", "num_parameters", "target_label"]
    return _ordered(transfer, "target_label", keys)


def _ordered(transfer: pd.DataFrame, label: str, keys: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return the labels in order of the keys, each with its family and pre-training rank."""
    rows = transfer.sort_values(list(keys)).drop_duplicates(label)
    # A missing rank is not equal to itself.
    groups = zip(rows[keys[0]], rows[keys[1]].fillna(-1), strict=True)
    return dict(zip(rows[label], groups, strict=True))
