"""What a classifier decides on every image of a data set, under one perturbation and severity.

The loop knows neither corruptions nor models: it takes a batch from the store, lets the table of
perturbations change it, and records one decision an image and condition.
"""

import logging
import time
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
from perturb.models.classifier import Classifier
from perturb.perturbations.inputs import INPUT_PERTURBATIONS, Strength
from perturb.perturbations.names import PROTOCOLS
from perturb.shards import SCHEMA

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decisions:
    """What was decided on B images: all of shape (B,)."""

    prediction: Tensor
    is_top5: Tensor
    target_probability: Tensor
    loss: Tensor


def evaluate_cell(
    classifier: Classifier,
    store: ImageStore,
    cell: Cell,
    conditions: tuple[str, ...],
    *,
    card: ModelCard,
    seed: int,
    batch_size: int,
    device: torch.device,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of a cell's shard, and how they were made.

    Parameters
    ----------
    classifier : on `device`, in evaluation mode.
    store : the data set; every image is evaluated under every condition.
    conditions : the variants inside the cell, such as the corruptions.
    card : of the classifier's checkpoint.

    Raises
    ------
    ValueError
        if a target is not among the classes of the classifier, or a logit is not finite.
    """
    _check_targets(classifier, store, cell)
    started = time.perf_counter()
    parts = []
    for number, condition in enumerate(conditions, start=1):
        strength = Strength(condition, cell.severity_value, seed)
        decisions = [
            _decide(classifier, images, cell, strength, device)
            for images in store.batches(batch_size)
        ]
        parts.append(_rows(cell, condition, store, decisions))
        logger.info("%s: condition %d of %d, %s", cell, number, len(conditions), condition)
    seconds = time.perf_counter() - started
    table = pa.concat_tables(parts)
    metadata = {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity_value,
        "conditions": list(conditions),
        "protocol": PROTOCOLS[cell.perturbation],
        "seed": seed,
        "weights_sha256": card.weights_sha256,
        "preprocessing": asdict(card.preprocessing),
        "batch_size": batch_size,
        "device": provenance.device_name(device),
        "dtype": "float32",
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "num_images": len(store),
        "seconds": seconds,
        "images_per_second": table.num_rows / seconds,
    }
    return table, metadata


@torch.inference_mode()
def _decide(
    classifier: Classifier,
    images: Images,
    cell: Cell,
    strength: Strength,
    device: torch.device,
) -> Decisions:
    images = Images(images.pixels.to(device), images.keys.to(device), images.targets.to(device))
    pixels = INPUT_PERTURBATIONS[cell.perturbation](images, strength)
    logits = classifier(pixels).float()  # (B, K)
    if not torch.isfinite(logits).all():
        broken = (~torch.isfinite(logits).all(dim=1)).sum().item()
        raise ValueError(f"{cell}, {strength.condition}: logits of {broken} images are not finite")
    top5 = logits.topk(min(5, logits.shape[1]), dim=1).indices
    loss = F.cross_entropy(logits, images.targets, reduction="none")
    return Decisions(
        prediction=logits.argmax(dim=1).cpu(),
        is_top5=(top5 == images.targets[:, None]).any(dim=1).cpu(),
        target_probability=loss.neg().exp().cpu(),
        loss=loss.cpu(),
    )


def _rows(cell: Cell, condition: str, store: ImageStore, decisions: list[Decisions]) -> pa.Table:
    num_images = len(store)
    targets = store.targets.numpy()
    predictions = _joined([part.prediction for part in decisions])
    columns = {
        "model": _repeated(cell.model, num_images),
        "dataset": _repeated(cell.dataset, num_images),
        "perturbation": _repeated(cell.perturbation, num_images),
        "severity": np.full(num_images, cell.severity_value),
        "condition": _repeated(condition, num_images),
        "sample": np.zeros(num_images, np.int16),
        "image_id": store.image_ids,
        "target": targets.astype(np.int16),
        "prediction": predictions.astype(np.int16),
        "is_correct": predictions == targets,
        "is_top5": _joined([part.is_top5 for part in decisions]),
        "target_probability": _joined([part.target_probability for part in decisions]),
        "loss": _joined([part.loss for part in decisions]),
    }
    return pa.table(columns).cast(SCHEMA)


def _joined(parts: list[Tensor]) -> np.ndarray[Any, Any]:
    return torch.cat(parts).numpy()


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int16), [value])


def _check_targets(classifier: Classifier, store: ImageStore, cell: Cell) -> None:
    if store.num_classes > classifier.num_classes:
        raise ValueError(
            f"{cell.dataset} has targets up to {store.num_classes - 1}, "
            f"but {cell.model} has {classifier.num_classes} classes"
        )
