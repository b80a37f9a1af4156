"""Made-up outcomes of changed models: lesions, heads, restricted attention, dropped tokens.

An image that a model gets right survives a change if its margin is larger than what the change
takes. Margins of different models on one image are correlated; a few images that the unchanged
model gets wrong come out right.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from perturb.config.perturbations import perturbation as configured
from perturb.config.schema import schema
from perturb.experiments.layer_correlations.similarity import SCHEMA
from perturb.experiments.registry import perturbations
from perturb.severities import severity_value
from tests.synthetic_shards import image_id, shard

# What the study may have beside attacks; the last is an analysis.
MODEL_PERTURBATIONS = tuple(
    id for id, declared in perturbations().items() if declared.changes == "model"
)
CORRELATIONS = "correlations"
NUM_SETS, NUM_SEEDS = 4, 3
DISTANCES = (1, 2, 4)
DROPPED = (0.25, 0.5)
_PARTS = {"block": 1.0, "attention": 0.8, "mlp": 0.5}
_DEPTHS = {"S": 4, "B": 6, "L": 8, "H": 8}
_HEADS = {"S": 2, "B": 3}

Row = Mapping[str, Any]
# One condition and sample of a cell: its name, its number, what is removed, what it takes.
Change = tuple[str, int, str | None, float]


def depth_of(family: str, size: str) -> int:
    """Return the number of blocks of a made-up model."""
    return _DEPTHS.get(size, 4) + (family == "resnet")


def planned_for(family: str) -> list[str]:
    """Return the changes that a made-up model is planned under."""
    if family == "other":
        return []
    declared = perturbations()
    return [id for id in MODEL_PERTURBATIONS if family in (declared[id].families or (family,))]


def grid_side(patch_size: int | None) -> int | None:
    """Return the number of patches along a side."""
    if patch_size is None:
        return None
    return (32 if patch_size <= 8 else 224) // patch_size


class Changed:
    """The images that changed models decide on, a part of the clean ones."""

    def __init__(self, dataset: str, num_images: int, seed: int) -> None:
        self.dataset = dataset
        self.num_images = num_images
        self.seed = seed
        self.common = np.random.default_rng([seed, 5]).random(num_images)

    def shards(self, row: Row, perturbation: str) -> Iterator[pa.Table]:
        """Yield the shards of a model under one perturbation, severity by severity."""
        if perturbation not in planned_for(row["family"]):
            return
        random = np.random.default_rng([self.seed, 6, *row["model"].encode()])
        margins = 0.6 * self.common + 0.4 * random.random(self.num_images)
        cells = {
            "lesions": _lesions(row, random),
            "heads": _heads(row, random),
            "restricted_attention": _distances(row, random),
            "patch_attention": _patch_attention(),
            "token_removal": _tokens(random),
        }
        for severity, changes in cells.get(perturbation) or _examples(perturbation):
            if changes:
                yield self._shard(row, perturbation, severity, changes, margins, random)

    def _shard(
        self,
        row: Row,
        perturbation: str,
        severity: float,
        changes: Sequence[Change],
        margins: np.ndarray,
        random: np.random.Generator,
    ) -> pa.Table:
        conditions, samples, removed, forces = zip(*changes, strict=True)
        shape = (len(changes), self.num_images)
        clean = row["is_clean"][: self.num_images]
        lucky = random.random(shape) < 0.03
        correct = np.where(clean, margins > np.array(forces)[:, None], lucky)
        added = {"sample": _each(np.array(samples, np.int16), shape)}
        if removed[0] is not None:
            added["removed"] = _each(np.array(removed, object), shape)
        if perturbation == "token_removal":
            added["flops_kept"] = np.full(shape, 1 - 0.6 * severity, np.float32)
        return shard(
            row["model"],
            self.dataset,
            perturbation=perturbation,
            severity=severity,
            conditions=conditions,
            is_correct=correct,
            added=added,
        )


def _lesions(row: Row, random: np.random.Generator) -> Iterator[tuple[float, list[Change]]]:
    depth = depth_of(row["family"], row["size"])
    # Of a ResNet, blocks 0 and 2 change the shape.
    kept = (0, 2) if row["family"] == "resnet" else ()
    removable = [block for block in range(depth) if block not in kept]
    others = [block for block in removable if block != 0]
    parts = _PARTS if row["family"] == "vit" else {"block": 1.0}
    for n in range(1, len(others) + 1):
        changes = []
        for part, scale in parts.items():
            sets = [(block,) for block in removable]
            if n > 1:
                every = list(combinations(others, n))
                order = random.permutation(len(every))[:NUM_SETS]
                sets = [every[place] for place in order]
            for sample, blocks in enumerate(sets, start=1):
                number = blocks[0] if n == 1 else sample
                force = scale * sum(_harm(row, block, depth) for block in blocks)
                changes.append((part, number, ",".join(map(str, blocks)), force))
        yield n, changes


def _heads(row: Row, random: np.random.Generator) -> Iterator[tuple[float, list[Change]]]:
    num_heads = _HEADS.get(row["size"], 3)
    places = np.ndindex(depth_of("vit", row["size"]), num_heads)
    yield (
        1,
        [
            ("head", block * num_heads + head, f"{block}.{head}", 0.1 * random.random())
            for block, head in places
        ],
    )


def _distances(row: Row, random: np.random.Generator) -> Iterator[tuple[float, list[Change]]]:
    side = grid_side(row["patch_size"]) or 1
    for distance in DISTANCES:
        masked = max(0.0, 1 - distance / max(side - 1, 1))
        permuted = [
            ("permuted", seed, None, masked * (0.9 + 0.1 * random.random()))
            for seed in range(1, NUM_SEEDS + 1)
        ]
        yield distance, [("window", 0, None, 0.25 * masked), *permuted]


def _patch_attention() -> Iterator[tuple[float, list[Change]]]:
    for n in (1, 2, 3):
        yield n, [("first", 0, None, 0.3 * n), ("last", 0, None, 0.05 * n)]


def _tokens(random: np.random.Generator) -> Iterator[tuple[float, list[Change]]]:
    for share in DROPPED:
        drawn = [
            ("random", seed, None, share * (0.8 + 0.1 * random.random()))
            for seed in range(1, NUM_SEEDS + 1)
        ]
        yield share, [*drawn, ("low_attention", 0, None, 0.5 * share)]


def representations(
    rows: Sequence[Row], dataset: str, num_images: int, seed: int
) -> Iterator[pa.Table]:
    """Yield the similarities of the layers of each model: one table per model."""
    for row in (row for row in rows if row["family"] != "other"):
        random = np.random.default_rng([seed, 7, *row["model"].encode()])
        depth = depth_of(row["family"], row["size"])
        kinds = ("all", "cls") if row["family"] == "vit" else ("all",)
        parts = []
        for kind in kinds:
            values = _correlations(random, num_images, depth, kind)
            # The shapes of a ResNet's features change with block 2.
            stages = [int(layer >= 2 and row["family"] == "resnet") for layer in range(depth)]
            parts.append(_pairs(f"pearson_{kind}", values, stages))
            if row["family"] == "vit":
                parts.append(_rises(f"pearson_{kind}_rise", values, dataset))
        for kind in kinds:
            values = _correlations(random, num_images, depth, kind)
            parts.append(_pairs(f"cka_{kind}", values, [0] * depth))
        table = pa.concat_tables(parts)
        yield table.set_column(0, "model", pa.array([row["model"]] * table.num_rows))


def _correlations(
    random: np.random.Generator, num_images: int, depth: int, kind: str
) -> np.ndarray:
    """Return the correlations of layers within each image, (images, L, L)."""
    layers = np.arange(depth)
    apart = np.abs(layers[:, None] - layers)
    late = (layers[:, None] + layers) / max(2 * (depth - 1), 1)
    scale = 0.25 - 0.18 * late if kind == "all" else 0.07 + 0.18 * late
    noise = 1 + 0.2 * random.random((num_images, 1, 1))
    return np.exp(-scale * apart * noise)


def _pairs(measure: str, values: np.ndarray, stages: Sequence[int]) -> pa.Table:
    num_images, depth, _ = values.shape
    is_cka = measure.startswith("cka")
    spread = values.std(0, ddof=1) if num_images > 1 else np.zeros((depth, depth))
    return pa.Table.from_pylist(
        [
            {
                "measure": measure,
                "layer_a": a,
                "layer_b": b,
                "value": values.mean(0)[a, b],
                "spread": None if is_cka else spread[a, b],
                "num_images": num_images,
            }
            for a in range(depth)
            for b in range(depth)
            if stages[a] == stages[b]
        ],
        schema=SCHEMA,
    )


def _rises(measure: str, values: np.ndarray, dataset: str) -> pa.Table:
    """Return for each image the last third's mean correlation less that of the first."""
    num_images, depth, _ = values.shape
    size = max(2, depth // 3)
    pairs = np.array(list(combinations(range(size), 2)))
    start = depth - size
    first = values[:, pairs[:, 0], pairs[:, 1]].mean(1)
    last = values[:, start + pairs[:, 0], start + pairs[:, 1]].mean(1)
    return pa.Table.from_pylist(
        [
            {
                "measure": measure,
                "value": rise,
                "num_images": num_images,
                "image_id": image_id(dataset, number),
            }
            for number, rise in enumerate(last - first)
        ],
        schema=SCHEMA,
    )


def _harm(row: Row, block: int, depth: int) -> float:
    """Return what the removal of a block takes: most for the first, less in deeper models."""
    data = 0.8 + 0.2 * (row["pretraining_rank"] or 0)
    return data * (0.9 if block == 0 else (0.5 + 0.1 * (block % 3)) / depth)


def _each(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return one value a change as one a row."""
    return np.broadcast_to(values[:, None], shape)


def _examples(id: str) -> Iterator[tuple[float, list[Change]]]:
    """Yield the cells of a perturbation that is not made up here: those of its schema's example."""
    example = schema()["$defs"]["perturbations"]["properties"][id]["examples"][0]
    entry = configured(id, example, {dataset: {} for dataset in example["datasets"]})
    repeated = perturbations()[id].repeated
    for place, severity in enumerate(entry.severities, start=1):
        yield (
            severity_value(severity),
            [
                (condition, sample, None, 0.2 * place + 0.01 * sample)
                for condition in entry.conditions
                for sample in _samples(entry.options, repeated.get(condition))
            ],
        )


def _samples(options: Mapping[str, Any], option: str | None) -> Sequence[int]:
    return range(1, options[option] + 1) if option else (0,)
