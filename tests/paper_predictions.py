"""Predictions made up from the paper's own figures, for what the claims' verdicts say of them.

The paper gives accuracies, not predictions, so two things are assumed. *Pairing*: an image has a
score for each model, of which 70 % of the variance is common to all models, and a model is right on
the images of its highest scores, as many as the paper's accuracy says; a changed model has the
scores of the unchanged one. *Numbers*: 1,000 images under attacks, 1,200 stimuli and 7,500 natural
adversarial images are the paper's, and so are 50,000 clean ones of the models of the largest set;
else there are 5,000 clean and corrupted images instead of 50,000, each corrupted once, 3,000
renditions instead of 30,000, and 1,000 for changed models. A set of
removed layers shifts accuracy by a standard deviation of four points; of three random masks, not
one, the shift is half a point. Where the figure only shows that a value is below its axis, it is at
the axis.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from perturb.experiments.layer_correlations.similarity import SCHEMA
from perturb.places import resource
from tests.hand_made import Rows, resnet, vit, written
from tests.synthetic_shards import image_id, shard

EPSILON = 1 / 255
SETS = ("ILSVRC-2012", "ImageNet-21k", "JFT-300M")
_COMMON = 0.7
_DATASETS = {"renditions": "art", "natural_adversarial": "hard", "shape_bias": "conflict"}
_NUM_IMAGES = {"clean": 5000, "corruptions": 5000, "renditions": 3000, "natural_adversarial": 7500}
_NUM_ATTACKED, _NUM_STIMULI, _NUM_CHANGED = 1000, 1200, 1000
# Millions of parameters; blocks.
_SIZES = {
    "ResNet-50x1": (25.5, 16),
    "ResNet-101x1": (44.5, 33),
    "ResNet-50x3": (217, 16),
    "ResNet-101x3": (388, 33),
    "ResNet-152x4": (937, 50),
    "ViT-B/32": (88, 12),
    "ViT-B/16": (86, 12),
    "ViT-L/32": (307, 24),
    "ViT-L/16": (304, 24),
    "ViT-H/14": (632, 32),
}
Figure = dict[str, str]


def figures(*quantities: str) -> list[Figure]:
    """Return the rows of the paper's figures with these quantities."""
    with resource("paper_figures.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["quantity"] in quantities]


def model_id(row: Figure) -> str:
    """Return the id of the model of a row."""
    return f"{row['model']}-{row['pretraining']}".lower().replace("/", "")


def facts(rows: list[Figure]) -> Rows:
    """Return the facts of the models of some rows."""
    found = {}
    for row in rows:
        label = row["model"]
        family, _, size = label.partition("-")
        parameters, num_blocks = _SIZES[label]
        values: dict[str, Any] = {
            "label": label,
            "size": size.partition("/")[0],
            "num_blocks": num_blocks,
            "num_removable": num_blocks - 1,
            "num_parameters": round(parameters * 1e6),
            "pretraining": row["pretraining"].lower(),
            "pretraining_label": row["pretraining"],
            "pretraining_rank": SETS.index(row["pretraining"]),
        }
        id = model_id(row)
        if family == "ViT":
            patch_size = int(size.partition("/")[2])
            found[id] = vit(id, patch_size, **values, grid_side=224 // patch_size)
        else:
            found[id] = resnet(id, **values)
    return list(found.values())


def right(model: str, dataset: str, num_images: int, accuracy: float) -> np.ndarray:
    """Return on which images a model is right."""
    common = np.random.default_rng([1, *dataset.encode()]).standard_normal(num_images)
    own = np.random.default_rng([2, *f"{dataset}/{model}".encode()]).standard_normal(num_images)
    score = np.sqrt(_COMMON) * common + np.sqrt(1 - _COMMON) * own
    is_right = np.zeros(num_images, bool)
    is_right[np.argsort(-score)[: round(accuracy * num_images)]] = True
    return is_right


def study(folder: Path, rows: list[Figure], shards: list[pa.Table], **sources: Any) -> Any:
    """Return the sources of a study of these predictions."""
    found = written(folder, facts(rows), [], **sources)
    names = {"shapes": "clean", "art": "renditions", "hard": "natural_adversarial"}
    names |= {"conflict": "cue_conflict"}
    datasets = pq.read_schema(folder / "datasets.parquet")
    table = [{"dataset": id, "label": id, "role": role} for id, role in names.items()]
    pq.write_table(pa.Table.from_pylist(table, datasets), folder / "datasets.parquet")
    pq.write_table(pa.concat_tables(shards).unify_dictionaries(), folder / "predictions.parquet")
    return found


def on_test_sets(folder: Path) -> Any:
    """Return a study of Figure 2: clean, corrupted, rendered, natural adversarial images."""
    return _of_test_sets(folder, figures(*_NUM_IMAGES), _NUM_IMAGES)


def of_largest_set(folder: Path) -> Any:
    """Return a study of the models of Figure 2 that were pre-trained on the largest set."""
    rows = [row for row in figures(*_NUM_IMAGES) if row["pretraining"] == SETS[-1]]
    return _of_test_sets(folder, rows, {**_NUM_IMAGES, "clean": 50_000})


def _of_test_sets(folder: Path, rows: list[Figure], num_images: dict[str, int]) -> Any:
    shards = []
    for row in rows:
        quantity = row["quantity"]
        is_corrupted = quantity == "corruptions"
        dataset = _DATASETS.get(quantity, "shapes")
        shards.append(
            _shard(
                model_id(row),
                dataset,
                "corruptions" if is_corrupted else "none",
                float(is_corrupted),
                {("fog" if is_corrupted else "none", 0): float(row["value"])},
                num_images=num_images[quantity],
            )
        )
    return study(folder, rows, shards)


def under_attack(folder: Path, attack: str) -> Any:
    """Return a study of one attack of Figure 3, at the number of images of the paper."""
    rows = figures(attack)
    clean = {model_id(row): float(row["value"]) for row in figures("clean_attacked")}
    # The figure shows the least ResNet on spatially transformed images alone.
    least = (row for row in figures("clean") if row["model"] == "ResNet-50x1")
    clean |= {model_id(row): float(row["value"]) for row in least}
    shards = []
    for row in rows:
        model = model_id(row)
        number = {"num_images": _NUM_ATTACKED}
        condition = "grid" if attack == "spatial" else attack
        severity = 1.0 if attack == "spatial" else EPSILON
        attacked = {(condition, 0): float(row["value"])}
        shards.append(_shard(model, "shapes", attack, severity, attacked, **number))
        shards.append(_shard(model, "shapes", "none", 0, {("none", 0): clean[model]}, **number))
    return study(folder, rows, shards)


def on_cue_conflicts(folder: Path) -> Any:
    """Return a study of Figure 6: what is not decided by shape is by texture."""
    rows = figures("shape_bias")
    same = {"num_images": _NUM_STIMULI}
    shards = [
        _shard(model_id(row), "conflict", "none", 0, {("none", 0): float(row["value"])}, **same)
        for row in rows
    ]
    shards += [
        _shard(model_id(row), "shapes", "none", 0, {("none", 0): 0.8}, num_images=10)
        for row in rows
    ]
    ids = [image_id("conflict", number) for number in range(_NUM_STIMULI)]
    stimuli = pa.table({"image_id": ids, "target": [0] * len(ids), "texture": [1] * len(ids)})
    pq.write_table(stimuli, folder / "stimuli.parquet")
    return study(folder, rows, shards, stimuli=[folder / "stimuli.parquet"])


def without_layers(folder: Path) -> Any:
    """Return a study of Figure 8: one block removed, and sets of 25."""
    rows = figures("lesions_single", "lesions")
    cells: dict[tuple[str, float], dict[tuple[str, int], float]] = {}
    clean = {}
    for row in rows:
        model, value = model_id(row), float(row["value"])
        if row["condition"] == "none":
            clean[model] = value
        elif row["quantity"] == "lesions_single":
            cell = cells.setdefault((model, 1.0), {})
            cell[row["condition"], int(row["level"])] = value
        else:
            cell = cells.setdefault((model, float(row["level"])), {})
            cell |= {(row["condition"], place): each for place, each in _drawn(value, 25, 0.04)}
    return study(folder, rows, list(_changed("lesions", clean, cells)))


def with_masks(folder: Path) -> Any:
    """Return a study of Figure 9: attention within a distance, or as much of it at random."""
    rows = figures("restricted_attention")
    cells: dict[tuple[str, float], dict[tuple[str, int], float]] = {}
    clean = {}
    for row in rows:
        model, value = model_id(row), float(row["value"])
        if row["condition"] == "none":
            clean[model] = value
            continue
        cell = cells.setdefault((model, float(row["level"])), {})
        if row["condition"] == "window":
            cell["window", 0] = value
        else:
            cell |= {("permuted", place): each for place, each in _drawn(value, 3, 0.005)}
    return study(folder, rows, list(_changed("restricted_attention", clean, cells)))


def without_patch_attention(folder: Path) -> Any:
    """Return a study of the right of Figure 9: patches that do not attend to each other."""
    rows = figures("patch_attention")
    cells: dict[tuple[str, float], dict[tuple[str, int], float]] = {}
    for row in rows:
        cell = cells.setdefault((model_id(row), float(row["level"])), {})
        cell[row["condition"], 0] = float(row["value"])
    clean = {model: values["first", 0] for (model, level), values in cells.items() if level == 0}
    cells = {key: values for key, values in cells.items() if key[1] > 0}
    return study(folder, rows, list(_changed("patch_attention", clean, cells)))


def of_layers(folder: Path) -> Any:
    """Return a study of Figure 7 at ILSVRC-2012: the mean correlations of both thirds.

    The paper shows no single images: their standard deviation is assumed to be a tenth.
    """
    row = {"model": "ViT-L/16", "pretraining": "ILSVRC-2012"}
    shards = [_shard(model_id(row), "shapes", "none", 0, {("none", 0): 0.8}, num_images=10)]
    parts = []
    for measure, first, last in (("pearson_all", 0.74, 0.86), ("pearson_cls", 0.93, 0.73)):
        values = {"measure": measure, "spread": 0.1, "num_images": 100}
        for start, value in ((0, first), (16, last)):
            parts += [
                {**values, "layer_a": start + a, "layer_b": start + b, "value": value}
                for b in range(8)
                for a in range(b)
            ]
        own = last - first + 0.1 * stats.norm.ppf((np.arange(100) + 0.5) / 100)
        rise = {"measure": f"{measure}_rise", "num_images": 100}
        parts += [{**rise, "image_id": str(place), "value": each} for place, each in enumerate(own)]
    table = pa.Table.from_pylist([{**part, "model": model_id(row)} for part in parts], SCHEMA)
    pq.write_table(table, folder / "representations.parquet")
    return study(folder, [row], shards, representations=[folder / "representations.parquet"])


def _drawn(value: float, num: int, spread: float) -> Iterator[tuple[int, float]]:
    """Yield accuracies of draws that have a mean and a spread, numbered from 1."""
    shifts = spread * stats.norm.ppf((np.arange(num) + 0.5) / num)
    for place, shift in enumerate(np.random.default_rng(num).permutation(shifts), start=1):
        # So many points do not fit beside 0, and less than the spread is left of accuracy there.
        yield place, value + float(shift) * min(1.0, value / (3 * spread))


def _changed(
    perturbation: str,
    clean: dict[str, float],
    cells: dict[tuple[str, float], dict[tuple[str, int], float]],
) -> Iterator[pa.Table]:
    number = {"num_images": _NUM_CHANGED}
    for model, value in clean.items():
        yield _shard(model, "shapes", "none", 0, {("none", 0): value}, **number)
    for (model, severity), values in cells.items():
        yield _shard(model, "shapes", perturbation, severity, values, **number)


def _shard(
    model: str,
    dataset: str,
    perturbation: str,
    severity: float,
    accuracies: dict[tuple[str, int], float],
    *,
    num_images: int,
) -> pa.Table:
    """Return a shard with an accuracy for each condition and sample."""
    each = [right(model, dataset, num_images, value) for value in accuracies.values()]
    samples = np.array([sample for _, sample in accuracies], np.int16)
    added = {"sample": np.broadcast_to(samples[:, None], (len(each), num_images))}
    if perturbation == "lesions":
        # Single blocks are numbered; sets are never of the first block alone.
        removed = samples if severity == 1 else samples + 1
        texts = removed.astype(str).astype(object)
        added["removed"] = np.broadcast_to(texts[:, None], (len(each), num_images))
    return shard(
        model,
        dataset,
        perturbation=perturbation,
        severity=severity,
        conditions=[condition for condition, _ in accuracies],
        is_correct=np.stack(each),
        added=added,
    )
