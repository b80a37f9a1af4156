"""Accuracy of every model under every corruption: the values averaged in Figure 2."""

import altair as alt
import pandas as pd

from perturb.charts.channels import pretraining_order
from perturb.charts.shading import shaded
from perturb.charts.style import config, style_of
from perturb.charts.tooltips import MODEL, count, interval, text

_STEP = 32
_OVERALL = "Overall"
_TOOLTIP = [
    *MODEL,
    text("row", "Images"),
    *interval("accuracy", "Accuracy"),
    count("num_images", "Number of images"),
]


def corruption_heatmap(
    means: pd.DataFrame, accuracy: pd.DataFrame, models: pd.DataFrame
) -> alt.FacetChart:
    """Return corruptions x models, one panel per pre-training set, with the numbers in the cells.

    Rows of the clean dataset, or of its corrupted copies, are drawn, and the mean of `accuracy`.
    """
    compared = accuracy[accuracy["test_set"].isin(["clean", "corruptions"])]
    of_clean = means[means["dataset"].isin(set(compared["dataset"]))]
    # Stored corruptions are one dataset; with only extra ones it has no mean, and so no accuracy.
    means = means if of_clean.empty else of_clean
    parts = [_clean_cells(means), _mean_cells(accuracy), _corruption_cells(means)]
    cells = pd.concat(parts, ignore_index=True)
    rows = _rows(cells)
    panels = pretraining_order(cells)
    looks = style_of(models)
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
    chart: alt.FacetChart = (
        alt.layer(*shaded(base, cells["accuracy"], step=_STEP))
        .properties(width=alt.Step(_STEP), height=alt.Step(19))
        .facet(column=alt.Column("pretraining_label:N", title=None, sort=panels), spacing=14)
        .configure(**config())
        .configure_view(stroke=None)
    )
    return chart


def _clean_cells(means: pd.DataFrame) -> pd.DataFrame:
    """Return one cell per model: its accuracy on the same images without corruption."""
    once = means.drop_duplicates("model")
    ends = {f"accuracy{end}": once[f"clean_accuracy{end}"] for end in ("", "_low", "_high")}
    return _cells(once.assign(row="clean images", corruption_group=_OVERALL, **ends))


def _mean_cells(accuracy: pd.DataFrame) -> pd.DataFrame:
    chosen = accuracy[accuracy["test_set"] == "corruptions"]
    return _cells(chosen.assign(row="mean of the benchmark", corruption_group=_OVERALL))


def _corruption_cells(means: pd.DataFrame) -> pd.DataFrame:
    return _cells(means.assign(row=means["corruption"].str.replace("_", " ")))


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
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
    return frame[columns]


def _rows(cells: pd.DataFrame) -> list[str]:
    """Return the rows from top to bottom: each group's name, then its corruptions."""
    rows = []
    for group, members in cells.groupby("corruption_group", sort=False):
        rows += [f"{group}:", *dict.fromkeys(members["row"])]
    return rows
