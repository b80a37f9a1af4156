"""What is known of real images before one is read: sources, views, classes that do not fit."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from perturb.config.schema import ConfigError, each, listed
from perturb.datasets.download.register import Entry, register_entry
from perturb.datasets.real.bundled_sets import BUNDLED_CLASSES
from perturb.datasets.synthetic.family import NUM_TARGET_CLASSES
from perturb.models.timm_table import model_of
from perturb.records import Config, Dataset

REGISTER = Path(__file__).parents[2] / "resources" / "downloads.yaml"
# Keys that belong to some layouts alone, and those that a layout cannot do without.
_ONLY_WITH = {
    "labels": ("labelled_files",),
    "synsets": ("labelled_files",),
    "columns": ("parquet", "labelled_files", "webdataset"),
    "accepted_labels": ("class_folders", "labelled_files"),
}
_NEEDED_BY = {"labelled_files": ("labels",), "cue_conflict": ("class_index",)}


def check_source(dataset: Dataset) -> Iterator[str]:
    """Yield a message if a source's keys do not fit its layout, or the layout its role."""
    key, source = f"datasets.{dataset.id}.source", dataset.source or {}
    layout = source["layout"]
    if "path" not in source and "download" not in source:
        yield f"{key}.path: missing; a folder, an archive or files"
    if "sha256" in source and "download" not in source:
        yield f"{key}.sha256: only with `download`"
    if "download" in source:
        registered(key, source)
    for name, layouts in _ONLY_WITH.items():
        if name in source and layout not in layouts:
            yield f"{key}.{name}: only with `layout: {listed(layouts)}`, not {layout}"
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


def registered(key: str, source: Mapping[str, Any]) -> Entry:
    """Return the register's entry of a source that is downloaded, or raise a ConfigError."""
    try:
        return register_entry(REGISTER, source["download"], source.get("sha256"))
    except ValueError as error:
        raise ConfigError(f"{key}.{error}") from None


def num_label_classes(dataset: Dataset) -> int | None:
    """Return how many classes a model of a data set's labels has; None where nobody says.

    A class index lists the classes of the models, of which the images may show a few.
    """
    if dataset.bundled is not None:
        return BUNDLED_CLASSES[dataset.bundled["set"]]
    if dataset.generate is not None:
        return int(dataset.generate.get("classes", NUM_TARGET_CLASSES))
    index = (dataset.source or {}).get("class_index", "numbers")
    if index == "numbers" or dataset.class_map is not None:
        return dataset.num_classes
    return max(class_index(f"datasets.{dataset.id}.source.class_index", index).values()) + 1


def class_index(key: str, path: str) -> Mapping[str, int]:
    """Return the classes of each folder in a JSON file.

    Raises
    ------
    ConfigError
        naming the key, if it is no object of names and numbers.
    """
    try:
        content = _json_of(Path(path).absolute())
    except FileNotFoundError:
        raise ConfigError(
            f"{key}: {path} does not exist, nor a file of that name from the working directory on"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: {path} cannot be read as JSON ({error})") from None
    if not isinstance(content, dict) or not all(type(value) is int for value in content.values()):
        raise ConfigError(f"{key}: {path} is no JSON object of names and the numbers of classes")
    if not content or min(content.values()) < 0:
        found = "a negative number" if content else "no class"
        raise ConfigError(f"{key}: {path} holds {found}; allowed: names with numbers from 0 on")
    return content


@cache
def _json_of(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8-sig"))


def check_views(config: Config) -> Iterator[str]:
    """Yield a message if some model has no view of some images, or too few classes."""
    for dataset in config.datasets.values():
        for model in config.models.values():
            is_unknown = model.weights_file is not None and dataset.source is not None
            if model.own_view is None and is_unknown:
                yield (
                    f"models.{model.id}.preprocessing: missing; datasets.{dataset.id} holds real "
                    "images, and a file of weights does not say how its network's are normalised"
                )
            elif not dataset.is_seen_alike and model.own_view is None:
                yield (
                    f"datasets.{dataset.id}: models.{model.id} has no preprocessing of its own; "
                    f"one of datasets.{dataset.id}.preprocessing and models.{model.id}."
                    "preprocessing is needed"
                )
    yield from each(_check_classes(config), _check_seen_alike(config))


def _check_classes(config: Config) -> Iterator[str]:
    clean = config.clean_dataset
    for model in config.models.values():
        if model.own_view and model.weights_file and num_label_classes(clean) is None:
            yield (
                f"datasets.{clean.id}: one of `classes` and a file as `source.class_index` is "
                f"needed; the weights of models.{model.id} are held against it"
            )
    for dataset in config.datasets.values():
        for model in config.models.values():
            if dataset.role == "train" or dataset.class_map or model.timm_tag is None:
                continue
            num_classes = model_of(model.timm_tag).num_classes
            if not _says_which_classes(dataset, num_classes):
                yield (
                    f"datasets.{dataset.id}: nothing says which of the {num_classes} classes of "
                    f"models.{model.id} its classes are; `source.class_index` is needed"
                )
            if dataset.num_classes is not None and dataset.num_classes > num_classes:
                yield (
                    f"datasets.{dataset.id}.classes: {dataset.num_classes}, but models.{model.id} "
                    f"has {num_classes}"
                )


def _says_which_classes(dataset: Dataset, num_classes: int) -> bool:
    """Tell whether a data set's targets are a model's classes, or all of them in order."""
    if dataset.filter is not None:
        return True  # as its pool
    if dataset.source is None:
        return num_label_classes(dataset) == num_classes
    is_by_folder = dataset.source["layout"] in ("class_folders", "corruptions")
    return not is_by_folder or "class_index" in dataset.source or dataset.num_classes == num_classes


def _check_seen_alike(config: Config) -> Iterator[str]:
    """What puts models side by side on the same pixels needs one store for all of them."""
    needed = {}
    if "transfer" in config.perturbations:
        needed["perturbations.transfer"] = config.perturbations["transfer"].datasets[0]
    if config.patterns is not None:
        needed["analyses.patterns"] = config.patterns.dataset
    for model in config.models.values():
        if model.training is not None:
            needed[f"models.{model.id}.training"] = model.training.dataset
    for key, id in needed.items():
        if not config.datasets[id].is_seen_alike:
            yield (
                f"{key}: every model must see the same pixels; datasets.{id} needs `preprocessing`"
            )
