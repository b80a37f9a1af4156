"""Checks of class vectors, the heads of zero-shot classifiers, before any job starts.

A file of class vectors is small, so it is read whole; of the image tower's file only the header is,
if it is safetensors. Files of torch, and all files where the packages that read them are not
installed, are checked by the job that imports the weights, which runs before all others.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path

from perturb.datasets.real.label_space import num_label_classes
from perturb.models.class_vectors import read_class_vectors, width_of_tower
from perturb.records import Config, Model


def check_class_vectors(config: Config) -> Iterator[str]:
    """Yield a message for each file of class vectors that is none or does not fit its model."""
    num_classes = num_label_classes(config.clean_dataset)
    for model in config.models.values():
        if model.weights_file is not None and model.weights_file.class_vectors is not None:
            yield from _check(model, num_classes, config.clean_dataset.id)


def _check(model: Model, num_classes: int | None, clean: str) -> Iterator[str]:
    key = f"models.{model.id}.weights.class_vectors.file"
    file = model.weights_file
    assert file is not None
    assert file.class_vectors is not None
    path, tower = Path(file.class_vectors.path), Path(file.path)
    if not path.exists() or not _can_read():  # a missing file is named elsewhere
        return
    try:
        vectors = read_class_vectors(path)
    except ValueError as error:
        yield f"{key}: {error}"
        return
    if num_classes is not None and vectors.num_classes != num_classes:
        yield (
            f"{key}: {path}: has {vectors.num_classes} class vectors, but datasets.{clean} has "
            f"{num_classes} classes; allowed: a vector for each, in their order"
        )
    width = width_of_tower(tower) if tower.exists() else None
    if width is not None and width != vectors.width:
        yield (
            f"{key}: {path}: its vectors have width {vectors.width}, but the head of the image "
            f"tower in {tower} has width {width}; allowed: vectors of the tower's own text tower"
        )


def _can_read() -> bool:
    try:
        importlib.import_module("safetensors.numpy")
    except ImportError:
        return False
    return True
