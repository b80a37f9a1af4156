"""Tables of models side by side as columns, which the page's scripts read.

Of 60 models there are 1,770 pairs with some 30 measures each: a matrix of numbers is smaller than
rows with names.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from perturb.charts.style import style_of
from perturb.experiments.comparison.means import MEAN
from perturb.experiments.registry import experiment_of
from perturb.formatting import MEASURE_FORMATS, formatted, named

# Facts that cost: less of them is better. More images per second are better.
_COSTS = {"count": False, "flops": False, "images_per_second": True}
# Accuracies are packed as integers, in hundredths of a percent.
_PARTS = 10_000


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
        values = [row["value"] for row in rows if row["measure"] == measure["id"]]
        measure["is_known"] = any(value is not None for value in values)
    cells = {(row["measure"], row["model"]): _board_cell(row) for row in rows}
    empty = _board_cell(dict.fromkeys(("value", *_NUMBERS), None) | {"unit": "number"})
    return {
        "models": _models([by_model[id] for id in ids], models),
        "measures": measures,
        "first_order": first_order(measures)["id"],
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
        "head": row["measure_label"] + (" (%)" if unit == "fraction" else ""),
        "is_better_high": better,
        # A fact has no better side, a cost has.
        "is_axis_better_high": _COSTS.get(unit) if better is None else better,
        "is_cost": unit in _COSTS,
    }


def _board_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    unit = MEASURE_FORMATS[row["unit"]]
    low, high = row["value_low"], row["value_high"]
    has_interval = low is not None and high is not None
    return {
        "value": _short(row["value"]),
        "low": _short(low) if has_interval else None,
        "high": _short(high) if has_interval else None,
        "rank": row["rank"],
        "text": formatted(row["value"], unit),
        "interval": f"{formatted(low, unit)}, {formatted(high, unit)}" if has_interval else "",
        "rank_text": _rank_text(row),
        "reason": row.get("reason") or "",
    }


def _rank_text(row: Mapping[str, Any]) -> str:
    low, high = row["rank_low"], row["rank_high"]
    # Where some values have only a lower end, the best and the worst rank alone are known.
    if row["rank"] is None:
        return "" if low is None else f"{low}\N{EN DASH}{high}"
    between = "" if low is None or low == high else f" ({low}\N{EN DASH}{high})"
    return f"{row['rank']}{between}"


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


def pairs_data(pairs: pa.Table, board: Mapping[str, Any]) -> dict[str, Any]:
    """Return `model_pairs` as numbers of models, and a matrix [measure][pair] a column.

    Single corruptions are no measures of the leaderboard; more of their accuracy is better. Of
    facts, such as shape bias, no model is better.
    """
    better = {measure["id"]: measure["is_better_high"] for measure in board["measures"]}
    rows = [row for row in pairs.to_pylist() if better.get(row["measure"], True) is not None]
    ids = [model["id"] for model in board["models"]]
    unpaired = {row["measure"] for row in rows if not row.get("is_paired", True)}
    measures = {row["measure"]: row["measure_label"] for row in rows}
    keys = list(dict.fromkeys((row["model_a"], row["model_b"]) for row in rows))
    cells = {(row["measure"], row["model_a"], row["model_b"]): row for row in rows}
    empty: dict[str, Any] = dict.fromkeys((*_DIFFERENCE, "num_images"))
    of_pairs = [[cells.get((measure, *key), empty) for key in keys] for measure in measures]
    return {
        "measures": [
            {
                "label": label,
                "is_better_high": better.get(id, True),
                "is_paired": id not in unpaired,
                "is_single_corruption": id not in better,
            }
            for id, label in measures.items()
        ],
        "a": [ids.index(a) for a, _ in keys],
        "b": [ids.index(b) for _, b in keys],
        "parts": _PARTS,
        **{name: _packed(of_pairs, column) for column, name in _DIFFERENCE.items()},
        "sign": [[_sign(cell) for cell in row] for row in of_pairs],
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
    """Return `model_conditions` as conditions, and a matrix [condition][model] a column."""
    rows = conditions.to_pylist()
    names = {tuple(row[key] for key in _CONDITION): row for row in reversed(rows)}
    cells = {(*(row[key] for key in _CONDITION), row["model"]): row for row in rows}
    empty: dict[str, Any] = dict.fromkeys((*_ACCURACY, "num_images"))
    of_models = [[cells.get((*name, id), empty) for id in ids] for name in reversed(names)]
    return {
        "conditions": [
            {
                **{key: row[key] for key in (*_CONDITION, "condition_label", "severity_label")},
                "experiment": experiment_of(row["perturbation"]),
            }
            for row in (names[name] for name in reversed(names))
        ],
        "parts": _PARTS,
        **{name: _packed(of_models, column) for column, name in _ACCURACY.items()},
        "num_images": [[cell["num_images"] for cell in row] for row in of_models],
    }


def _sign(cell: Mapping[str, Any]) -> int:
    """Return 1 if the interval of a difference lies above zero, -1 if below, else 0.

    Its packed ends may be rounded to zero.
    """
    low, high = cell["difference_low"], cell["difference_high"]
    return 0 if low is None or high is None else (low > 0) - (high < 0)


def _packed(cells: Sequence[Sequence[Mapping[str, Any]]], column: str) -> list[list[int | None]]:
    return [
        [None if cell[column] is None else round(_PARTS * cell[column]) for cell in row]
        for row in cells
    ]


def _short(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else float(f"{value:.6g}")


def first_order(measures: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the measure to order by at first: the mean under perturbation, as in the first rows.

    Without it, it is the first after the accuracy on unchanged images that ranks models.
    """
    ranked = [measure for measure in measures if measure["is_ranked"]] or measures
    means = [measure for measure in ranked if measure["id"] == MEAN]
    return means[0] if means else ranked[min(1, len(ranked) - 1)]
