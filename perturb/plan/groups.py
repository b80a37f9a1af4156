"""Groups of models that share jobs: images are read and perturbed once for all of a group.

Models can share the cells of a perturbation whose images do not depend on the model, on the same
decoded datasets. `models_per_job` of them form a group, in the order of the configuration. The job
is that of the first model. Paths and identities of results do not depend on groups.
"""

from collections.abc import Iterable, Mapping

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.experiments.registry import perturbation
from perturb.plan.stores import stores_of_cell


def is_shared(cell: Cell) -> bool:
    """Return whether models can share the images of a cell."""
    return perturbation(cell.perturbation).is_independent_of_model


def leaders(
    config: Config, cells: Mapping[tuple[str, str], Iterable[Cell]]
) -> dict[tuple[str, str], str]:
    """Return the first model of a model's group in each job of the model.

    Parameters
    ----------
    cells : of each model and job, in the order of the configuration.
    """
    if config.models_per_job == 1:
        return {key: key[0] for key in cells}
    groups: dict[tuple[str, frozenset[str]], list[str]] = {}
    for (model, job), own in cells.items():
        stores = (stores_of_cell(config, cell, model) for cell in own if is_shared(cell))
        groups.setdefault((job, frozenset().union(*stores)), []).append(model)
    return {
        (model, job): models[number - number % config.models_per_job]
        for (job, _), models in groups.items()
        for number, model in enumerate(models)
    }
