"""Made-up tables and pictures of models side by side, in the form of a study's."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

HOSTILE = "<img src=x onerror='window.hacked = true'>"
# id, label, unit, whether more is better, value of the weakest and of the strongest model.
MEASURES = (
    ("clean", "Clean", "fraction", True, 0.7, 0.98),
    ("corruptions", "Corruptions", "fraction", True, 0.4, 0.8),
    ("mce", "mCE", "fraction", False, 1.1, 0.6),
    ("shape_bias", "Shape bias", "fraction", None, 0.2, 0.7),
    ("calibration", "Calibration error", "fraction", False, 0.2, 0.02),
    ("parameters", "Parameters", "count", None, 60_000, 9_000_000),
    ("images_per_second", "Images/s", "images_per_second", None, 900.0, 90.0),
)
SIZES = ("S", "B", "L")
PRETRAINING = ("Small", "Large")
CORRUPTIONS = ("snow", "fog")
NUM_IMAGES = 400
TILE = 8


def model_rows(num_models: int) -> list[dict[str, Any]]:
    """Return the columns of models: ViTs and ResNets of several sizes and pre-training sets."""
    rows = []
    for place in range(num_models):
        family = ("vit", "resnet")[place % 2]
        size = SIZES[place // 2 % 3] + str(place // 12 or "")
        pretraining = PRETRAINING[place // 6 % 2]
        patch = 8 if family == "vit" else None
        rows.append(
            {
                "model": f"{family}-{size}-{place}".lower(),
                "architecture_label": f"ViT-{size}/8" if patch else f"ResNet-{size}",
                "family": family,
                "size": size,
                "patch_size": patch,
                "num_parameters": 60_000 * (place + 1),
                "pretraining": pretraining.lower(),
                "pretraining_label": pretraining,
                "pretraining_rank": PRETRAINING.index(pretraining),
            }
        )
    return rows


def tables_of(num_models: int, hostile: bool = False) -> dict[str, pa.Table]:
    """Return the tables `models`, `leaderboard`, `model_pairs` and `model_conditions`.

    The last model lacks the mCE; labels of models and measures are hostile if wanted.
    """
    models = model_rows(num_models)
    if hostile:
        models[0]["pretraining_label"] = HOSTILE
    reference = {**models[0], "model": "reference", "is_reference": True}
    return {
        "models": pa.Table.from_pylist(
            [*({**row, "is_reference": False} for row in models), reference]
        ),
        "leaderboard": pa.Table.from_pylist(_leaderboard(models)),
        "model_pairs": pa.Table.from_pylist(_pairs(models), _PAIRS),
        "model_conditions": pa.Table.from_pylist(_conditions(models)),
    }


def _values(low: float, high: float, count: int, seed: int) -> list[float]:
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, count)
    shares = np.clip(np.linspace(0, 1, count) + noise, 0, 1)
    return [float(value) for value in low + (high - low) * shares]


def _leaderboard(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for seed, (measure, label, unit, better, low, high) in enumerate(MEASURES):
        values = _values(low, high, len(models), seed)
        order = sorted(values, reverse=better is not False)
        for place, (model, value) in enumerate(zip(models, values, strict=True)):
            is_missing = measure == "mce" and place == len(models) - 1
            rank = None if better is None or is_missing else order.index(value) + 1
            has_interval = unit == "fraction" and not is_missing
            rows.append(
                {
                    **model,
                    "measure": measure,
                    "measure_label": label,
                    "unit": unit,
                    "is_better_high": better,
                    "value": None if is_missing else float(value),
                    "value_low": max(0, value - 0.03) if has_interval else None,
                    "value_high": value + 0.02 if has_interval else None,
                    "num_images": NUM_IMAGES,
                    "rank": rank,
                    "rank_low": rank and max(1, rank - 1),
                    "rank_high": rank and min(len(models), rank + 1),
                    "reason": "No reference." if is_missing else None,
                }
            )
    return rows


_PAIRS = pa.schema(
    [
        ("model_a", pa.string()),
        ("model_b", pa.string()),
        ("measure", pa.string()),
        ("measure_label", pa.string()),
        ("difference", pa.float64()),
        ("difference_low", pa.float64()),
        ("difference_high", pa.float64()),
        ("num_images", pa.int64()),
    ]
)


def _pairs(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    measures = [("clean", "Clean"), ("corruptions", "Corruptions")]
    measures += [(name, name.capitalize()) for name in CORRUPTIONS]
    values = {
        measure: _values(0.4, 0.9, len(models), seed) for seed, (measure, _) in enumerate(measures)
    }
    return [
        {
            "model_a": one["model"],
            "model_b": other["model"],
            "measure": measure,
            "measure_label": label,
            "difference": values[measure][a] - values[measure][b],
            "difference_low": values[measure][a] - values[measure][b] - 0.05,
            "difference_high": values[measure][a] - values[measure][b] + 0.05,
            "num_images": NUM_IMAGES,
        }
        for a, one in enumerate(models)
        for b, other in enumerate(models)
        if a < b
        for measure, label in measures
    ]


def conditions() -> list[dict[str, Any]]:
    """Return the conditions of the gallery and of `model_conditions`."""
    clean = ("benchmarks", "none", "none", 0.0, "Unchanged", "")
    changed = [
        ("corruptions", "corruptions", name, float(severity), name.capitalize(), str(severity))
        for name in CORRUPTIONS
        for severity in (1, 3, 5)
    ]
    keys = ("experiment", "perturbation", "condition", "severity", "label", "severity_label")
    return [
        {"dataset": "shapes", **dict(zip(keys, values, strict=True))}
        for values in (clean, *changed)
    ]


def _conditions(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for condition in conditions():
        for place, model in enumerate(models):
            accuracy = 0.9 - 0.1 * condition["severity"] - 0.002 * place
            rows.append(
                {
                    **model,
                    **{key: condition[key] for key in ("dataset", "perturbation", "condition")},
                    "severity": condition["severity"],
                    "severity_label": condition["severity_label"],
                    "condition_label": condition["label"],
                    "accuracy": accuracy,
                    "accuracy_low": accuracy - 0.04,
                    "accuracy_high": accuracy + 0.04,
                    "num_images": NUM_IMAGES,
                    "clean_accuracy": 0.9 - 0.002 * place,
                }
            )
    return rows


def examples_of(folder: Path, models: Sequence[str]) -> Mapping[str, Path]:
    """Write a gallery and the disagreements of some models, with random tiles."""
    num_models = len(models)
    random = np.random.default_rng(0)
    found = conditions()
    gallery = {"tile": TILE, "columns": 8, "num_images": 4, "conditions": found}
    images = [
        {
            "dataset": "shapes",
            "image_id": str(number),
            "target": number % 3,
            "predictions": [
                number % 3 if (number + m) % 4 else (number + 1) % 3 for m in range(num_models)
            ],
            "confidences": [round(float(value), 2) for value in random.uniform(0.3, 1, num_models)],
        }
        for number in range(30)
    ]
    disagreements = {
        "tile": TILE,
        "columns": 8,
        "models": list(models),
        "classes": {"shapes": ["disc", "ring", HOSTILE]},
        "images": images,
        "worst": {
            model: [number for number in range(30) if not (number + m) % 4]
            for m, model in enumerate(models)
        },
        "pairs": [
            [a, b, 20 + i, 10 + j, "shapes"]
            for i, a in enumerate(models)
            for j, b in enumerate(models)
            if i < j
        ],
    }
    files = {}
    for name, facts, count in (
        ("gallery", gallery, 4 * len(found)),
        ("disagreements", disagreements, len(images)),
    ):
        files[f"{name}.json"] = folder / f"{name}.json"
        files[f"{name}.json"].write_text(json.dumps(facts), encoding="utf-8")
        files[f"{name}.webp"] = folder / f"{name}.webp"
        rows = -(-count // 8)
        pixels = random.integers(0, 256, (rows * TILE, 8 * TILE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(files[f"{name}.webp"], lossless=True)
    return files
