"""Checks of classes before an image or a weights file is read: heads, targets, members.

A target outside a model's head would stop that model's job, after hours of others.
"""

from collections.abc import Iterator
from pathlib import Path

from perturb.config.zero_shot_checks import check_class_vectors
from perturb.datasets.real.label_space import num_label_classes, num_logits
from perturb.models.class_maps import ClassMap, read_class_map
from perturb.records import Config, Dataset, Model


def check_classes(config: Config) -> Iterator[str]:
    """Yield a message for each dataset with classes that some model does not have."""
    yield from check_class_vectors(config)
    evaluated = {id for item in config.perturbations.values() for id in item.datasets}
    evaluated |= {
        dataset.filter["dataset"] for dataset in config.datasets.values() if dataset.filter
    }
    for dataset in (config.datasets[id] for id in config.datasets if id in evaluated):
        if dataset.class_map is None:
            yield from _check_targets(dataset, config)
        elif Path(dataset.class_map).exists():  # else it is one of the missing files
            yield from _check_members(dataset, config)


def _deciding_on(dataset: Dataset, config: Config) -> list[Model]:
    """Return the models evaluated on a dataset: references only on the clean images."""
    asks_all = dataset.role in ("clean", "corrupted")
    return [model for model in config.models.values() if asks_all or not model.is_reference]


def _check_targets(dataset: Dataset, config: Config) -> Iterator[str]:
    num_classes = num_label_classes(dataset)
    is_indexed = "class_index" in (dataset.source or {})
    key = f"datasets.{dataset.id}.{'source.class_index' if is_indexed else 'classes'}"
    for model in _deciding_on(dataset, config):
        head = num_logits(config, model)
        if num_classes is not None and head is not None and num_classes > head:
            yield f"{key}: {num_classes}, but models.{model.id} has {head} classes"


def _check_members(dataset: Dataset, config: Config) -> Iterator[str]:
    key = f"datasets.{dataset.id}"
    if "accepted_labels" in (dataset.source or {}):
        yield f"{key}.source.accepted_labels: not allowed beside `class_map`"
    try:
        class_map: ClassMap = read_class_map(Path(dataset.class_map or ""))
    except ValueError as error:
        yield f"{key}.class_map: {error}"
        return
    if dataset.num_classes is not None and dataset.num_classes > len(class_map.names):
        yield f"{key}.classes: {dataset.num_classes}, but its class map has {len(class_map.names)}"
    for model in _deciding_on(dataset, config):
        head = num_logits(config, model)
        try:
            class_map.check(head if head is not None else class_map.highest + 1)
        except ValueError as error:
            yield f"{key}.class_map: {dataset.class_map}: {error} (models.{model.id})"
