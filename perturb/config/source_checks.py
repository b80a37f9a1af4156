"""Checks of real images before one is read: sources, preprocessing, numbers of classes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perturb.config.paths import RESOURCES
from perturb.datasets.download.register import Entry, register_entry
from perturb.datasets.real.label_space import class_index, num_label_classes
from perturb.messages import ConfigError, each, listed
from perturb.models.timm_table import model_of
from perturb.records import Config, Dataset

REGISTER = RESOURCES / "downloads.yaml"
# Keys of some layouts alone, and the required keys of a layout.
_ONLY_WITH = {
    "labels": ("labelled_files",),
    "synsets": ("labelled_files",),
    "columns": ("parquet", "labelled_files", "webdataset"),
    "accepted_labels": ("class_folders", "labelled_files"),
}
_WITH_TABLES = ("parquet", "labelled_files")  # whose images are a column
_NEEDED_BY = {"labelled_files": ("labels",), "cue_conflict": ("class_index",)}


def check_source(dataset: Dataset) -> Iterator[str]:
    """Yield a message if a source's keys do not match its layout, or the layout its role."""
    key, source = f"datasets.{dataset.id}.source", dataset.source or {}
    layout = source["layout"]
    if "path" not in source and "download" not in source:
        yield f"{key}.path: missing; a folder, an archive or files"
    if "sha256" in source and "download" not in source:
        yield f"{key}.sha256: only with `download`"
    for name, layouts in _ONLY_WITH.items():
        if name in source and layout not in layouts:
            yield f"{key}.{name}: only with `layout: {listed(layouts)}`, not {layout}"
    if layout == "webdataset" and "image" in source.get("columns", {}):
        yield f"{key}.columns.image: only with `layout: {listed(_WITH_TABLES)}`, not {layout}"
    for name in _NEEDED_BY.get(layout, ()):
        if name not in source:
            yield f"{key}.{name}: missing; `layout: {layout}` needs it"
    for role, needed in (("corrupted", "corruptions"), ("cue_conflict", "cue_conflict")):
        if (dataset.role == role) != (layout == needed):
            yield (
                f"datasets.{dataset.id}: `role: {role}` and `layout: {needed}` belong together; "
                f"found role {dataset.role}, layout {layout}"
            )
    if dataset.role == "corrupted" and dataset.view is None:
        yield (
            f"datasets.{dataset.id}.preprocessing: missing; published corruptions are evaluated "
            "`as_is`"
        )
    index = source.get("class_index", "numbers")
    if index != "numbers" and Path(index).exists():  # else it is one of the missing files
        class_index(f"{key}.class_index", index)
    if "download" in source:
        registered(key, source)


def registered(key: str, source: Mapping[str, Any]) -> Entry:
    """Return the register's entry of a source that is downloaded, or raise a ConfigError."""
    try:
        return register_entry(REGISTER, source["download"], source.get("sha256"))
    except ValueError as error:
        raise ConfigError(f"{key}.{error}") from None


def check_views(config: Config) -> Iterator[str]:
    """Yield a message if a model has no preprocessing for some images, or too few classes."""
    for dataset in config.datasets.values():
        for model in config.models.values():
            is_unknown = model.says_no_input and dataset.source is not None
            if model.own_preprocessing is None and is_unknown:
                yield (
                    f"models.{model.id}.preprocessing: missing; datasets.{dataset.id} holds real "
                    "images, and a file of weights does not say how its network's are normalised"
                )
            elif not dataset.is_seen_alike and model.own_preprocessing is None:
                yield (
                    f"datasets.{dataset.id}: models.{model.id} has no preprocessing of its own; "
                    f"one of datasets.{dataset.id}.preprocessing and models.{model.id}."
                    "preprocessing is needed"
                )
    yield from each(_check_classes(config), _check_seen_alike(config))


def _check_classes(config: Config) -> Iterator[str]:
    clean = config.clean_dataset
    for model in config.models.values():
        is_read = config.is_whole(f"datasets.{clean.id}.classes")
        is_unknown = is_read and num_label_classes(clean) is None
        if model.own_preprocessing and model.says_no_input and is_unknown:
            yield (
                f"datasets.{clean.id}: one of `classes` and a file as `source.class_index` is "
                f"needed; the number of classes of models.{model.id}'s weights is compared with it"
            )
    for dataset in config.datasets.values():
        for model in config.models.values():
            if dataset.role == "train" or dataset.class_map or model.timm_tag is None:
                continue
            num_classes = model_of(model.timm_tag).num_classes
            is_read = config.is_whole(f"datasets.{dataset.id}.classes")
            if is_read and not _says_which_classes(dataset, num_classes):
                yield (
                    f"datasets.{dataset.id}: the mapping of its classes to the {num_classes} "
                    f"classes of models.{model.id} is not defined; `source.class_index` is needed"
                )
            if dataset.num_classes is not None and dataset.num_classes > num_classes:
                yield (
                    f"datasets.{dataset.id}.classes: {dataset.num_classes}, but models.{model.id} "
                    f"has {num_classes}"
                )


def _says_which_classes(dataset: Dataset, num_classes: int) -> bool:
    """Return whether a dataset's targets are a model's classes, or all of them in order."""
    if dataset.filter is not None:
        return True  # as its pool
    if dataset.source is None:
        return num_label_classes(dataset) == num_classes
    is_by_folder = dataset.source["layout"] in ("class_folders", "corruptions")
    return not is_by_folder or "class_index" in dataset.source or dataset.num_classes == num_classes


def _check_seen_alike(config: Config) -> Iterator[str]:
    """Check that networks are trained on pixels that all models share."""
    for model in config.models.values():
        if model.training is not None and not config.datasets[model.training.dataset].is_seen_alike:
            yield (
                f"models.{model.id}.training: every model must see the same pixels; "
                f"datasets.{model.training.dataset} needs `preprocessing`"
            )
