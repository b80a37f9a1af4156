"""Predictions of a classifier on every image of a cell, under one perturbation and severity.

The loop knows neither corruptions nor attacks: it passes the batches of the decoded dataset to the
perturbation and records one prediction per image, condition and sample. A batch that does not fit
into the memory is repeated in halves (`perturb.evaluation.batch_size`). The configured precision
applies to the whole loop (`perturb.models.precision`). The loop itself never waits for
the device, but between the stages of a perturbation that has them (`perturb.evaluation.stages`),
and at the end.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import torch

from perturb import provenance
from perturb.datasets.store import Images, ImageStore
from perturb.evaluation.answers import Answer, Answers
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.batches import batches_on, part_of
from perturb.evaluation.cell import Cell
from perturb.evaluation.fitting import check_stores, check_targets
from perturb.evaluation.outcome import Evaluator, Outcome, Perturbed, Setting
from perturb.evaluation.results import Result, result_of
from perturb.evaluation.rows import accepted_classes
from perturb.evaluation.stages import Line, Stage, StagedEvaluator
from perturb.models.checkpoints import ModelCard
from perturb.models.class_maps import ClassMap
from perturb.models.classifier import Classifier
from perturb.models.compiled import CompiledClassifier
from perturb.models.precision import autocast, resolve_precision

logger = logging.getLogger(__name__)

# Images on the device, and the index of the first one in the decoded dataset -> outcomes.
Predict = Callable[[Images, int], Iterable[Outcome]]
# How the images of a decoded dataset are evaluated: batch by batch, or in stages.
Way = Predict | Sequence[Stage]


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
) -> Result:
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
    parts = [
        (
            store,
            way_of(subject.classifier, store, replace(setting, conditions=conditions), evaluator),
        )
        for store, conditions in by_store(stores, setting)
    ]
    return record(
        subject,
        parts,
        cell,
        setting,
        protocol=protocol,
        batch_size=batch_size,
        precision=precision,
    )


def by_store(
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


def way_of(
    classifier: Classifier, store: ImageStore, setting: Setting, evaluator: Evaluator
) -> Way:
    """Return how a classifier's images are evaluated under a perturbation."""
    if isinstance(evaluator, StagedEvaluator):
        return evaluator.stages(classifier, torch.Size(store.pixels.shape[1:]), setting)
    return partial(_evaluated, classifier, setting, evaluator)


def _evaluated(
    classifier: Classifier, setting: Setting, evaluator: Evaluator, images: Images, _: int
) -> Iterable[Outcome]:
    return evaluator(classifier, images, setting)


def record(
    subject: Subject,
    parts: Sequence[tuple[ImageStore, Way]],
    cell: Cell,
    setting: Setting,
    *,
    protocol: int,
    batch_size: int,
    precision: str = "float32",
    source_sha256: str | None = None,
) -> Result:
    """Return the rows of a shard, and its metadata.

    Parameters
    ----------
    parts : decoded datasets, usually one, and how their images are evaluated. Each condition may
        have only one.
    setting, protocol, batch_size, precision : as of `evaluate_cell`; errors too.
    source_sha256 : weights of the model that the images were made against, if another.
    """
    precision = resolve_precision(precision, subject.device, subject.classifier.network)
    started = time.perf_counter()
    size = BatchSize(batch_size, cell)
    tables: dict[tuple[str, int], pa.Table] = {}
    for store, way in parts:
        evaluation = Evaluation(subject, store, cell, way, size, precision)
        tables |= _predicted(evaluation, store, size.limit)
    facts = {
        **facts_of(subject),
        "protocol": protocol,
        "source_sha256": source_sha256,
        "dtype": precision,
        "seconds": time.perf_counter() - started,
    }
    return result_of(cell, setting, tables, size, facts)


def facts_of(subject: Subject) -> dict[str, Any]:
    """Return what the metadata of a shard say of the model and its device."""
    return {
        "weights_sha256": subject.card.weights_sha256,
        "preprocessing": asdict(subject.card.preprocessing),
        "device": provenance.device_name(subject.device),
        "is_compiled": isinstance(subject.classifier, CompiledClassifier),
    }


def _predicted(
    evaluation: "Evaluation", store: ImageStore, batch_size: int
) -> dict[tuple[str, int], pa.Table]:
    """Return the rows of each condition and sample of the images of one decoded dataset."""
    num_done = 0
    # Closed also after an error, whose traceback would keep threads and copies alive.
    with closing(batches_on(evaluation.subject.device, store, batch_size)) as batches:
        for images in batches:
            evaluation.add(images, num_done)
            num_done += len(images.keys)
            logger.info("%s: %d of %d images", evaluation.cell, num_done, len(store))
    return evaluation.finish()


@contextmanager
def _named(cell: Cell) -> Iterator[None]:
    """Name the cell in errors of its evaluation."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{cell}: {error}") from error


class Evaluation:
    """The evaluation of one model on one decoded dataset, whose batches it is given in order.

    Parameters
    ----------
    way : how the images are evaluated.
    size : of batches.
    precision : of `perturb.models.precision`, as resolved.
    """

    def __init__(
        self,
        subject: Subject,
        store: ImageStore,
        cell: Cell,
        way: Way,
        size: BatchSize,
        precision: str,
    ) -> None:
        accepted = accepted_classes(store)
        check_targets(store, cell, accepted, subject.classifier.num_classes, subject.class_map)
        device = subject.device
        self.answers = Answers(
            store,
            cell,
            store.targets.to(device),
            None if accepted is None else accepted.to(device),
            subject.class_map,
        )
        self.subject, self.cell = subject, cell
        self._size, self._way = size, way
        self._within = partial(autocast, precision, device)
        self._line: Line | None = None
        if not callable(way):
            self._line = Line(way, size, self.answers.take, self._within)

    def add(self, images: Images, first: int) -> None:
        """Evaluate images, of which the first has row `first`, or let them wait for others."""
        with _named(self.cell):
            if self._line is not None:
                self._line.add(images, first)
                return
            run = partial(self._answered, images, first)
            for answers, rows in self._size.over(len(images.keys), run):
                for answer in answers:
                    self.answers.record(answer, rows)

    def _answered(
        self, batch: Images, first: int, start: int, stop: int
    ) -> tuple[list[Answer], slice]:
        """Return the predictions on images start to stop - 1 of a batch."""
        rows, images = slice(first + start, first + stop), part_of(batch, start, stop)
        predict: Any = self._way
        with self._within():
            found = [self.answers.of(outcome, rows) for outcome in predict(images, rows.start)]
        return found, rows

    def see(self, perturbed: Perturbed, first: int) -> None:
        """Evaluate perturbed images as they are; as `add` of images that are perturbed so."""
        with _named(self.cell):
            run = partial(self._seen, perturbed, first)
            for answer, rows in self._size.over(len(perturbed.pixels), run):
                self.answers.record(answer, rows)

    @torch.inference_mode()
    def _seen(
        self, perturbed: Perturbed, first: int, start: int, stop: int
    ) -> tuple[Answer, slice]:
        """Return the predictions on perturbed images start to stop - 1 of a batch."""
        rows = slice(first + start, first + stop)
        with self._within():
            outcome = perturbed.part(start, stop).seen_by(self.subject.classifier)
            return self.answers.of(outcome, rows), rows

    def finish(self) -> dict[tuple[str, int], pa.Table]:
        """Return the rows of each condition and sample.

        Raises
        ------
        ValueError
            as `Answers.tables`.
        """
        with _named(self.cell):
            if self._line is not None:
                self._line.finish()
            return self.answers.tables()
