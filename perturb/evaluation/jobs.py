"""The cells of a job, each into its shard: one after another, or several models together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from perturb.datasets.store import ImageStore, open_subset
from perturb.evaluation.cell import Cell
from perturb.evaluation.completing import completed
from perturb.evaluation.failures import Once, concerns_all, release
from perturb.evaluation.fitting import check_stores
from perturb.evaluation.keeping import Task, evaluate_each, unfinished
from perturb.evaluation.loop import Load, Subject, evaluate_cell
from perturb.evaluation.outcome import Evaluator, Setting
from perturb.evaluation.passes import Models, Pass, passes_of
from perturb.evaluation.results import Result
from perturb.evaluation.together import evaluate_together
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

    Of a cell whose conditions are kept in part the others are evaluated alone. Cells that differ by
    their model alone are evaluated together.

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
    cell_of = {task.path: cell for cell, task in cells.items()}
    left = unfinished(list(cells.values()))
    passes = passes_of({cell_of[task.path]: task for task in left})
    models = Models(load, passes)
    in_order: list[Task] = []
    rows_of: dict[Path, Callable[[Sequence[str]], Result]] = {}
    for members in passes:
        together = _Together(members, models, files, evaluator, batch_size)
        for cell, task in members.items():
            in_order.append(task)
            rows_of[task.path] = partial(together.rows, cell)

    def evaluate(task: Task) -> Result:
        try:
            return completed(task, rows_of[task.path])
        finally:
            models.is_done(cell_of[task.path].model)

    for task in evaluate_each(in_order, evaluate):
        yield cell_of[task.path]


class _Together:
    """The cells of a pass, which are evaluated when the first of them is asked for."""

    def __init__(
        self,
        members: Pass,
        models: Models,
        files: Files,
        evaluator: Callable[[str], Evaluator],
        batch_size: int,
    ) -> None:
        self._members, self._models, self._files = members, models, files
        self._evaluator, self._batch_size = evaluator, batch_size
        self._found: Once[dict[Cell, Result | Exception]] | None = None

    def rows(self, cell: Cell, conditions: Sequence[str]) -> Result:
        """Return the rows of some conditions of a cell, and how they were made."""
        if self._found is None:
            self._found = Once(partial(self._evaluate, conditions))
        found = self._found().pop(cell)
        if isinstance(found, Exception):
            raise found
        return found

    def _evaluate(self, conditions: Sequence[str]) -> dict[Cell, Result | Exception]:
        """Return the results of all cells, or why they failed."""
        cell, task = next(iter(self._members.items()))
        asked = task.asked
        what = (
            stores_of(asked, self._files, conditions),
            Setting(tuple(conditions), cell.severity_value, asked["seed"], asked["options"]),
            self._evaluator(cell.perturbation),
        )
        how = {"protocol": asked["protocol"], "batch_size": self._batch_size}
        precisions = {cell: task.asked["precision"] for cell, task in self._members.items()}
        _check_kept(cell, asked, self._files)
        if len(self._members) == 1:
            stores, setting, evaluator = what
            subject = self._subject(cell, asked)
            how["precision"] = precisions[cell]
            return {cell: evaluate_cell(subject, stores, cell, setting, evaluator, **how)}
        subjects, failed = self._subjects(asked)
        if not subjects:
            return failed
        return failed | evaluate_together(subjects, *what, **how, precisions=precisions)

    def _subjects(
        self, asked: Mapping[str, Any]
    ) -> tuple[dict[Cell, Subject], dict[Cell, Result | Exception]]:
        """Return the models of all cells, and why some cannot be loaded."""
        subjects: dict[Cell, Subject] = {}
        failed: dict[Cell, Result | Exception] = {}
        for cell in self._members:
            try:
                subjects[cell] = self._subject(cell, asked)
            except Exception as error:
                if concerns_all(error):
                    raise
                release(error)
                failed[cell] = error
        return subjects, failed

    def _subject(self, cell: Cell, asked: Mapping[str, Any]) -> Subject:
        class_map = read_class_map(Path(asked["class_map"])) if asked["class_map"] else None
        return replace(self._models(cell.model), class_map=class_map)


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
