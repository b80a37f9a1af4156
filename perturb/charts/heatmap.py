"""Accuracy under every corruption, model by model: the detail behind the mean of Figure 2."""

import math

import altair as alt
import pandas as pd

from perturb.charts.style import INK, config, look

# Light for low, dark for high: one hue, ordered by lightness, the same for every eye.
_RANGE = ["#f6efe2", "#dbe4dd", "#aacdd3", "#6fa9c0", "#356f9c", "#173a63"]
_WHITE_FROM = 0.68
_TOOLTIP = [
    alt.Tooltip("architecture_label:N", title="Model"),
    alt.Tooltip("pretraining_label:N", title="Pre-training"),
    alt.Tooltip("row:N", title="Images"),
    alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
    alt.Tooltip("accuracy_low:Q", title="95 % low", format=".1%"),
    alt.Tooltip("accuracy_high:Q", title="95 % high", format=".1%"),
    alt.Tooltip("num_images:Q", title="Number of images", format=","),
]


def corruption_heatmap(
    means: pd.DataFrame, accuracy: pd.DataFrame, models: pd.DataFrame
) -> alt.FacetChart:
    """Return corruptions x models, a panel a pre-training set, with the numbers in the cells.

    Parameters
    ----------
    means : the table `corruption_means`; the clean data set's rows are drawn.
    accuracy : the table `accuracy`, for the rows of clean images and of the mean.
    models : the table `models`.
    """
    clean_set = accuracy.loc[accuracy["test_set"] == "clean", "dataset"].iloc[0]
    means = means[means["dataset"] == clean_set]
    cells = pd.concat([_summary_cells(accuracy), _corruption_cells(means)], ignore_index=True)
    rows = _rows(cells)
    low, high = _domain(cells)
    panels = list(dict.fromkeys(cells.sort_values("pretraining_rank")["pretraining_label"]))
    looks = look(models)
    base = alt.Chart(cells).encode(
        x=alt.X(
            "architecture_label:N",
            title=None,
            sort=looks.labels,
            scale=alt.Scale(domain=looks.labels),
            axis=alt.Axis(labelAngle=-50, ticks=False, domain=False),
        ),
        y=alt.Y(
            "row:N",
            title=None,
            sort=rows,
            scale=alt.Scale(domain=rows),
            axis=alt.Axis(
                ticks=False,
                domain=False,
                # Group names end in a colon; they head their rows and have no cells.
                labelFontWeight=alt.condition(
                    "test(/:$/, datum.label)", alt.value(600), alt.value(400)
                ),
                labelExpr="replace(datum.label, /:$/, '')",
            ),
        ),
        tooltip=_TOOLTIP,
    )
    colour = alt.Color(
        "accuracy:Q",
        title="Accuracy (%)",
        scale=alt.Scale(domain=[low, high], range=_RANGE, interpolate="lab"),
        legend=alt.Legend(
            orient="bottom",
            direction="horizontal",
            gradientLength=220,
            labelExpr="format(datum.value * 100, '.0f')",
        ),
    )
    boxes = base.mark_rect(stroke="white", strokeWidth=0.6).encode(color=colour)
    numbers = base.mark_text(fontSize=11).encode(
        text=alt.Text("label:N"),
        color=alt.condition(
            f"datum.accuracy > {low + _WHITE_FROM * (high - low):.3f}",
            alt.value("white"),
            alt.value(INK),
        ),
    )
    chart: alt.FacetChart = (
        alt.layer(boxes, numbers)
        .properties(width=alt.Step(32), height=alt.Step(19))
        .facet(column=alt.Column("pretraining_label:N", title=None, sort=panels), spacing=14)
        .configure(**config())
        .configure_view(stroke=None)
    )
    return chart


def _summary_cells(accuracy: pd.DataFrame) -> pd.DataFrame:
    names = {"clean": "clean images", "corruptions": "mean of the benchmark"}
    chosen = accuracy[accuracy["test_set"].isin(list(names))]
    return _cells(chosen.assign(row=chosen["test_set"].map(names), corruption_group="Overall"))


def _corruption_cells(means: pd.DataFrame) -> pd.DataFrame:
    return _cells(means.assign(row=means["corruption"].str.replace("_", " ")))


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    label = (100 * frame["accuracy"]).map("{:.0f}".format)
    columns = [
        "architecture_label",
        "pretraining_label",
        "pretraining_rank",
        "corruption_group",
        "row",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "num_images",
    ]
    return frame[columns].assign(label=label)


def _rows(cells: pd.DataFrame) -> list[str]:
    """Return the rows from top to bottom: each group's name, then its corruptions."""
    rows = []
    for group, members in cells.groupby("corruption_group", sort=False):
        rows += [f"{group}:", *dict.fromkeys(members["row"])]
    return rows


def _domain(cells: pd.DataFrame) -> tuple[float, float]:
    """Return the tenths around all accuracies: small differences stay visible."""
    low, high = cells["accuracy"].min(), cells["accuracy"].max()
    return math.floor(10 * low) / 10, max(math.ceil(10 * high), math.floor(10 * low) + 1) / 10
