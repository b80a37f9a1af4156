"""The tables `leaderboard` and `model_pairs` of made-up models whose numbers a test chooses."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import sqrt
from typing import Any

from perturb.experiments import registry
from perturb.page.standings import Standings

Values = Mapping[str, Mapping[str, float | None]]


def made_standings(values: Values, num_images: int = 400) -> Standings:
    """Return models with these values: model -> measure -> value.

    Intervals are those of independent images, differences those of unpaired ones.
    """
    return Standings(made_rows(values, num_images), made_pairs(values, num_images))


def averaged_in(values: Values) -> list[str]:
    """Return the accuracies on perturbed images that the first model has."""
    declared = registry.measures()
    first = next(iter(values.values()), {})
    return [id for id in first if declared[id].test_sets and id != "clean"]


def with_means(values: Values) -> Values:
    """Return the values with the mean under perturbation, if it has several parts."""
    parts = averaged_in(values)
    return {
        model: {**of_model, "perturbed": sum(of_model[part] or 0.0 for part in parts) / len(parts)}
        if len(parts) > 1 and set(parts) <= set(of_model)
        else of_model
        for model, of_model in values.items()
    }


def made_rows(values: Values, num_images: int = 400) -> list[dict[str, Any]]:
    """Return the rows of the table `leaderboard`."""
    values, averaged = with_means(values), averaged_in(values)
    return [
        {
            **_model(model),
            "measure": measure,
            "measure_label": registry.measures()[measure].label,
            "unit": registry.measures()[measure].unit,
            "is_better_high": registry.measures()[measure].is_better_high,
            "value": value,
            "value_low": _end(value, num_images, -1),
            "value_high": _end(value, num_images, 1),
            "num_images": num_images,
            "entry": model,
            "run": 1,
            "entry_value": value,
            "entry_value_low": _end(value, num_images, -1),
            "entry_value_high": _end(value, num_images, 1),
            "is_averaged": measure in averaged,
            "rank": None,
            "rank_low": None,
            "rank_high": None,
            "reason": None,
        }
        for measure in _measures(values)
        for model, of_model in values.items()
        for value in [of_model.get(measure)]
    ]


def made_pairs(values: Values, num_images: int = 400) -> list[dict[str, Any]]:
    """Return the rows of the table `model_pairs`."""
    rows, values = [], with_means(values)
    for a, b in combinations(values, 2):
        for measure in _measures(values):
            one, other = values[a].get(measure), values[b].get(measure)
            if one is None or other is None or registry.measures()[measure].unit != "fraction":
                continue
            half = 1.96 * sqrt(_variance(one, num_images) + _variance(other, num_images))
            rows.append(
                {
                    "model_a": a,
                    "model_b": b,
                    "measure": measure,
                    "measure_label": registry.measures()[measure].label,
                    "difference": one - other,
                    "difference_low": max(-1.0, one - other - half),
                    "difference_high": min(1.0, one - other + half),
                    "num_images": num_images,
                    "is_paired": measure not in ("calibration", "lesion_half_life"),
                }
            )
    return rows


def _measures(values: Values) -> Sequence[str]:
    asked = {measure for of_model in values.values() for measure in of_model}
    return [measure for measure in registry.measures() if measure in asked]


def _model(model: str) -> dict[str, Any]:
    family, _, rest = model.partition("-")
    size, _, pretraining = rest.partition("-")
    label = {"vit": f"ViT-{size.upper()}", "resnet": f"ResNet-{size.upper()}"}.get(family, model)
    return {
        "model": model,
        "architecture_label": label,
        "family": family if family in ("vit", "resnet") else "other",
        "size": size.upper(),
        "patch_size": 8 if family == "vit" else None,
        "num_parameters": 100_000,
        "pretraining": pretraining or None,
        "pretraining_label": pretraining.capitalize() or None,
        "pretraining_rank": 0 if pretraining else None,
    }


def _variance(value: float, num_images: int) -> float:
    # As of one image more, right and wrong by halves: nothing is certain.
    share = min(1.0, (value * num_images + 0.5) / (num_images + 1))
    return share * (1 - share) / num_images


def _end(value: float | None, num_images: int, side: int) -> float | None:
    if value is None:
        return None
    return min(1.0, max(0.0, value + side * 1.96 * sqrt(_variance(value, num_images))))
