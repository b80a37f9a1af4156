"""The models side by side, for the page's leaderboard, comparison, gallery and page of one model.

The scripts of the page read numbers by columns: of 60 models there are 1,770 pairs, each with some
30 measures. A study without one of the tables has the parts of the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.charts.style import style_of
from perturb.formatting import formatted, named
from perturb.page.examples import Examples, read_examples
from perturb.page.model_charts import choosing_chart, difference_chart

# How the units of the table `leaderboard` are shown, and what their column's head adds.
_FORMATS = {
    "fraction": ("percent", " (%)"),
    "number": ("number", ""),
    "count": ("parameters", ""),
    "flops": ("parameters", ""),
    "images_per_second": ("rate", ""),
}
# Facts that cost: less of them is better. More images per second are better.
_COSTS = {"count": False, "flops": False, "images_per_second": True}
# Accuracies are packed as integers, in hundredths of a percent.
_PARTS = 10_000


@dataclass(frozen=True)
class SideBySide:
    """What the interactive parts of the page show; None and empty without its table."""

    board: Mapping[str, Any] | None = None
    pairs: Mapping[str, Any] | None = None
    conditions: Mapping[str, Any] | None = None
    charts: Mapping[str, Any] = field(default_factory=dict)
    examples: Examples = field(default_factory=Examples)

    @property
    def has_pairs(self) -> bool:
        """Whether there are two models to compare."""
        return bool(self.board and self.pairs and self.pairs["a"])

    def first_rows(self, count: int) -> list[Mapping[str, Any]]:
        """Return the first models of the leaderboard: name, and a cell a measure with a rank."""
        board = self.board
        if board is None:
            return []
        at = [place for place, measure in enumerate(board["measures"]) if measure["is_ranked"]]
        order = board["measures"].index(_first_order(board))
        best = sorted(range(len(board["models"])), key=lambda model: _place(board, order, model))
        return [
            {
                "model": board["models"][model],
                "cells": [{key: board[key][m][model] for key in _SHOWN} for m in at],
            }
            for model in best[:count]
        ]

    @property
    def ranked(self) -> list[Mapping[str, Any]]:
        """Return the measures that rank models, in order."""
        return [m for m in self.board["measures"] if m["is_ranked"]] if self.board else []

    @property
    def first_order(self) -> str:
        """Return the name of the measure by which the leaderboard is ordered at first."""
        return str(_first_order(self.board)["label"]) if self.board else ""


_SHOWN = ("text", "interval", "rank_text")


def side_by_side(
    found: Mapping[str, pa.Table], examples: Mapping[str, Path] | None = None
) -> SideBySide:
    """Return what the interactive parts of the page show.

    Parameters
    ----------
    found : the tables of the study; those needed here are `models`, `leaderboard`, `model_pairs`
        and `model_conditions`.
    examples : the files of the gallery and the disagreements, by name.
    """
    if "leaderboard" not in found or not found["leaderboard"].num_rows:
        return SideBySide(examples=read_examples(examples))
    board = board_data(found["leaderboard"], found["models"])
    ids = [model["id"] for model in board["models"]]
    pairs, conditions = found.get("model_pairs"), found.get("model_conditions")
    return SideBySide(
        board=board,
        pairs=None if pairs is None else pairs_data(pairs, ids),
        conditions=None if conditions is None else conditions_data(conditions, ids),
        charts={"choosing": choosing_chart(board["models"]), "differences": difference_chart()},
        examples=read_examples(examples),
    )


def board_data(leaderboard: pa.Table, models: pa.Table) -> dict[str, Any]:
    """Return the table `leaderboard` as models, measures, and a matrix [measure][model] a column.

    Numbers come with their text, so that they read like those of all other tables.
    """
    rows = leaderboard.to_pylist()
    by_model = {row["model"]: row for row in reversed(rows)}
    ids = list(dict.fromkeys(row["model"] for row in rows))
    measures = [_measure(row) for row in {row["measure"]: row for row in rows}.values()]
    for measure in measures:
        ranks = [row["rank"] for row in rows if row["measure"] == measure["id"]]
        measure["is_ranked"] = any(rank is not None for rank in ranks)
    cells = {(row["measure"], row["model"]): _board_cell(row) for row in rows}
    empty = _board_cell(dict.fromkeys(("value", *_NUMBERS), None) | {"unit": "number"})
    return {
        "models": _models([by_model[id] for id in ids], models),
        "measures": measures,
        "first_order": _first_order({"measures": measures})["id"],
        **{
            column: [[cells.get((m["id"], id), empty)[column] for id in ids] for m in measures]
            for column in empty
        },
    }


_NUMBERS = ("value_low", "value_high", "rank", "rank_low", "rank_high")


def _measure(row: Mapping[str, Any]) -> dict[str, Any]:
    unit = row["unit"]
    better = row["is_better_high"]
    return {
        "id": row["measure"],
        "label": row["measure_label"],
        "unit": unit,
        "head": row["measure_label"] + _FORMATS[unit][1],
        "is_better_high": better,
        # Shape bias and the like have no better side, costs have.
        "is_axis_better_high": _COSTS.get(unit) if better is None else better,
        "is_cost": unit in _COSTS,
    }


def _board_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    unit = _FORMATS[row["unit"]][0]
    # Counts are formatted as whole numbers.
    low, high = row["value_low"], row["value_high"]
    has_interval = low is not None and high is not None
    return {
        "value": _short(row["value"]),
        "low": _short(low),
        "high": _short(high),
        "rank": row["rank"],
        "text": formatted(row["value"], unit),
        "interval": f"{formatted(low, unit)}, {formatted(high, unit)}" if has_interval else "",
        "rank_text": _rank_text(row),
        "reason": row.get("reason") or "",
    }


def _rank_text(row: Mapping[str, Any]) -> str:
    if row["rank"] is None:
        return ""
    low, high = row["rank_low"], row["rank_high"]
    between = "" if low is None or low == high else f" ({low}\N{EN DASH}{high})"
    return f"{row['rank']}{between}"


def _first_order(board: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the measure to order by at first: the first of perturbed images that ranks models.

    The first ranked measure is the accuracy on unchanged images.
    """
    ranked = [m for m in board["measures"] if m["is_ranked"]] or board["measures"]
    first: Mapping[str, Any] = ranked[min(1, len(ranked) - 1)]
    return first


def _place(board: Mapping[str, Any], order: int, model: int) -> tuple[float, float]:
    rank, value = board["rank"][order][model], board["value"][order][model]
    sign = 1 if board["measures"][order]["is_better_high"] is False else -1
    return (
        float("inf") if rank is None else rank,
        float("inf") if value is None else sign * value,
    )


def _models(rows: Sequence[Mapping[str, Any]], models: pa.Table) -> list[dict[str, Any]]:
    style = style_of(models.to_pandas())
    marks = dict(zip(style.labels, zip(style.colours, style.shapes, strict=True), strict=True))
    names = [named(row) for row in rows]
    found = []
    for row, name in zip(rows, names, strict=True):
        label = row["architecture_label"]
        colour, shape = marks[label]
        is_unique = names.count(name) == 1
        found.append(
            {
                "id": row["model"],
                # Several runs of one entry have one label.
                "name": name if is_unique else f"{name}, {row['model']}",
                "architecture": label,
                "pretraining": row["pretraining_label"] or "",
                "family": _FAMILIES.get(row["family"], row["family"]),
                "size": row["size"] or "",
                "patch_size": row["patch_size"],
                "colour": colour,
                "shape": shape,
            }
        )
    return found


_FAMILIES = {"vit": "ViT", "resnet": "ResNet", "other": "Other"}


def pairs_data(pairs: pa.Table, ids: Sequence[str]) -> dict[str, Any]:
    """Return the table `model_pairs` as numbers of models, and a matrix [measure][pair] a column."""
    rows = pairs.to_pylist()
    measures = {row["measure"]: row["measure_label"] for row in rows}
    keys = list(dict.fromkeys((row["model_a"], row["model_b"]) for row in rows))
    cells = {(row["measure"], row["model_a"], row["model_b"]): row for row in rows}
    empty: dict[str, Any] = dict.fromkeys((*_DIFFERENCE, "num_images"))
    of_pairs = [[cells.get((measure, *key), empty) for key in keys] for measure in measures]
    return {
        "measures": [{"id": id, "label": label} for id, label in measures.items()],
        "a": [ids.index(a) for a, _ in keys],
        "b": [ids.index(b) for _, b in keys],
        "parts": _PARTS,
        **{name: _packed(of_pairs, column) for column, name in _DIFFERENCE.items()},
        "num_images": [[cell["num_images"] for cell in row] for row in of_pairs],
    }


_DIFFERENCE = {"difference": "difference", "difference_low": "low", "difference_high": "high"}
_ACCURACY = {
    "accuracy": "accuracy",
    "accuracy_low": "low",
    "accuracy_high": "high",
    "clean_accuracy": "clean",
}
_CONDITION = ("dataset", "perturbation", "condition", "severity")


def conditions_data(conditions: pa.Table, ids: Sequence[str]) -> dict[str, Any]:
    """Return the table `model_conditions` as conditions, and a matrix [condition][model] a column."""
    rows = conditions.to_pylist()
    names = {tuple(row[key] for key in _CONDITION): row for row in reversed(rows)}
    cells = {(*(row[key] for key in _CONDITION), row["model"]): row for row in rows}
    empty: dict[str, Any] = dict.fromkeys((*_ACCURACY, "num_images"))
    of_models = [[cells.get((*name, id), empty) for id in ids] for name in reversed(names)]
    return {
        "conditions": [
            {key: row[key] for key in (*_CONDITION, "condition_label", "severity_label")}
            for row in (names[name] for name in reversed(names))
        ],
        "parts": _PARTS,
        **{name: _packed(of_models, column) for column, name in _ACCURACY.items()},
        "num_images": [[cell["num_images"] for cell in row] for row in of_models],
    }


def _packed(cells: Sequence[Sequence[Mapping[str, Any]]], column: str) -> list[list[int | None]]:
    return [
        [None if cell[column] is None else round(_PARTS * cell[column]) for cell in row]
        for row in cells
    ]


def _short(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else float(f"{value:.6g}")
