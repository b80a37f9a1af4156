"""Evaluation of the cells of one source: its adversarial images, predicted by every model."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from torch import Tensor

from perturb.datasets.store import Images, ImageStore
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.cell import Cell
from perturb.evaluation.failures import Once
from perturb.evaluation.jobs import Files, stores_of
from perturb.evaluation.keeping import Task, evaluate_each, unfinished
from perturb.evaluation.loop import Load, Subject, record
from perturb.evaluation.outcome import Outcome, Setting
from perturb.evaluation.whole import on_all
from perturb.experiments.transfer.examples import examples_against, outcome_on

logger = logging.getLogger(__name__)


def evaluate_transfer(
    cells: Mapping[Cell, Task], load: Load, files: Files, batch_size: int
) -> Iterator[Cell]:
    """Evaluate the cells of one source that are not kept; yield each when its shard is there.

    Parameters
    ----------
    cells : with the task of each; those of one dataset and severity are adjacent.
    load : returns a model by its id; not called if all cells are kept.
    files : of the decoded datasets that the tasks name.
    batch_size : as of `evaluate_cell`.

    Raises
    ------
    FailedError, OSError, RuntimeError
        as `evaluate_each`; a cell without a source is among those that failed.
    """
    left = unfinished(list(cells.values()))
    cell_of = {task.path: cell for cell, task in cells.items()}
    examples = _Examples(load, files, batch_size)
    for task in evaluate_each(left, lambda task: examples.shard(cell_of[task.path], task.asked)):
        yield cell_of[task.path]


@dataclass(frozen=True)
class _Made:
    """Adversarial images (N, 3, H, W) on the host, their originals, and the source's weights."""

    images: Tensor
    store: ImageStore
    weights_sha256: str


class _Examples:
    """A source's adversarial images of one dataset and severity, made once for all targets.

    If that fails, it fails for each target with the same error, and is not tried again.
    """

    def __init__(self, load: Load, files: Files, batch_size: int) -> None:
        self._load, self._files, self._batch_size = load, files, batch_size
        self._key: tuple[str | None, str, str] | None = None

    def shard(self, cell: Cell, asked: Mapping[str, Any]) -> tuple[pa.Table, dict[str, Any]]:
        """Return the rows of a cell's shard and their provenance."""
        if cell.source is None:
            raise ValueError(f"{cell}: has no source; expected: a transfer attack")
        setting = Setting((cell.source,), cell.severity_value, asked["seed"], asked["options"])
        if self._key != (cell.source, cell.dataset, cell.severity):
            self._key = (cell.source, cell.dataset, cell.severity)
            self._examples = Once(partial(self._make, cell.source, asked, setting))
        made = self._examples()
        target = self._load(cell.model)
        return record(
            target,
            [(made.store, partial(_shown, target, cell.source, made.images))],
            cell,
            setting,
            protocol=asked["protocol"],
            batch_size=self._batch_size,
            precision=asked["precision"],
            source_sha256=made.weights_sha256,
        )

    def _make(self, source: str, asked: Mapping[str, Any], setting: Setting) -> _Made:
        store = stores_of(asked, self._files, setting.conditions)[source]
        subject = self._load(source)
        run = partial(examples_against, subject.classifier, setting=setting)
        size = BatchSize(self._batch_size, f"images against {source}")
        precision = asked.get("source_precision", asked["precision"])
        images = on_all(subject, store, run, size, precision)
        logger.info("against %s: %d images", source, len(images))
        return _Made(images, store, subject.card.weights_sha256)


def _shown(
    target: Subject, source: str, examples: Tensor, images: Images, first: int
) -> Iterator[Outcome]:
    """Yield a target's predictions of the examples, beginning with image `first`."""
    shown = examples[first : first + len(images.keys)].to(target.device)
    yield outcome_on(target.classifier, source, images, shown)
