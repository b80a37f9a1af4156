"""The cells of a job, one after another, each into its shard."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from perturb.datasets.store import ImageStore, open_subset
from perturb.evaluation.cell import Cell
from perturb.evaluation.completing import Result, completed
from perturb.evaluation.failures import Once
from perturb.evaluation.fitting import check_stores
from perturb.evaluation.keeping import Task, evaluate_each, unfinished
from perturb.evaluation.loop import Load, Subject, evaluate_cell
from perturb.evaluation.outcome import Evaluator, Setting
from perturb.models.class_maps import read_class_map

# Images and manifest of each decoded dataset, by its name.
Files = Mapping[str, tuple[str, str]]


def evaluate_cells(
    cells: Mapping[Cell, Task],
    load: Load,
    files: Files,
    evaluator: Callable[[str], Evaluator],
    batch_size: int,
) -> Iterator[Cell]:
    """Evaluate the cells of a job that are not kept; yield each when its shard is there.

    Of a cell whose conditions are kept in part the others are evaluated alone.

    Parameters
    ----------
    cells : with the task of each.
    load : returns a model by its id; not called for models of which nothing is evaluated.
    files : of the decoded datasets that the tasks name.
    evaluator : returns that of a perturbation.
    batch_size : as of `evaluate_cell`.

    Raises
    ------
    FailedError, OSError, RuntimeError
        as `evaluate_each`.
    """
    left = unfinished(list(cells.values()))
    if not left:
        return
    cell_of = {task.path: cell for cell, task in cells.items()}
    subjects = {cell.model: Once(partial(load, cell.model)) for cell in cells}

    def evaluate(task: Task) -> Result:
        cell = cell_of[task.path]
        chosen = evaluator(cell.perturbation)

        def some(conditions: Sequence[str]) -> Result:
            return _rows(
                subjects[cell.model](), cell, task.asked, files, chosen, batch_size, conditions
            )

        return completed(task, some)

    for task in evaluate_each(left, evaluate):
        yield cell_of[task.path]


def _rows(
    subject: Subject,
    cell: Cell,
    asked: Mapping[str, Any],
    files: Files,
    evaluator: Evaluator,
    batch_size: int,
    conditions: Sequence[str],
) -> Result:
    """Return the rows of some conditions of a cell, and how they were made."""
    class_map = read_class_map(Path(asked["class_map"])) if asked["class_map"] else None
    _check_kept(cell, asked, files)
    return evaluate_cell(
        replace(subject, class_map=class_map),
        stores_of(asked, files, conditions),
        cell,
        Setting(tuple(conditions), cell.severity_value, asked["seed"], asked["options"]),
        evaluator,
        protocol=asked["protocol"],
        batch_size=batch_size,
        precision=asked["precision"],
    )


def _check_kept(cell: Cell, asked: Mapping[str, Any], files: Files) -> None:
    """Raise a ValueError if conditions, also kept ones, are of other images or targets.

    The rows of a kept condition are those of its decoded dataset, whose identity they have.
    """
    if len(asked["stores"]) > 1:
        conditions = tuple(asked["conditions"])
        setting = Setting(conditions, cell.severity_value, asked["seed"])
        check_stores(stores_of(asked, files, conditions), cell, setting)


def stores_of(
    asked: Mapping[str, Any], files: Files, conditions: Sequence[str]
) -> dict[str, ImageStore]:
    """Return the images of some conditions: of one decoded dataset, or one each."""

    def opened(name: str) -> ImageStore:
        images, manifest = map(Path, files[name])
        return open_subset(images, manifest, asked["num_images"], asked["seed"])

    names: Sequence[str] = asked["stores"]
    if len(names) == 1:
        return dict.fromkeys(conditions, opened(names[0]))
    of_each = dict(zip(asked["conditions"], names, strict=True))
    return {condition: opened(of_each[condition]) for condition in conditions}
