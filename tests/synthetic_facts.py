"""What a made-up study says of its models, its datasets and its shards."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.experiments.corruptions.names import CORRUPTIONS
from perturb.tables.facts import DATASETS, MODELS
from tests.synthetic_attacks import NUM_SAMPLES, STAGES
from tests.synthetic_model_perturbations import depth_of, grid_side
from tests.synthetic_published import NUM_CLASSES, SUBSETS, subset_facts


def datasets_table(sets: Sequence[tuple[str, str, str]], num_images: int) -> pa.Table:
    """Return what is known of each dataset beside its id, label and role."""
    return pa.Table.from_pylist(
        [
            {"dataset": id, "label": label, "role": role, "num_images": num_images}
            | {"num_classes": NUM_CLASSES}
            | subset_facts(id, num_images)
            for id, label, role in sets
        ],
        schema=DATASETS,
    )


def inventory_table(paths: Sequence[Path]) -> pa.Table:
    """Return what the shards say of how they were made."""
    rows = []
    for path in paths:
        cell = path.with_suffix("").parts[path.parts.index("shards") + 1 :]
        num_rows = pq.read_metadata(path).num_rows
        num_conditions = {"corruptions": len(CORRUPTIONS), "attack_ensemble": len(STAGES)}
        num_conditions["attack_ensemble_l2"] = len(STAGES)
        num_conditions["spatial"] = NUM_SAMPLES + 1
        num_conditions["class_subset"] = len(SUBSETS)
        rows.append(
            {
                "path": str(path),
                "model": cell[0],
                "dataset": cell[1],
                "perturbation": cell[2],
                "severity": float(cell[3]),
                "num_images": num_rows // num_conditions.get(cell[2], 1),
                "num_rows": num_rows,
                "seconds": 0.5 + num_rows / 3000,
                "device": "test device",
                "commit": "0123456789ab",
                "torch": "2.13.0",
            }
        )
    return pa.Table.from_pylist(rows)


def model_rows(
    architectures: Sequence[tuple[str, str, int | None, int, float]], pretraining: Sequence[str]
) -> list[dict]:
    """Return the facts of each model, and its ability; the last is the reference."""
    rows = []
    for family, size, patch_size, num_parameters, ability in architectures:
        suffix = f"/{patch_size}" if patch_size else ""
        name = {"vit": "ViT", "resnet": "ResNet", "other": "ConvNeXt"}[family]
        architecture = f"{family}-{size}{patch_size or ''}".lower()
        for rank, label in enumerate(pretraining):
            rows.append(
                {
                    "model": f"{architecture}-{label.lower()}",
                    "label": f"{name}-{size}{suffix}",
                    "architecture": architecture,
                    "family": family,
                    "size": size,
                    "patch_size": patch_size,
                    "num_blocks": depth_of(family, size),
                    # Of a ResNet, blocks 0 and 2 change the shape.
                    "num_removable": depth_of(family, size) - 1 - (family == "resnet"),
                    "grid_side": grid_side(patch_size),
                    "pretraining": label.lower(),
                    "pretraining_label": label,
                    "pretraining_rank": rank,
                    "pretraining_images": 2000 * 5**rank,
                    "num_parameters": num_parameters,
                    "is_reference": False,
                    "paper_pretraining": label,
                    "timm_tag": f"{architecture}.{label.lower()}",
                    "ability": ability + 0.3 * rank,
                }
            )
    reference = dict(rows[0], model="reference", architecture="reference", is_reference=True)
    unknown = ("paper_pretraining", "timm_tag")
    named = [name for name in reference if name.startswith("pretraining") or name in unknown]
    empty = dict.fromkeys(named)
    return [*rows, {**reference, **empty, "ability": 1.7}]


def models_table(rows: Sequence[dict]) -> pa.Table:
    """Return the models as a table of the types of a real one."""
    return pa.Table.from_pylist(rows, schema=MODELS)
