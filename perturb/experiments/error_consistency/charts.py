"""Heat maps of error consistency: every two models on each test set, by family."""

from typing import Any

import altair as alt
import pandas as pd

from perturb.charts.borders import borders
from perturb.charts.shading import Shades, signed
from perturb.charts.style import CHART_WIDTH, config
from perturb.charts.tooltips import IMAGES, count, interval, number, text

_NAMES = 150  # width of the names of the models, in px
_WIDEST = 30
_TOOLTIP = [
    text("decider_label", "Model"),
    text("other_label", "Other"),
    text("test_set_label", "Test set"),
    *interval("kappa", "Kappa", ".2f"),
    number("least_kappa", "Least possible", ".2f"),
    number("most_kappa", "Greatest possible", ".2f"),
    number("observed_agreement", "Agreement", ".1%"),
    number("expected_agreement", "Agreement by chance", ".1%"),
    count("num_model_pairs", "Pairs in the mean"),
    IMAGES,
]


def error_consistency(kappas: pd.DataFrame) -> alt.ConcatChart:
    """Return a heat map for each test set, ResNets first, two beside each other."""
    shades = signed("kappa", kappas["kappa"], "Error consistency (kappa x 100)")
    most = max(rows["decider"].nunique() for _, rows in kappas.groupby("test_set"))
    columns = 2 if most <= 16 else 1
    step = max(9, min(_WIDEST, (CHART_WIDTH // columns - _NAMES) // most))
    parts = [
        _heatmap(rows, shades, step, is_named=place % columns == 0)
        for place, (_, rows) in enumerate(kappas.groupby("test_set", sort=False))
    ]
    drawn: alt.ConcatChart = alt.concat(*parts, columns=columns, spacing=24)
    chart: alt.ConcatChart = drawn.configure(**config()).configure_view(stroke=None)
    return chart


def _heatmap(rows: pd.DataFrame, shades: Shades, step: int, *, is_named: bool) -> alt.LayerChart:
    groups = _groups(rows)
    order = list(groups)
    scale = alt.Scale(domain=order)
    across = alt.Axis(labelAngle=-50, ticks=False, domain=False, labelLimit=_NAMES)
    up = alt.Axis(labels=is_named, ticks=False, domain=False, labelLimit=_NAMES)
    base = alt.Chart(rows).encode(
        x=alt.X("other_label:N", title=None, sort=order, scale=scale, axis=across),
        y=alt.Y("decider_label:N", title=None, sort=order, scale=scale, axis=up),
        tooltip=_TOOLTIP,
    )
    layers = [shades.boxes(base), *shades.numbers(base, step, step), *borders(groups, groups)]
    whole: Any = alt.layer(*layers)
    heatmap: alt.LayerChart = whole.properties(
        width=alt.Step(step), height=alt.Step(step), title=rows["test_set_label"].iloc[0]
    )
    return heatmap


def _groups(rows: pd.DataFrame) -> dict[str, tuple[str, int]]:
    """Return the labels in the order of the table, each with its family."""
    names = rows.drop_duplicates("decider_label")
    return {
        label: (family, 0)
        for label, family in zip(names["decider_label"], names["decider_family"], strict=True)
    }
