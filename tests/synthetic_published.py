"""Made-up predictions among some classes, and numbers that others might have published."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.synthetic_shards import shard

# What a study has beside its predictions: models of the paper, and datasets with results of timm's.
PUBLISHED = ("class_subset", "paper", "published")
# Names among timm's results, and classes of the sets that have some only.
BENCHMARKS = {"shapes": "imagenet", "renditions": "imagenet-r", "hard": "imagenet-a"}
SUBSETS = {"renditions": 6, "hard": 4}
NUM_CLASSES = 12

Row = Mapping[str, Any]


def subset_facts(dataset: str, num_images: int) -> dict[str, Any]:
    """Return what the facts of a dataset say of its classes and its name elsewhere."""
    num_classes = SUBSETS.get(dataset)
    return {
        "published": BENCHMARKS.get(dataset),
        "num_subset_classes": min(num_classes, num_images) if num_classes else None,
    }


def class_subset(row: Row, num_images: int, seed: int) -> Iterator[pa.Table]:
    """Yield the shards of a model that decides among fewer classes: on each set, and clean."""
    for place, dataset in enumerate(("shapes", *SUBSETS)):
        random = np.random.default_rng([seed, 6, place, *row["model"].encode()])
        correct = random.random((len(SUBSETS), num_images)) < 0.8
        num_classes = SUBSETS.get(dataset, NUM_CLASSES)
        targets = np.tile(np.arange(num_images) % num_classes, (len(SUBSETS), 1))
        yield shard(
            row["model"],
            dataset,
            perturbation="class_subset",
            severity=0,
            conditions=list(SUBSETS),
            is_correct=correct,
            added={"target": targets.astype(np.int16)},
        )


def write_published(folder: Path, rows: Sequence[Row]) -> dict[str, Path]:
    """Write what the paper's figures and timm's results would say of these models."""
    written = {"paper_figures": _paper(rows), "published_top1": _timm(rows)}
    paths = {name: folder / f"{name}.csv" for name in written}
    for name, entries in written.items():
        with paths[name].open("w", newline="") as file:
            writer = csv.DictWriter(file, list(entries[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(entries)
    return paths


# quantity, condition, level, grid side, value
_QUANTITIES = [
    ("clean", "", "", "", 0.8),
    ("renditions", "", "", "", 0.4),
    ("natural_adversarial", "", "", "", 0.3),
    ("clean_attacked", "", "", "", 0.8),
    ("spatial", "", "", "", 0.3),
    ("shape_bias", "", "", "", 0.45),
    ("lesions_single", "none", "", "", 0.8),
    ("lesions_single", "block", 0, "", 0.4),
    ("lesions", "mlp", 2, "", 0.5),
    ("restricted_attention", "window", 2, 4, 0.7),
    ("restricted_attention", "permuted", 2, 4, 0.6),
    ("patch_attention", "first", 1, "", 0.5),
]


def _paper(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "figure": 2,
            "quantity": quantity,
            "condition": condition,
            "level": level,
            "grid_side": grid_side,
            "pretraining": row["pretraining_label"],
            "model": row["label"],
            "value": value,
            "tolerance": 0.005,
            "is_upper_bound": quantity == "lesions_single" and condition == "block",
            "num_samples": 25 if quantity == "lesions" else "",
            "num_images": 1000,
            "population": 50_000,
            "note": "",
        }
        for row in rows
        if row["pretraining_label"]
        for quantity, condition, level, grid_side, value in _QUANTITIES
    ]


def _timm(rows: Sequence[Row]) -> list[dict[str, Any]]:
    names = [*BENCHMARKS.values(), "imagenet-r-clean200", "imagenet-a-clean200"]
    return [
        {
            "benchmark": benchmark,
            "timm_tag": row["timm_tag"],
            "image_side": 224,
            "crop": 0.9,
            "interpolation": "bicubic",
            "value": 0.8,
            "tolerance": 0.001,
            "population": 10_000,
        }
        for row in rows
        if row["timm_tag"]
        for benchmark in names
    ]
