"""Studies of a few predictions, each written down by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perturb.evaluation.shards import SCHEMA
from perturb.tables.facts import DATASETS, MODELS

Rows = Sequence[dict[str, Any]]

MODEL = {
    "size": "S",
    "patch_size": None,
    "num_blocks": 3,
    "num_removable": 2,
    "grid_side": None,
    "pretraining": "small",
    "pretraining_label": "Small",
    "pretraining_rank": 0,
    "num_parameters": 1000,
    "is_reference": False,
}


def vit(model: str, patch_size: int, **values: Any) -> dict[str, Any]:
    """Return the facts of a ViT."""
    label = f"ViT-S/{patch_size}"
    facts = {"model": model, "family": "vit", "label": label, "patch_size": patch_size}
    facts |= {"grid_side": 32 // patch_size}
    return {**MODEL, **facts, **values}


def resnet(model: str, **values: Any) -> dict[str, Any]:
    """Return the facts of a ResNet."""
    return {**MODEL, "model": model, "family": "resnet", "label": "ResNet-S", **values}


def other(model: str, **values: Any) -> dict[str, Any]:
    """Return the facts of a network of neither family."""
    return {**MODEL, "model": model, "family": "other", "label": "SwinTransformer-S", **values}


def decided(model: str, outcomes: str, **values: Any) -> Rows:
    """Return a row for each letter of `outcomes`: 1 is right, 0 is wrong; images in order."""
    return [
        {
            "model": model,
            "dataset": "shapes",
            "perturbation": "none",
            "severity": 0.0,
            "condition": values.get("perturbation", "none"),
            "sample": 0,
            "image_id": f"image-{place}",
            "target": 0,
            "prediction": 1 - int(letter),
            "is_correct": letter == "1",
            **values,
        }
        for place, letter in enumerate(outcomes)
    ]


def counted(
    path: Path,
    model: str,
    dataset: str,
    perturbation: str,
    severity: int,
    right: Mapping[str, int],
    ids: pa.Array,
) -> Path:
    """Write the predictions of a cell with a number of correct ones for each condition.

    ids : of the images, of which the first are the correct ones.
    """
    num_rows = len(right) * len(ids)
    correct = np.arange(len(ids))[None] < np.array(list(right.values()))[:, None]
    names = {"model": model, "dataset": dataset, "perturbation": perturbation}
    columns: dict[str, Any] = {name: [value] * num_rows for name, value in names.items()}
    columns |= {
        "severity": np.full(num_rows, float(severity)),
        "condition": np.repeat(list(right), len(ids)),
        "image_id": pa.concat_arrays([ids] * len(right)),
        "is_correct": correct.reshape(-1),
    }
    pq.write_table(pa.table(columns), path)
    return path


def written(folder: Path, models: Rows, predictions: Rows, **sources: Any) -> dict[str, Any]:
    """Write a study; the sources of its tables, beside those given."""
    pq.write_table(pa.Table.from_pylist(list(models), MODELS), folder / "models.parquet")
    pq.write_table(pa.Table.from_pylist(list(predictions), SCHEMA), folder / "predictions.parquet")
    roles = {"shapes": "clean", "conflict": "cue_conflict", "art": "renditions", "small": "extra"}
    datasets = [{"dataset": id, "label": id.title(), "role": role} for id, role in roles.items()]
    pq.write_table(pa.Table.from_pylist(datasets, DATASETS), folder / "datasets.parquet")
    return {
        "predictions": [folder / "predictions.parquet"],
        "models": folder / "models.parquet",
        "datasets": folder / "datasets.parquet",
        **sources,
    }
