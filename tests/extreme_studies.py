"""Made-up studies at the edges: all right, all wrong, and one of everything."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.experiments.corruptions.names import CORRUPTIONS
from tests.synthetic_attacks import NUM_CLASSES
from tests.synthetic_model_perturbations import CORRELATIONS
from tests.synthetic_study import ARCHITECTURES, DATASETS, EXTRAS, Study, make_study

# What ResNets without a ViT beside them can be asked.
NO_VIT = (
    "fgsm",
    "pgd",
    "attack_ensemble",
    "spatial",
    "transfer",
    "cue_conflict",
    "lesions",
    CORRELATIONS,
)
_FEW: Mapping[str, Any] = {
    "num_images": 6,
    "num_corrupted": 4,
    "architectures": [*ARCHITECTURES[:3], ARCHITECTURES[4]],
    "pretraining": ["Small"],
    "corruptions": ("fog", "contrast"),
    "severities": (1, 3),
}
_ONE_MODEL = {"architectures": ARCHITECTURES[2:3]}
_WHOLE = {"corruptions": CORRUPTIONS, "severities": (1, 2, 3, 4, 5), "extras": ()}


def all_right(shard: pa.Table) -> pa.Table:
    """Return a shard of a model that is always right: where cues conflict, by their shape."""
    return _with(shard, is_correct=[True] * shard.num_rows, prediction=shard["target"])


def all_wrong(shard: pa.Table) -> pa.Table:
    """Return a shard of a model that is always wrong, and so is never attacked."""
    count = shard.num_rows
    return _with(shard, is_correct=[False] * count, prediction=[-1] * count, gradient_norm=None)


def one_class_right(shard: pa.Table) -> pa.Table:
    """Return a shard of a model whose every answer is the first class."""
    numbers = [int(id.rpartition("/")[2]) for id in shard["image_id"].to_pylist()]
    is_correct = [number % NUM_CLASSES == 0 for number in numbers]
    return _with(shard, is_correct=is_correct, prediction=[0] * shard.num_rows)


def no_gradient(shard: pa.Table) -> pa.Table:
    """Return a shard of a model whose gradients vanish wherever it is attacked."""
    norms = [None if norm is None else 0.0 for norm in shard["gradient_norm"].to_pylist()]
    return _with(shard, gradient_norm=norms)


def _with(shard: pa.Table, **columns: Any) -> pa.Table:
    for name, values in columns.items():
        field = shard.schema.field(name)
        column = pa.nulls(shard.num_rows, field.type) if values is None else values
        if isinstance(column, list):
            column = pa.array(column, field.type)
        shard = shard.set_column(shard.schema.get_field_index(name), field, column)
    return shard


def no_perturbation(study: Study) -> Study:
    """Empty the measures of patterns: without any gradient no perturbation has a ratio."""
    for path in study.patterns:
        table = pq.read_table(path)
        nothing = pa.nulls(table.num_rows, pa.float32())
        columns = dict.fromkeys(("border_ratio", "foreground_ratio"), nothing)
        kept = table.drop_columns(list(columns))
        for name, values in columns.items():
            kept = kept.append_column(name, values)
        pq.write_table(kept, path)
    return study


Shape = Mapping[str, Any]
Change = Callable[[pa.Table], pa.Table]

EXTREMES: Mapping[str, tuple[Shape, Change | None]] = {
    "nobody errs": ({}, all_right),
    "nobody errs on clean images": ({"severities": (), "extras": ()}, all_right),
    "nobody errs, reference included": (_WHOLE, all_right),
    "everybody errs": ({}, all_wrong),
    "everybody errs, reference included": (_WHOLE, all_wrong),
    "one class right": ({}, one_class_right),
    "no gradient": ({}, no_gradient),
    "one model": (_ONE_MODEL, None),
    "one model that never errs": (_ONE_MODEL, all_right),
    "one ResNet": (
        {"architectures": ARCHITECTURES[:1], "extras": NO_VIT},
        None,
    ),
    "one image": ({"num_images": 1}, None),
    "one image, all right": ({"num_images": 1}, all_right),
    "one image, all wrong": ({"num_images": 1}, all_wrong),
    "one condition at one severity": ({"corruptions": ("fog",), "severities": (3,)}, None),
    "one set of corruptions": (
        {"corruptions": ("fog",), "severities": (3,), "extras": ()},
        None,
    ),
    "one dataset": ({"datasets": DATASETS[:1], "severities": (), "extras": ()}, None),
    "one family, ResNets": ({"architectures": ARCHITECTURES[:2], "extras": NO_VIT}, None),
    "one family, ViTs": ({"architectures": ARCHITECTURES[2:]}, None),
    **{
        f"one perturbation, {name}": ({"severities": (), "extras": needed}, None)
        for name, needed in (
            ("FGSM", ("fgsm", "pgd")),
            ("PGD", ("pgd",)),
            ("L2", ("attack_ensemble_l2",)),
            ("spatial", ("spatial",)),
            ("cue conflict", ("cue_conflict",)),
            ("lesions", ("lesions",)),
            ("token_removal", ("token_removal",)),
            ("correlations", (CORRELATIONS,)),
        )
    },
}


def extreme_study(folder: Path, name: str) -> Study:
    """Write the study of this name among `EXTREMES`."""
    shape, change = EXTREMES[name]
    study = make_study(folder, **{**_FEW, "extras": EXTRAS, **shape}).joined()
    for path in (*study.predictions, *study.reference) if change else ():
        pq.write_table(change(pq.read_table(path, partitioning=None)), path)
    return no_perturbation(study) if change is no_gradient else study


def ragged_study(folder: Path) -> Study:
    """Write a study whose architectures were not all pre-trained on every set."""
    study = make_study(folder, **{**_FEW, "pretraining": ["Small", "Large"]})
    for model in ("resnet-b-large", "vit-s8-small", "vit-b8-large"):
        study = study.without(model)
    return study.joined()
