"""The decoded datasets (stores) of a study: each dataset decoded once per preprocessing.

The name of a decoded dataset is its folder below `decoded/`. Generated datasets, and those with
`preprocessing` of their own, are the same for all models: there is one, with the name of the
dataset, and none if it is streamed. Of other datasets there is one for each preprocessing of some
model, `imagenet/384-squash-bilinear`; of stored corruptions one for each corruption and severity,
`imagenet-c/fog-3`, because each has pixels of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the import takes a quarter of a second, which stores do not need
    from perturb.config import Config
    from perturb.evaluation.cell import Cell
    from perturb.models.resizing import Resizing
    from perturb.records import Dataset


def store_of(config: Config, dataset: str, model: str) -> str:
    """Return the decoded dataset of a model's preprocessing."""
    entry = config.datasets[dataset]
    if entry.is_seen_alike:
        return dataset
    own_preprocessing = config.models[model].own_preprocessing
    if own_preprocessing is None:
        raise ValueError(f"models.{model} has no view of its own of {dataset!r}")
    return f"{dataset}/{own_preprocessing.view.id}"


def stores_of_cell(config: Config, cell: Cell, model: str) -> tuple[str, ...]:
    """Return the decoded datasets of a cell: one, or one per stored corruption, in order.

    `model` is the cell's, which may be a wildcard in the cell itself.
    """
    perturbation = config.perturbations[cell.perturbation]
    if config.datasets[cell.dataset].role != "corrupted":
        return (store_of(config, cell.dataset, model),)
    return tuple(f"{cell.dataset}/{name}-{cell.severity}" for name in perturbation.conditions)


def stores_of_dataset(config: Config, dataset: str) -> tuple[str, ...]:
    """Return all decoded datasets of a dataset that the study needs."""
    entry = config.datasets[dataset]
    if entry.is_streamed:
        return ()
    if entry.role == "corrupted":
        return _parts(config, entry)
    if entry.is_seen_alike:
        return (dataset,)
    # The reference is evaluated only on the clean dataset.
    models = config.models if entry.role == "clean" else config.benchmark_models
    return tuple(dict.fromkeys(store_of(config, dataset, model) for model in models))


def any_store(config: Config, dataset: str) -> str:
    """Return one decoded dataset of a dataset: all have the same images in the same order."""
    return stores_of_dataset(config, dataset)[0]


def view_of(config: Config, store: str) -> Resizing | None:
    """Return the preprocessing of a decoded dataset; None if its images are generated."""
    dataset, _, of_store = store.partition("/")
    entry = config.datasets[dataset]
    if entry.source is None or entry.view is not None:
        return entry.view
    views = (
        model.own_preprocessing.view for model in config.models.values() if model.own_preprocessing
    )
    return next(view for view in views if view.id == of_store)


def part_of(config: Config, store: str) -> str | None:
    """Return the part of the dataset in a decoded dataset, such as `fog-3`; None for the whole."""
    dataset, _, part = store.partition("/")
    return part if config.datasets[dataset].role == "corrupted" else None


def _parts(config: Config, dataset: Dataset) -> tuple[str, ...]:
    return tuple(
        f"{dataset.id}/{name}-{severity}"
        for perturbation in config.perturbations.values()
        if dataset.id in perturbation.datasets
        for severity in perturbation.severities
        for name in perturbation.conditions
    )
