"""What a classifier decides on every image of a cell, under one perturbation and severity.

The loop knows neither corruptions nor attacks: it hands a batch from the store to the perturbation
and records one decision an image, condition and sample.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from perturb import provenance
from perturb.cells import Cell
from perturb.images.store import Images, ImageStore
from perturb.models.checkpoints import ModelCard
from perturb.models.class_maps import ClassMap
from perturb.models.classifier import Classifier
from perturb.perturbations.names import PROTOCOLS
from perturb.perturbations.outcome import Outcome, Setting
from perturb.perturbations.table import EVALUATORS
from perturb.shards import SCHEMA

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """What is evaluated: a classifier on its device, in evaluation mode, and its card.

    class_map : the coarser classes that decisions are made among, where they are not the
        classifier's own.
    """

    classifier: Classifier
    card: ModelCard
    device: torch.device
    class_map: ClassMap | None = None


def evaluate_cell(
    subject: Subject, store: ImageStore, cell: Cell, setting: Setting, *, batch_size: int
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of a cell's shard, and how they were made.

    Parameters
    ----------
    store : the images that the cell is evaluated on.
    setting : of the perturbation; its severity is the cell's.

    Raises
    ------
    ValueError
        if a target is not among the classes that are decided among, or a logit is not finite.
    """
    outcomes = _outcomes(subject, store, cell, setting, batch_size)
    return record(subject, store, cell, outcomes, setting=setting, batch_size=batch_size)


def _outcomes(
    subject: Subject, store: ImageStore, cell: Cell, setting: Setting, batch_size: int
) -> Iterator[tuple[Images, Iterator[Outcome]]]:
    evaluator = EVALUATORS[cell.perturbation]
    for images in store.batches(batch_size):
        on_device = images.to(subject.device)
        yield on_device, evaluator(subject.classifier, on_device, setting)


def record(
    subject: Subject,
    store: ImageStore,
    cell: Cell,
    outcomes: Iterator[tuple[Images, Iterator[Outcome]]],
    *,
    setting: Setting,
    batch_size: int,
    source_sha256: str | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of a shard whose outcomes come batch by batch, and how they were made."""
    _check_targets(subject, store, cell)
    started = time.perf_counter()
    columns: dict[tuple[str, int], list[Mapping[str, Tensor]]] = {}
    texts: dict[tuple[str, int], dict[str, str]] = {}
    num_done = 0
    for images, of_batch in outcomes:
        for outcome in of_batch:
            key = outcome.condition, outcome.sample
            columns.setdefault(key, []).append(_decisions(subject, outcome, images, cell))
            texts[key] = {
                name: value for name, value in outcome.added.items() if isinstance(value, str)
            }
        num_done += len(images.targets)
        logger.info("%s: %d of %d images", cell, num_done, len(store))
    table = pa.concat_tables(
        _rows(cell, *key, store, parts, texts[key]) for key, parts in columns.items()
    )
    seconds = time.perf_counter() - started
    return table, {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity_value,
        "samples": _samples(columns),
        "options": dict(setting.options),
        "protocol": PROTOCOLS[cell.perturbation],
        "seed": setting.seed,
        "weights_sha256": subject.card.weights_sha256,
        "source_sha256": source_sha256,
        "preprocessing": asdict(subject.card.preprocessing),
        "batch_size": batch_size,
        "device": provenance.device_name(subject.device),
        "dtype": "float32",
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "num_images": len(store),
        "seconds": seconds,
        "images_per_second": table.num_rows / seconds,
    }


def _samples(keys: Mapping[tuple[str, int], object]) -> dict[str, list[int]]:
    samples: dict[str, list[int]] = {}
    for condition, sample in keys:
        samples.setdefault(condition, []).append(sample)
    return samples


@torch.inference_mode()
def _decisions(
    subject: Subject, outcome: Outcome, images: Images, cell: Cell
) -> Mapping[str, Tensor]:
    logits = outcome.logits.float()  # (B, K)
    if not torch.isfinite(logits).all():
        broken = (~torch.isfinite(logits).all(dim=1)).sum().item()
        raise ValueError(f"{cell}, {outcome.condition}: logits of {broken} images are not finite")
    log_probabilities = logits.log_softmax(dim=1)
    if subject.class_map is not None:
        # Means over members do not add up to one, and are not made to.
        logits = log_probabilities = subject.class_map.log_probabilities(logits)
    top5 = logits.topk(min(5, logits.shape[1]), dim=1).indices
    loss = F.nll_loss(log_probabilities, images.targets, reduction="none")
    decided = {
        "prediction": logits.argmax(dim=1),
        "is_top5": (top5 == images.targets[:, None]).any(dim=1),
        "target_probability": loss.neg().exp(),
        "loss": loss,
    }
    added = {name: value for name, value in outcome.added.items() if isinstance(value, Tensor)}
    return {name: column.cpu() for name, column in {**decided, **added}.items()}


def _rows(
    cell: Cell,
    condition: str,
    sample: int,
    store: ImageStore,
    parts: list[Mapping[str, Tensor]],
    texts: Mapping[str, str],
) -> pa.Table:
    num_images = len(store)
    targets = store.targets.numpy()
    joined = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    columns = {
        "model": _repeated(cell.model, num_images),
        "dataset": _repeated(cell.dataset, num_images),
        "perturbation": _repeated(cell.perturbation, num_images),
        "severity": np.full(num_images, cell.severity_value),
        "condition": _repeated(condition, num_images),
        "sample": np.full(num_images, sample, np.int16),
        "image_id": store.image_ids,
        "target": targets.astype(np.int16),
        "is_correct": joined["prediction"] == targets,
        **{name: _repeated(text, num_images) for name, text in texts.items()},
        # Not a number: not measured for this image.
        **{name: pa.array(column, from_pandas=True) for name, column in joined.items()},
    }
    num_rows = len(targets)
    absent = {name: pa.nulls(num_rows) for name in SCHEMA.names if name not in columns}
    return pa.table({**columns, **absent}).select(SCHEMA.names).cast(SCHEMA)


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int16), [value])


def _check_targets(subject: Subject, store: ImageStore, cell: Cell) -> None:
    num_classes = subject.classifier.num_classes
    if subject.class_map is not None:
        subject.class_map.check(num_classes)
        num_classes = len(subject.class_map.names)
    if store.num_classes > num_classes:
        raise ValueError(
            f"{cell.dataset} has targets up to {store.num_classes - 1}, "
            f"but {cell.model} has {num_classes} classes"
        )
