"""The models of a job, loaded in their precision, and compiled where that pays."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from perturb.config import Config
from perturb.cost.compilation import compiled_models
from perturb.evaluation.cell import Cell
from perturb.evaluation.loading import loader
from perturb.evaluation.loop import Load
from perturb.plan.asked import precision_of


def job_loader(config: Config, weights: Iterable[str], left: Iterable[Cell] = ()) -> Load:
    """Return a function that loads a model of a job by its id.

    Parameters
    ----------
    weights : files of the models' weights.
    left : cells that are to be evaluated, for which networks may be compiled.
    """
    return loader(
        map(Path, weights),
        config.device,
        compiled=compiled_models(config, left),
        precision=partial(precision_of, config),
    )
