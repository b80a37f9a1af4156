"""Checks of the configuration of corruptions, made before any job starts."""

from collections.abc import Iterator

from perturb.experiments.corruptions.alexnet import check_alexnet
from perturb.experiments.corruptions.names import SMALLEST_SIDE
from perturb.messages import each, listed
from perturb.records import Config, PerturbationEntry


def check_corruptions(config: Config) -> Iterator[str]:
    """Yield a message for each mistake in the configuration of corruptions."""
    yield from each(_check_datasets(config), check_alexnet(config))


def _check_datasets(config: Config) -> Iterator[str]:
    """Yield a message unless corruptions are made from the clean set or stored copies of it."""
    found = [item for item in config.perturbations.values() if item.key.endswith("corruptions")]
    if len(found) > 1:
        yield (
            "perturbations: `corruptions` and `stored_corruptions` exclude each other; their "
            "numbers differ by many points. Two configurations with two `results` folders hold both"
        )
    for perturbation in found:
        key = f"perturbations.{perturbation.key}.datasets"
        if (
            perturbation.key == "corruptions"
            and config.clean_dataset.id not in perturbation.datasets
            and config.is_whole("perturbations.corruptions")
        ):
            yield f"{key}: {config.clean_dataset.id!r}, the clean set, is missing"
        if perturbation.key == "corruptions":
            yield from _check_sides(perturbation, config)
        for id in perturbation.datasets:
            is_stored = perturbation.key == "stored_corruptions"
            if is_stored != (config.datasets[id].role == "corrupted"):
                yield (
                    f"{key}: {id!r} has the role {config.datasets[id].role}; `stored_corruptions` "
                    "needs `role: corrupted`, and nothing else may have it"
                )
        if perturbation.key == "stored_corruptions" and len(perturbation.datasets) > 1:
            yield f"{key}: {listed(perturbation.datasets)}; allowed: one"


def _check_sides(corruptions: PerturbationEntry, config: Config) -> Iterator[str]:
    """Yield a message for each known side below the smallest that corruptions need."""
    for dataset in (config.datasets[id] for id in corruptions.datasets):
        views = {f"datasets.{dataset.id}": dataset.view}
        if not dataset.is_seen_alike:
            own = {id: model.own_preprocessing for id, model in config.models.items()}
            views = {f"models.{id}": view.view for id, view in own.items() if view is not None}
        for key, view in views.items():
            if view is not None and 0 < view.side < SMALLEST_SIDE:
                yield (
                    f"{key}.preprocessing.side: {view.side}; allowed: {SMALLEST_SIDE} or more, of "
                    "which perturbations.corruptions can be made"
                )
