"""Warnings of models of a study whose clean accuracy is no better than chance."""

import logging
from collections.abc import Sequence
from pathlib import Path

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.plan.paths import Paths
from perturb.tables.chance import clean_chance, warning_of

logger = logging.getLogger(__name__)


def chance_warnings(config: Config, models: Sequence[str] | None = None) -> list[str]:
    """Return a sentence for each model whose clean accuracy is no better than chance.

    Parameters
    ----------
    models : to check, by default all of the study; those whose shard of clean images
        is not there yet are passed over.

    Raises
    ------
    ValueError
        if such a shard cannot be read.
    """
    clean = config.clean_dataset.id
    cells = [Cell(model, clean, "none", "0") for model in models or config.models]
    paths = [Path(Paths(config.results).shard(cell)) for cell in cells]
    rows = clean_chance([path for path in paths if path.exists()], clean)
    return [warning_of(row["model"], row) for row in rows if row["warning"]]


def warn_of_chance(config: Config, models: Sequence[str] | None = None) -> None:
    """Log `chance_warnings`; the terminal shows them (see `perturb.logs`)."""
    for warning in chance_warnings(config, models):
        logger.warning("%s", warning)


def warn_of_clean(config: Config, cell: Cell) -> None:
    """Log a warning if a cell of clean images shows a model no better than chance."""
    if (cell.dataset, cell.perturbation) == (config.clean_dataset.id, "none"):
        warn_of_chance(config, [cell.model])
