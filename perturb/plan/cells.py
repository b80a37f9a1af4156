"""The cells of a study. A cell is model x dataset x perturbation x severity: one shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perturb.evaluation.cell import Cell
from perturb.experiments.possible import is_possible
from perturb.severities import severity_value

if TYPE_CHECKING:  # the import takes a quarter of a second, which cells do not need
    from perturb.config import Config
    from perturb.records import Model, PerturbationEntry


def cells(config: Config) -> list[Cell]:
    """Return every cell of the study, in the order of the configuration."""
    own = [cell for model in config.models.values() for cell in own_cells(config, model)]
    return own + [
        cell for source in config.benchmark_models for cell in transfer_cells(config, source)
    ]


def own_cells(config: Config, model: Model) -> list[Cell]:
    """Return the cells of a model that need no other model."""
    return [
        Cell(model.id, dataset, perturbation.id, severity)
        for perturbation in config.perturbations.values()
        if perturbation.id != "transfer"
        for dataset in perturbation.datasets
        if _is_asked_of(model, perturbation, dataset, config)
        for severity in perturbation.severities
        if is_possible(perturbation, severity_value(severity), model.architecture)
    ]


def transfer_cells(config: Config, source: str) -> list[Cell]:
    """Return the cells of every model on adversarial images made against `source`.

    Of models that are trained several times, run k meets run k of the others, and no other run of
    its own: the cells grow as the runs do, and not as their square.
    """
    transfer = config.perturbations.get("transfer")
    if transfer is None:
        return []
    run = config.models[source].run
    return [
        Cell(target, dataset, transfer.id, severity, source)
        for dataset in transfer.datasets
        for severity in transfer.severities
        for target in config.benchmark_models
        if config.models[target].run == run
    ]


def _is_asked_of(
    model: Model, perturbation: PerturbationEntry, dataset: str, config: Config
) -> bool:
    """Return whether a model has a cell: a reference only has those that mCE needs of it."""
    if not model.is_reference:
        return True
    if model is not config.reference:
        return False
    if perturbation is config.corruptions:
        return config.datasets[dataset].role in ("clean", "corrupted")
    return perturbation.id == "none" and dataset == config.clean_dataset.id


def evaluated_datasets(config: Config) -> list[str]:
    """Return the datasets of all cells, in the order of the configuration."""
    used = {dataset for item in config.perturbations.values() for dataset in item.datasets}
    return [dataset for dataset in config.datasets if dataset in used]
