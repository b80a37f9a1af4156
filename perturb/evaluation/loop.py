"""Predictions of a classifier on every image of a cell, under one perturbation and severity.

The loop knows neither corruptions nor attacks: it passes each batch of the decoded dataset to the
perturbation and records one prediction per image, condition and sample. A batch that does not fit
into the memory is repeated in halves (`perturb.evaluation.batch_size`). The configured precision
applies to the whole loop (`perturb.models.precision`).
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from perturb import provenance
from perturb.datasets.store import Images, ImageStore
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.batches import batches_on, part_of
from perturb.evaluation.cell import Cell
from perturb.evaluation.fitting import check_stores, check_targets
from perturb.evaluation.outcome import Evaluator, Outcome, Setting
from perturb.evaluation.rows import Predictions, accepted_classes, predictions, rows
from perturb.models.checkpoints import ModelCard
from perturb.models.class_maps import ClassMap
from perturb.models.classifier import Classifier
from perturb.models.compiled import CompiledClassifier
from perturb.models.precision import autocast, resolve_precision

logger = logging.getLogger(__name__)

# Images on the device, and the index of the first one in the decoded dataset -> outcomes.
Predict = Callable[[Images, int], Iterable[Outcome]]
# One batch's predictions under each condition and sample.
_Answers = Mapping[tuple[str, int], Predictions]


@dataclass(frozen=True)
class Subject:
    """The evaluated model: a classifier on its device, in evaluation mode, and its card.

    class_map : coarser classes to predict; None for the classifier's own classes.
    """

    classifier: Classifier
    card: ModelCard
    device: torch.device
    class_map: ClassMap | None = None


# A model's id -> the model, loaded.
Load = Callable[[str], Subject]


def evaluate_cell(
    subject: Subject,
    stores: Mapping[str, ImageStore],
    cell: Cell,
    setting: Setting,
    evaluator: Evaluator,
    *,
    protocol: int,
    batch_size: int,
    precision: str = "float32",
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of a cell's shard, and how they were made.

    Parameters
    ----------
    stores : of each condition of the setting, the images that it is evaluated on: mostly the same
        decoded dataset, which is then evaluated under all of its conditions at once; of stored
        corruptions one each, with the same images in the same order.
    setting : of the perturbation; its severity is the cell's.
    evaluator, protocol : of the perturbation.
    batch_size : an upper bound, halved where memory runs out.
    precision : of the networks, as they were loaded, or auto (see `perturb.models.precision`).

    Raises
    ------
    ValueError
        if the conditions are others than those of the setting, a decoded dataset holds other images
        or targets than the first, a target is not among the classes that are predicted, or a logit
        is not finite.
    torch.OutOfMemoryError
        if a single image does not fit into the memory.
    """
    check_stores(stores, cell, setting)
    parts: list[tuple[ImageStore, Predict]] = []
    for store, conditions in _by_store(stores, setting):
        of_part = replace(setting, conditions=conditions)
        parts.append((store, partial(_evaluated, subject.classifier, of_part, evaluator)))
    return record(
        subject,
        parts,
        cell,
        setting,
        protocol=protocol,
        batch_size=batch_size,
        precision=precision,
    )


def _by_store(
    stores: Mapping[str, ImageStore], setting: Setting
) -> list[tuple[ImageStore, tuple[str, ...]]]:
    """Return each decoded dataset with its conditions, in the order of the setting."""
    found: list[tuple[ImageStore, tuple[str, ...]]] = []
    for condition in setting.conditions:
        store = stores[condition]
        if found and found[-1][0] is store:
            found[-1] = (store, (*found[-1][1], condition))
        else:
            found.append((store, (condition,)))
    return found


def _evaluated(
    classifier: Classifier, setting: Setting, evaluator: Evaluator, images: Images, _: int
) -> Iterable[Outcome]:
    return evaluator(classifier, images, setting)


def record(
    subject: Subject,
    parts: Sequence[tuple[ImageStore, Predict]],
    cell: Cell,
    setting: Setting,
    *,
    protocol: int,
    batch_size: int,
    precision: str = "float32",
    source_sha256: str | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of a shard, and its metadata.

    Parameters
    ----------
    parts : decoded datasets, usually one, and the function that predicts on their images. Each
        condition may have only one.
    setting, protocol, batch_size, precision : as of `evaluate_cell`; errors too.
    source_sha256 : weights of the model that the images were made against, if another.
    """
    precision = resolve_precision(precision, subject.device, subject.classifier.network)
    started = time.perf_counter()
    size = BatchSize(batch_size, cell)
    tables, samples = [], dict[str, list[int]]()
    for store, predict in parts:
        loop = _Loop(subject, store, cell, predict, precision)
        for (condition, sample), found in loop.run(size).items():
            tables.append(rows(cell, condition, sample, store, found))
            samples.setdefault(condition, []).append(sample)
    table = pa.concat_tables(tables)
    seconds = time.perf_counter() - started
    return table, {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity_value,
        "samples": samples,
        "options": dict(setting.options),
        "protocol": protocol,
        "seed": setting.seed,
        "weights_sha256": subject.card.weights_sha256,
        "source_sha256": source_sha256,
        "preprocessing": asdict(subject.card.preprocessing),
        "batch_size": batch_size,
        "smallest_batch_size": size.now,
        "device": provenance.device_name(subject.device),
        "dtype": precision,
        "is_compiled": isinstance(subject.classifier, CompiledClassifier),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "num_images": len(parts[0][0]),
        "seconds": seconds,
        "images_per_second": table.num_rows / seconds,
    }


class _Loop:
    """A loop over all images of a decoded dataset, batch by batch."""

    def __init__(
        self, subject: Subject, store: ImageStore, cell: Cell, predict: Predict, precision: str
    ) -> None:
        self.subject, self.store, self.cell = subject, store, cell
        self.predict, self.precision = predict, precision
        self.accepted = accepted_classes(store)
        check_targets(store, cell, self.accepted, subject.classifier.num_classes, subject.class_map)

    def run(self, size: BatchSize) -> dict[tuple[str, int], list[Predictions]]:
        """Return the predictions of each condition and sample, in the order of the images."""
        found: dict[tuple[str, int], list[Predictions]] = {}
        num_done = 0
        for images in batches_on(self.subject.device, self.store, size.limit):
            num_images = len(images.keys)
            for answers in size.over(num_images, partial(self._answers, images, num_done)):
                for key, answer in answers.items():
                    found.setdefault(key, []).append(answer)
            num_done += num_images
            logger.info("%s: %d of %d images", self.cell, num_done, len(self.store))
        return found

    def _answers(self, batch: Images, offset: int, start: int, stop: int) -> _Answers:
        """Return the predictions on some images of a batch, whose first is at `offset`."""
        images, first = part_of(batch, start, stop), offset + start
        accepted: Tensor | None = None
        if self.accepted is not None:
            accepted = self.accepted[first : offset + stop].to(self.subject.device)
        class_map = self.subject.class_map
        with autocast(self.precision, self.subject.device):
            try:
                return {
                    (outcome.condition, outcome.sample): predictions(
                        outcome, images.targets, accepted, class_map
                    )
                    for outcome in self.predict(images, first)
                }
            except ValueError as error:
                raise ValueError(f"{self.cell}: {error}") from error
