"""Passes of a job over decoded datasets: the cells of each, and the models in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from perturb.evaluation.cell import Cell
from perturb.evaluation.completing import missing_conditions
from perturb.evaluation.digests import digest_of
from perturb.evaluation.failures import Once
from perturb.evaluation.keeping import Task
from perturb.evaluation.loop import Load, Subject

# Cells that are evaluated together, with the task of each.
Pass = Mapping[Cell, Task]


def passes_of(left: Pass) -> list[Pass]:
    """Return the cells that are evaluated together, those of several models first.

    They differ by the model and its precision alone, also in the conditions that are not kept.
    """
    if len({cell.model for cell in left}) == 1:
        return [{cell: task} for cell, task in left.items()]
    found: dict[str, dict[Cell, Task]] = {}
    for cell, task in left.items():
        asked = {
            name: value for name, value in task.asked.items() if name not in ("model", "precision")
        }
        key = digest_of({**asked, "missing": missing_conditions(task)})
        found.setdefault(key, {})[cell] = task
    return sorted(found.values(), key=lambda members: len(members) == 1)


class Models:
    """The models of a job: each is loaded when it is first needed, and dropped after its last cell.

    Parameters
    ----------
    passes : all that the job evaluates.
    """

    def __init__(self, load: Load, passes: Sequence[Pass]) -> None:
        self._num_left = Counter(cell.model for one in passes for cell in one)
        self._loaded = {model: Once(partial(load, model)) for model in self._num_left}

    def __call__(self, model: str) -> Subject:
        """Return a model."""
        return self._loaded[model]()

    def is_done(self, model: str) -> None:
        """Count a cell of a model as evaluated, or failed."""
        self._num_left[model] -= 1
        if not self._num_left[model]:
            del self._loaded[model]
