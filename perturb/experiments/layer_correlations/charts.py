"""The paper's Figure 7, layer correlations, and in addition CKA and the mean by layer."""

import math

import altair as alt
import pandas as pd

from perturb.charts.channels import choice, dashes, faded, identity, indices, pretraining_order
from perturb.charts.panels import Layers, Panel, Size, columns, crossed
from perturb.charts.sentences import WORDS, sentence_in
from perturb.charts.shading import FINE, sequential
from perturb.charts.style import CHART_WIDTH, Style, config, style_of
from perturb.charts.tooltips import IMAGES, MODEL, PARAMETERS, count, interval, number, text

_SIZE = Size(widest=124, least=92, height=None, axis=20)
_SPACING, _SIDES, _WIDEST = 18, 100, 300
_NO_MEASURE = "No model of this pre-training set has this measure."
_KINDS = {"pearson": "Pearson correlation", "cka": "CKA"}
_SCOPES = {"all": "all", "cls": "CLS"}
_MEASURES = [f"{kind}_{scope}" for kind in _KINDS for scope in _SCOPES]
_TOOLTIP = [
    *MODEL,
    text("measure_label", "Measure"),
    count("layer_a", "Block"),
    count("layer_b", "With block"),
    *interval("value", "Mean over the images", ".3f"),
    number("spread", "Standard deviation", ".3f"),
    IMAGES,
]
# Large studies have tens of thousands of cells.
_COLUMNS = [
    "architecture_label",
    "pretraining_label",
    "pretraining_rank",
    "measure_label",
    "layer_a",
    "layer_b",
    "value",
    "value_low",
    "value_high",
    "spread",
    "num_images",
]


def layer_correlations(alike: pd.DataFrame, models: pd.DataFrame) -> alt.VConcatChart:
    """Return layers x layers for every model: all tokens next to CLS, CKA below correlations."""
    known = alike.dropna(subset="value")
    kind, scope = (known["measure"].str.split("_").str[at] for at in (0, 1))
    is_vit = known["family"] == "vit"
    names = known["architecture_label"] + (", " + scope.map(_SCOPES)).where(is_vit, "")
    known = known[_COLUMNS].round(4).assign(name=names, kind=kind)
    order = [
        name
        for label in style_of(models).labels
        for name in (label, *(f"{label}, {scope}" for scope in _SCOPES.values()))
    ]
    layers = _squares(_domain(known["value"]))
    bands = [
        columns(known[known["kind"] == kind], order, layers, size=_SIZE, column="name").properties(
            title=alt.Title(title, anchor="start")
        )
        for kind, title in _KINDS.items()
        if kind in set(known["kind"])
    ]
    chart: alt.VConcatChart = alt.vconcat(*bands, spacing=28).configure(**config())
    return chart


def correlation_profile(profile: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return the mean correlation of layers over depth: a line per model, a panel per measure."""
    known = profile.dropna(subset=["value", "depth"])
    labels = dict(zip(known["measure"], known["measure_label"], strict=True))
    names = [labels[measure] for measure in _MEASURES if measure in labels]
    pretraining = pretraining_order(known)
    # Networks without readable blocks have no line.
    looks = style_of(models).only(set(known["architecture_label"]))
    width = min(_WIDEST, (CHART_WIDTH - _SIDES) // len(names) - _SPACING)
    height = 170 if len(pretraining) > 1 else 240
    layers = _lines(looks, _domain(known["value"]))
    known = crossed(known, "pretraining_label", "measure_label", _NO_MEASURE)
    if WORDS in known:
        layers.append(sentence_in(width, height, _NO_MEASURE, alt.Chart()))
    chart: alt.FacetChart = (
        alt.layer(*layers, data=known)
        .properties(width=width, height=height)
        .facet(
            column=alt.Column("measure_label:N", title=None, sort=names),
            row=alt.Row("pretraining_label:N", title=None, sort=pretraining),
            spacing=_SPACING,
        )
        .add_params(choice())
        .configure(**config())
    )
    return chart


def _squares(domain: tuple[float, float]) -> Layers:
    shades = sequential("value", domain, "Correlation, or CKA", is_percent=False)

    def layers(rows: pd.DataFrame, panel: Panel) -> list[alt.Chart]:
        layers = int(rows["layer_a"].max()) + 1
        axis = indices(layers, panel.width)
        base = alt.Chart().encode(
            x=alt.X("layer_b:O", title="Block", axis=axis),
            y=alt.Y("layer_a:O", title="Block" if panel.is_first else None, axis=axis),
            tooltip=_TOOLTIP,
        )
        return [shades.boxes(base, is_fine=panel.width / layers < FINE)]

    return layers


def _lines(looks: Style, domain: tuple[float, float]) -> list[alt.Chart]:
    chosen, words = choice(), identity(looks)
    base = alt.Chart().encode(
        x=alt.X(
            "depth:Q",
            title="Depth (0: first block, 1: last)",
            scale=alt.Scale(domain=[0, 1], padding=8, nice=False),
            axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".2~f"),
        ),
        y=alt.Y(
            "value:Q", title="Mean over the other blocks", scale=alt.Scale(domain=list(domain))
        ),
        color=words["color"],
    )
    lines = base.mark_line(strokeWidth=1.5).encode(
        detail=alt.Detail("model:N"),
        strokeDash=dashes(looks),
        opacity=faded(chosen, 0.85, 0.06),
    )
    points = base.mark_point(filled=True, strokeWidth=0, size=34).encode(
        shape=words["shape"],
        opacity=faded(chosen, 0.95, 0.06),
        tooltip=[
            *MODEL,
            text("measure_label", "Measure"),
            count("layer", "Block"),
            number("value", "Mean over the other blocks", ".3f"),
            IMAGES,
            PARAMETERS,
        ],
    )
    return [lines, points]


def _domain(values: pd.Series) -> tuple[float, float]:
    """Return 0 to 1, extended downwards by tenths: correlations can be negative."""
    return math.floor(10 * min(0.0, *values, 0.0)) / 10, 1.0
