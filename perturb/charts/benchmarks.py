"""The paper's Figure 2: accuracy on every test set, by pre-training set and model."""

import altair as alt
import pandas as pd

from perturb.charts.style import INK, Look, config, look

_HEIGHT = 300
_TOOLTIP = [
    alt.Tooltip("architecture_label:N", title="Model"),
    alt.Tooltip("pretraining_label:N", title="Pre-training"),
    alt.Tooltip("test_set_label:N", title="Test set"),
    alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
    alt.Tooltip("accuracy_low:Q", title="95 % low", format=".1%"),
    alt.Tooltip("accuracy_high:Q", title="95 % high", format=".1%"),
    alt.Tooltip("num_images:Q", title="Images", format=","),
    alt.Tooltip("num_decisions:Q", title="Decisions", format=","),
    alt.Tooltip("num_parameters:Q", title="Parameters", format=","),
]


def robustness_benchmarks(accuracy: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return a panel a test set: accuracy by pre-training set, ResNets left, ViTs right.

    Parameters
    ----------
    accuracy, models : the tables of these names.
    """
    looks = look(models)
    slots = _slots(looks)
    ranks = accuracy.sort_values("pretraining_rank")["pretraining_label"]
    pretraining = list(dict.fromkeys(ranks))
    chosen = alt.selection_point(fields=["architecture_label"], bind="legend", name="chosen")
    x = alt.X(
        "pretraining_label:O",
        title=None,
        sort=pretraining,
        scale=alt.Scale(paddingInner=0.4, paddingOuter=0.25),
        axis=alt.Axis(grid=True, labelAngle=0, ticks=False, labelPadding=8),
    )
    y = alt.Y(
        "accuracy:Q",
        title="Accuracy (%)",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labelExpr="format(datum.value * 100, '.0f')", values=_tenths(2)),
    )
    base = alt.Chart(accuracy).encode(
        x=x,
        xOffset=alt.XOffset("architecture_label:N", scale=alt.Scale(domain=slots)),
        color=alt.Color(
            "architecture_label:N",
            title=None,
            scale=alt.Scale(domain=looks.labels, range=looks.colours),
            legend=_legend(looks),
        ),
        tooltip=_TOOLTIP,
    )
    # In ink: on its own colour a short interval would not be seen.
    bars = base.mark_rule(strokeWidth=1.2).encode(
        color=alt.value(INK),
        y=alt.Y("accuracy_low:Q").title("Accuracy (%)"),
        y2="accuracy_high:Q",
        opacity=alt.condition(chosen, alt.value(0.85), alt.value(0.05)),
    )
    points = base.mark_point(filled=True, strokeWidth=0).encode(
        y=y,
        opacity=alt.condition(chosen, alt.value(0.8), alt.value(0.06)),
        shape=alt.Shape(
            "architecture_label:N",
            title=None,
            scale=alt.Scale(domain=looks.labels, range=looks.shapes),
            legend=_legend(looks),
        ),
        size=alt.Size(
            "architecture_label:O",
            title=None,
            # An ordinal scale takes each area as it is; the default would interpolate them.
            scale=alt.Scale(type="ordinal", domain=looks.labels, range=looks.areas),
            legend=_legend(looks),
        ),
    )
    width = max(120, len(pretraining) * max(78, 8 * len(slots)))
    panels = alt.layer(points.add_params(chosen), bars).properties(width=width, height=_HEIGHT)
    test_sets = list(dict.fromkeys(accuracy["test_set_label"]))
    chart: alt.FacetChart = panels.facet(
        column=alt.Column("test_set_label:N", title=None, sort=test_sets), spacing=18
    ).configure(**config())
    return chart


def _slots(looks: Look) -> list[str]:
    """Return the places beside a tick: ResNets left of it, a gap, ViTs right.

    Each side gets as many places as the longer one needs, so that the tick stays between them.
    """
    left = [
        label
        for label, family in zip(looks.labels, looks.families, strict=True)
        if family == "resnet"
    ]
    right = [label for label in looks.labels if label not in left]
    if not left or not right:
        return looks.labels
    longest = max(len(left), len(right))
    before = [f"before {place}" for place in range(longest - len(left))]
    after = [f"after {place}" for place in range(longest - len(right))]
    return [*before, *left, "between", *right, *after]


def _legend(looks: Look) -> alt.Legend:
    count = len(looks.labels)
    columns = count if count <= 8 else -(-count // 2)
    return alt.Legend(orient="bottom", columns=columns, symbolOpacity=1, columnPadding=18)


def _tenths(step: int) -> list[float]:
    return [tenth / 10 for tenth in range(0, 11, step)]
