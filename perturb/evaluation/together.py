"""Cells of several models on the same images: each batch is read and perturbed once for all.

The models are on the device together. Each has a batch size of its own, which is halved where
memory runs out, and its own failures: the others go on without it.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa
import torch

from perturb.datasets.store import Images, ImageStore
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.batches import batches_on, part_of
from perturb.evaluation.cell import Cell
from perturb.evaluation.failures import concerns_all, release
from perturb.evaluation.fitting import check_stores
from perturb.evaluation.loop import Evaluation, Subject, by_store, facts_of, way_of
from perturb.evaluation.outcome import Evaluator, InputEvaluator, Perturbed, Setting
from perturb.evaluation.results import Result, result_of
from perturb.models.precision import autocast, resolve_precision

logger = logging.getLogger(__name__)


@dataclass
class _Member:
    """One of the cells: what was found so far, the time of the model's own part, its failure."""

    cell: Cell
    subject: Subject
    size: BatchSize
    precision: str
    tables: dict[tuple[str, int], pa.Table] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    seconds: float = 0.0
    error: Exception | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Take the time of a `with` statement, and an error that does not concern all."""
        started = time.perf_counter()
        try:
            yield
        except Exception as error:
            if concerns_all(error):
                raise
            logger.info("%s: failed: %s", self.cell, error, exc_info=True)
            release(error)
            self.error, self.evaluation = error, None
        self.seconds += time.perf_counter() - started


def evaluate_together(
    subjects: Mapping[Cell, Subject],
    stores: Mapping[str, ImageStore],
    setting: Setting,
    evaluator: Evaluator,
    *,
    protocol: int,
    batch_size: int,
    precisions: Mapping[Cell, str],
) -> dict[Cell, Result | Exception]:
    """Return the rows of each cell's shard and how they were made, or the reason of its failure.

    The time of a cell is that of its model and an equal share of what all have in common; on a GPU,
    which works while the host goes on, most of it is shared.

    Parameters
    ----------
    subjects : the model of each cell, all on one device. The cells differ by nothing else.
    stores, setting, evaluator, protocol, batch_size : as of `evaluate_cell`.
    precisions : `precision` of each model.

    Raises
    ------
    Exception
        what concerns all cells: other images of a condition, or an unusable device.
    """
    started = time.perf_counter()
    members = [
        _Member(cell, subject, BatchSize(batch_size, cell), precisions[cell])
        for cell, subject in subjects.items()
    ]
    check_stores(stores, members[0].cell, setting)
    for member in members:
        with member.alone():
            subject, asked = member.subject, member.precision
            member.precision = resolve_precision(asked, subject.device, subject.classifier.network)
    for store, conditions in by_store(stores, setting):
        of_part = replace(setting, conditions=conditions)
        _Pass(members, store, of_part, evaluator).run(batch_size)
    own = sum(member.seconds for member in members)
    in_common = (time.perf_counter() - started - own) / len(members)
    facts = {"protocol": protocol, "source_sha256": None}
    return {
        member.cell: _result(member, setting, {**facts, "seconds": member.seconds + in_common})
        for member in members
    }


def _result(member: _Member, setting: Setting, facts: Mapping[str, object]) -> Result | Exception:
    if member.error is None:
        with member.alone():
            facts = {**facts_of(member.subject), **facts, "dtype": member.precision}
            return result_of(member.cell, setting, member.tables, member.size, facts)
    assert member.error is not None
    return member.error


class _Pass:
    """A pass of all models over one decoded dataset."""

    def __init__(
        self,
        members: Sequence[_Member],
        store: ImageStore,
        setting: Setting,
        evaluator: Evaluator,
    ) -> None:
        self._members, self._store = members, store
        self._setting, self._evaluator = setting, evaluator
        self._device = members[0].subject.device
        for member in self._standing():
            with member.alone():
                way = way_of(member.subject.classifier, store, setting, evaluator)
                member.evaluation = Evaluation(
                    member.subject, store, member.cell, way, member.size, member.precision
                )

    def run(self, batch_size: int) -> None:
        """Evaluate all images; an upper bound of the batch size is given."""
        size, num_done = BatchSize(batch_size, f"images of {self._name()}"), 0
        with closing(batches_on(self._device, self._store, batch_size)) as batches:
            for images in batches:
                if not any(self._standing()):
                    return
                self._show(images, num_done, size)
                num_done += len(images.keys)
                logger.info("%s: %d of %d images", self._name(), num_done, len(self._store))
        if self._device.type == "cuda":  # so that no model's time is that of another
            torch.cuda.synchronize(self._device)
        for member in self._standing():
            with member.alone():
                assert member.evaluation is not None
                member.tables |= member.evaluation.finish()

    def _show(self, images: Images, first: int, size: BatchSize) -> None:
        """Evaluate a batch, whose first image has this row, with each model."""
        if not isinstance(self._evaluator, InputEvaluator):
            for member in self._standing():
                with member.alone():
                    assert member.evaluation is not None
                    member.evaluation.add(images, first)
            return
        for start, perturbed in self._perturbed(self._evaluator, images, size):
            for member in self._standing():
                with member.alone():
                    assert member.evaluation is not None
                    member.evaluation.see(perturbed, first + start)

    def _perturbed(
        self, evaluator: InputEvaluator, images: Images, size: BatchSize
    ) -> Iterator[tuple[int, Perturbed]]:
        """Yield the perturbed images of parts of a batch, each with the number of its first."""
        for condition in self._setting.conditions:
            setting = replace(self._setting, conditions=(condition,))
            made = partial(self._made, evaluator, images, setting)
            for start, found in size.over(len(images.keys), made):
                for perturbed in found:
                    yield start, perturbed

    @torch.inference_mode()
    def _made(
        self, evaluator: InputEvaluator, images: Images, setting: Setting, start: int, stop: int
    ) -> tuple[int, list[Perturbed]]:
        with autocast("float32", self._device):  # pixels do not depend on a network's precision
            return start, list(evaluator.pixels(part_of(images, start, stop), setting))

    def _standing(self) -> list[_Member]:
        """Return the cells that have not failed."""
        return [member for member in self._members if member.error is None]

    def _name(self) -> str:
        cell = replace(self._members[0].cell, model=f"{len(self._standing())} models")
        return str(cell)
