"""Accuracy on unchanged images against the mean accuracy under perturbation: a mark a model."""

from typing import Any

import altair as alt
import pandas as pd

from perturb.charts.channels import choice, faded, identity
from perturb.charts.sentences import nothing
from perturb.charts.style import INK, config, style_of
from perturb.charts.tooltips import MODEL, interval, text
from perturb.experiments.comparison.means import (
    CLEAN,
    averaged_measures,
    mean_measure,
    of_entries,
    values_of,
)
from perturb.formatting import listed

_WIDTH, _HEIGHT = 620, 270
# Of models at one place so many are named; of more, the number is given.
_MOST_NAMES = 2
_TOOLTIP = [
    *MODEL,
    *interval("clean", "Unchanged images"),
    *interval("perturbed", "Mean under perturbation"),
    text("measures", "Mean over"),
]
_WHY_EMPTY = "No model of this study has an accuracy on both unchanged and perturbed images."


def overview(leaderboard: pd.DataFrame, models: pd.DataFrame) -> alt.LayerChart | alt.TopLevelMixin:
    """Return a mark for each model with its intervals; models that none surpasses are named."""
    points = overview_points(leaderboard)
    if points.empty:
        return nothing(_WHY_EMPTY)
    chosen, looks = choice(), style_of(models).only(set(points["architecture_label"]))
    across, up = _axis(points, "clean", alt.X), _axis(points, "perturbed", alt.Y)
    areas = dict(zip(looks.labels, looks.areas, strict=True))
    # The smaller of two marks at one place lies above the larger.
    order = (
        points["architecture_label"].map(areas).sort_values(ascending=False, kind="stable").index
    )
    base = alt.Chart(points.loc[order])
    bars = base.mark_rule(color=INK, strokeWidth=0.8)
    faint = faded(chosen, 0.4, 0.05)
    upright = bars.encode(x=across, y=_end(up, "low"), y2="perturbed_high:Q", opacity=faint)
    level = bars.encode(x=_end(across, "low"), x2="clean_high:Q", y=up, opacity=faint)
    marks = base.mark_point(filled=True).encode(
        x=across, y=up, **identity(looks), opacity=faded(chosen, 0.95, 0.1), tooltip=_TOOLTIP
    )
    # Above the bars, where the fewest marks are.
    names = base.transform_filter("datum.names != ''").mark_text(dy=-8, fontSize=12, color=INK)
    whole: Any = alt.layer(
        level,
        upright,
        marks.add_params(chosen),
        names.encode(x=across, y=_end(up, "high"), text="names:N"),
    )
    chart: alt.LayerChart = whole.properties(width=_WIDTH, height=_HEIGHT).configure(**config())
    return chart


def overview_points(leaderboard: pd.DataFrame) -> pd.DataFrame:
    """Return a row a model that has both accuracies; runs of a training are one model.

    Columns: model, architecture_label, pretraining_label, name, clean and perturbed with their
    ends, measures, names: of all models at the place of an unsurpassed one, else empty.

    Parameters
    ----------
    leaderboard : the table.
    """
    plain = leaderboard.astype(object).where(leaderboard.notna(), None)
    records = plain.to_dict("records")
    rows = of_entries([{str(name): value for name, value in row.items()} for row in records])
    labels = {row["measure"]: row["measure_label"] for row in rows}
    measures = ", ".join(labels[measure] for measure in averaged_measures(rows))
    means = values_of(rows, mean_measure(rows))
    found = [
        {
            **{key: row[key] for key in ("model", "architecture_label", "pretraining_label")},
            "name": " · ".join(filter(None, [row["architecture_label"], row["pretraining_label"]])),
            "clean": row["value"],
            "clean_low": row["value_low"],
            "clean_high": row["value_high"],
            "perturbed": means[row["model"]].value,
            "perturbed_low": means[row["model"]].low,
            "perturbed_high": means[row["model"]].high,
            "measures": measures,
        }
        for row in rows
        if row["measure"] == CLEAN and row["value"] is not None and row["model"] in means
    ]
    points = pd.DataFrame(found)
    return points.assign(names=_unsurpassed_names(points)) if found else points


def _unsurpassed_names(points: pd.DataFrame) -> list[str]:
    """Return for each model that no other surpasses on both axes its name.

    The first of those at one place has the names of all, the others have none.
    """
    places = list(zip(points["clean"], points["perturbed"], strict=True))
    alike: dict[tuple[float, float], list[str]] = {}
    for place, name in zip(places, points["name"], strict=True):
        alike.setdefault(place, []).append(name)
    kept = [
        (a, b)
        for a, b in alike
        if not any(x >= a and y >= b and (x, y) != (a, b) for x, y in alike)
    ]
    return [
        _few(alike[place]) if place in kept and places.index(place) == at else ""
        for at, place in enumerate(places)
    ]


def _few(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMES
    more = [f"{rest} other{'s' if rest > 1 else ''}"] if rest > 0 else []
    return listed([*names[:_MOST_NAMES], *more])


def _axis(points: pd.DataFrame, column: str, channel: Any) -> Any:
    low, high = points[f"{column}_low"].min(), points[f"{column}_high"].max()
    margin = 0.05 * (high - low)
    titles = {
        "clean": "Accuracy on unchanged images (%)",
        "perturbed": "Mean accuracy under perturbation (%)",
    }
    return channel(
        f"{column}:Q",
        title=titles[column],
        scale=alt.Scale(
            domain=[max(0.0, low - margin), min(1.0, high + margin)], nice=False, zero=False
        ),
        axis=alt.Axis(labelExpr="format(datum.value * 100, '~g')"),
    )


def _end(axis: Any, end: str) -> Any:
    """Return an axis that reads an end of the interval of its value."""
    found = axis.copy()
    found.shorthand = found.shorthand.replace(":Q", f"_{end}:Q")
    return found
