"""The dataset of a command line: a folder of classes, an archive, Parquet, or a registered name."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from perturb.config.checks import RESERVED_DATASET_IDS, RESERVED_IDS
from perturb.config.given import read_yaml
from perturb.config.paths import RESOURCES
from perturb.config.source_checks import REGISTER
from perturb.datasets.download.register import read_register
from perturb.datasets.real.listing import list_images
from perturb.messages import ConfigError, did_you_mean, listed
from perturb.own.nearby import beside
from perturb.places import WORKFLOW

# Folders that hold a split, not a class.
_SPLITS = frozenset({"train", "val", "valid", "validation", "test", "training", "testing"})
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_WORDNET = "imagenet_classes.json"


def dataset_of(word: str, classes: str | None) -> tuple[str, dict[str, Any]]:
    """Return the id and the entry of a dataset whose images are listed, not decoded.

    Parameters
    ----------
    word : a path, or a name of `resources/downloads.yaml`.
    classes : `class_index` of the configuration: a JSON file, or ``numbers``.

    Raises
    ------
    ConfigError
        if there is nothing of that name, or its images and labels cannot be listed.
    """
    path = Path(word)
    if not path.exists():
        return word, _registered(word)
    source = {"path": word, "layout": _layout(path)}
    if path.is_dir() and source["layout"] != "class_folders":
        source["path"] = f"{word.rstrip('/')}/{_PATTERNS[source['layout']]}"
    index = classes or _usual_index(source)
    if index is not None:
        source["class_index"] = index
    read = (
        source if index is None or index == "numbers" else {**source, "class_index": _place(index)}
    )
    try:
        found = list_images(read, Path())
    except ValueError as error:
        raise ConfigError(f"{word}: {error}{_hint(str(error))}") from None
    entry = {"role": "clean", "images": len(found)}
    if index is None or index == "numbers":
        entry["classes"] = len(set(found.targets))
    return _id_of(path), {**entry, "source": source}


_PATTERNS = {"parquet": "*.parquet", "webdataset": "*.tar"}


def _layout(path: Path) -> str:
    """Return the layout of the images at a path."""
    if path.is_file():
        if path.suffix == ".parquet":
            return "parquet"
        if path.name.lower().endswith(_ARCHIVES):
            return "class_folders"
        raise ConfigError(
            f"{path}: no images; allowed: a folder of class folders, an archive "
            f"({listed(_ARCHIVES)}) or Parquet"
        )
    for layout, pattern in _PATTERNS.items():
        if any(path.glob(pattern)):
            return layout
    folders = {child.name for child in path.iterdir() if child.is_dir()}
    splits = sorted(name for name in folders if name.lower() in _SPLITS)
    if splits and len(splits) == len(folders):
        raise ConfigError(
            f"{path}: its folders are splits, not classes; allowed: "
            f"{listed(str(path / name) for name in splits)}"
        )
    return "class_folders"


def _usual_index(source: dict[str, Any]) -> str | None:
    """Return the class index of ImageNet if every folder is one of its classes."""
    folder = Path(source["path"])
    if source["layout"] != "class_folders" or not folder.is_dir():
        return None
    known = json.loads((RESOURCES / _WORDNET).read_text())
    names = {child.name for child in folder.iterdir() if child.is_dir()}
    return f"resources/{_WORDNET}" if names and names <= set(known) else None


def _place(index: str) -> str:
    own = "resources/"
    return str(RESOURCES / index.removeprefix(own)) if index.startswith(own) else index


def _hint(error: str) -> str:
    return " (--classes gives it)" if "class_index" in error else ""


def _registered(word: str) -> dict[str, Any]:
    """Return the entry of a dataset that the workflow downloads."""
    study = read_yaml(WORKFLOW / "config" / "imagenet.yaml")["datasets"]
    register = read_register(REGISTER)
    names = [
        name
        for name, entry in study.items()
        if name in register
        and register[name].login is None
        and entry["source"]["layout"] == "class_folders"
        and "accepted_labels" not in entry["source"]
    ]
    if word not in names:
        raise ConfigError(
            f"{word}: there is no such file or folder; allowed beside paths: {listed(names)}."
            f"{did_you_mean(word, [*names, *beside(word)])}"
        )
    entry = dict(study[word])
    source = {key: value for key, value in entry["source"].items() if key != "path"}
    return {**entry, "role": "clean", "source": {"download": word, **source}}


def _id_of(path: Path) -> str:
    """Return the id of a path: its last names, without those that only say which split it is."""
    parts = list(path.resolve().parts[1:])
    parts[-1] = re.sub(r"(\.(zip|tgz|parquet|tar(\.\w+)?))+$", "", parts[-1])
    chosen = [parts.pop()]
    if chosen[0].lower() in _SPLITS and parts:
        chosen.insert(0, parts.pop())
    id = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(chosen)).strip("._-")[:60] or "images"
    return f"{id}-images" if id.lower() in _taken() else id


def _taken() -> Collection[str]:
    return {*RESERVED_IDS, *RESERVED_DATASET_IDS}
