"""How far the training runs of a model differ, beside the sampling of images."""

import altair as alt
import pandas as pd

from perturb.charts.by_pretraining import SPACING, layout, pretraining_axis, slots
from perturb.charts.channels import choice, faded, identity, pretraining_order
from perturb.charts.runs import entries_of
from perturb.charts.style import CHART_WIDTH, INK, Style, config, style_of
from perturb.charts.tooltips import IMAGES, MODEL, count, interval, number, text

_HEIGHT = 200
_WIDEST = 520  # of a panel, in px
_TITLE = "Difference from mean (pp)"
_OF_RUN = [
    *MODEL,
    text("test_set_label", "Test set"),
    count("run", "Run"),
    number("accuracy", "Accuracy of the run", ".1%"),
    number("points", "Difference from the mean (pp)", "+.1f"),
    IMAGES,
]
_OF_MEAN = [
    *MODEL,
    text("test_set_label", "Test set"),
    *interval("accuracy", "Mean over the runs"),
    number("run_deviation", "Deviation between runs", ".2%"),
    number("image_error", "Standard error of images", ".2%"),
    count("num_runs", "Runs"),
    IMAGES,
]


def training_runs(means: pd.DataFrame, runs: pd.DataFrame, models: pd.DataFrame) -> alt.FacetChart:
    """Return one panel per test set: each run's accuracy minus the mean over the model's runs."""
    looks = style_of(entries_of(models)).only(set(means["architecture_label"]))
    frame = pd.concat([_bars(means), _marks(runs)], ignore_index=True)
    names = list(dict.fromkeys(means["test_set_label"]))
    columns, width = layout(len(names), _WIDEST, CHART_WIDTH)
    pretraining = pretraining_order(means)
    base = alt.Chart(frame).encode(
        x=pretraining_axis(pretraining, width / len(pretraining)),
        xOffset=alt.XOffset("architecture_label:N", scale=alt.Scale(domain=slots(looks))),
    )
    chart: alt.FacetChart = (
        alt.layer(*_layers(base, looks))
        .properties(width=width, height=_HEIGHT)
        .facet(
            facet=alt.Facet(
                "test_set_label:N",
                title=None,
                sort=names,
                header=alt.Header(labelLimit=width + SPACING),
            ),
            columns=columns,
            spacing=SPACING,
        )
        .add_params(choice())
        .configure(**config())
    )
    return chart


def _layers(base: alt.Chart, looks: Style) -> list[alt.Chart]:
    chosen, words = choice(), identity(looks)
    means = base.transform_filter("isValid(datum.points_low)")
    both = means.mark_rule(strokeWidth=7).encode(
        y=alt.Y("points_low:Q", title=_TITLE),
        y2=alt.Y2("points_high:Q"),
        color=words["color"],
        opacity=faded(chosen, 0.3, 0.04),
        tooltip=_OF_MEAN,
    )
    images = means.mark_rule(strokeWidth=1.2, color=INK).encode(
        y=alt.Y("image_points_low:Q"),
        y2=alt.Y2("image_points_high:Q"),
        opacity=faded(chosen, 0.85, 0.05),
        tooltip=_OF_MEAN,
    )
    runs = base.transform_filter("isValid(datum.points)")
    marks = runs.mark_point(filled=True, strokeWidth=0, size=26).encode(
        y=alt.Y("points:Q"),
        color=words["color"],
        shape=words["shape"],
        opacity=faded(chosen, 0.9, 0.06),
        tooltip=_OF_RUN,
    )
    return [both, images, marks]


def _bars(means: pd.DataFrame) -> pd.DataFrame:
    """Return the means with the ends of their bars relative to the mean, in percentage points."""
    ends = {
        "points_low": "accuracy_low",
        "points_high": "accuracy_high",
        "image_points_low": "image_low",
        "image_points_high": "image_high",
    }
    relative = {name: 100 * (means[end] - means["accuracy"]) for name, end in ends.items()}
    return means.assign(**relative)


def _marks(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.assign(points=100 * runs["run_difference"])
