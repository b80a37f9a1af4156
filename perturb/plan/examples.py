"""Inputs of the examples on the page: perturbed images, and images on which models differ.

The gallery shows images as one model sees them: the model that the perturbation patterns show
first, by default the first one with the largest pre-training set.
"""

from dataclasses import dataclass

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.experiments.registry import perturbation
from perturb.plan.cells import own_cells
from perturb.plan.paths import Paths
from perturb.plan.stores import store_of, stores_of_cell


def named_model(config: Config) -> str:
    """Return the model whose view of the images the gallery shows.

    Raises
    ------
    ValueError
        if no model of the study is compared.
    """
    if config.patterns is not None and config.patterns.shown_models:
        return config.patterns.shown_models[0]
    models = [config.models[id] for id in config.benchmark_models]
    if not models:
        raise ValueError("models: only references; examples need a model that is compared")
    return max(models, key=lambda model: model.pretraining.rank if model.pretraining else -1).id


def gallery_cells(config: Config) -> list[Cell]:
    """Return the cells of the named model whose images the gallery shows, the clean ones first."""
    found = [cell for cell in own_cells(config, config.models[named_model(config)]) if _shown(cell)]
    clean = config.clean_dataset.id
    return sorted(found, key=lambda cell: (cell.perturbation, cell.dataset) != ("none", clean))


def _shown(cell: Cell) -> bool:
    """Return whether a perturbation has pictures: its own, or those of an evaluator of pixels."""
    declared = perturbation(cell.perturbation)
    return declared.gallery is not None or declared.is_independent_of_model


def compared_cells(config: Config) -> list[Cell]:
    """Return the cells of unperturbed test sets of all models that are compared."""
    return [
        cell
        for model in config.benchmark_models
        for cell in own_cells(config, config.models[model])
        if cell.perturbation == "none"
    ]


def compared_stores(config: Config) -> dict[str, str]:
    """Return the decoded dataset of each unperturbed test set, as the named model sees it."""
    model = named_model(config)
    datasets = dict.fromkeys(cell.dataset for cell in compared_cells(config))
    return {dataset: store_of(config, dataset, model) for dataset in datasets}


@dataclass(frozen=True)
class Examples:
    """What the examples of a study are made from.

    stores : decoded datasets.
    shards : their files.
    compared : the unperturbed test sets.
    loaded : the named model if a picture depends on its network.
    """

    stores: tuple[str, ...]
    shards: tuple[str, ...]
    compared: tuple[str, ...]
    loaded: tuple[str, ...]


def examples_of(config: Config) -> Examples:
    """Return what the examples of a study are made from."""
    model, shown, compared = named_model(config), gallery_cells(config), compared_stores(config)
    stores = (store for cell in shown for store in stores_of_cell(config, cell, model))
    own = [cell for cell in shown if perturbation(cell.perturbation).gallery is not None]
    shard = Paths(config.results).shard
    return Examples(
        stores=tuple(dict.fromkeys([*compared.values(), *stores])),
        shards=tuple(map(shard, [*compared_cells(config), *own])),
        compared=tuple(compared),
        loaded=(model,) if own else (),
    )
