"""Where images of data sets are read from: what their stores depend on, and what is missing.

Paths of a source are below the configuration's `data`; here they are named from the working
directory, as jobs need them.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perturb.cells import Layout
from perturb.config import Config
from perturb.config.alexnet import needed_side
from perturb.config.records import Dataset
from perturb.config.source_checks import registered
from perturb.files import as_inputs, beside_inputs
from perturb.images.names import DECODING_PROTOCOL
from perturb.images.parts import unlike_suffixes
from perturb.images.places import place_of
from perturb.stores import part_of, stores_of_dataset, view_of

# Keys of a source that name files; `class_index` is named where it lies already.
_LABEL_FILES = ("labels", "synsets", "accepted_labels")
# Layouts whose `path` may have `*`, `?` and ranges of numbers in it.
_PATTERNS = ("parquet", "webdataset")


def decoded(config: Config, store: str) -> dict[str, Any]:
    """Return what a store of real images depends on."""
    entry = config.datasets[store.partition("/")[0]]
    view = view_of(config, store)
    # Only where they are needed: one more key would repeat the jobs of all other stores.
    needed = {"side": needed_side(config, entry), "files": beside_inputs(_labels(config, entry))}
    return {
        **{key: value for key, value in needed.items() if value},
        "source": resolved_source(config, entry),
        "view": asdict(view) if view is not None else None,
        "part": part_of(config, store),
        "num_images": entry.num_images,
        "num_classes": entry.num_classes,
        "decoding": config.decoding,
        "protocol": DECODING_PROTOCOL,
    }


def label_files(config: Config, store: str) -> list[str]:
    """Return the files that say which class each image of a store has, as inputs of its job."""
    return as_inputs(_labels(config, config.datasets[store.partition("/")[0]]))


def _labels(config: Config, dataset: Dataset) -> list[str]:
    source = resolved_source(config, dataset)
    return [source[name] for name in (*_LABEL_FILES, "class_index") if name in source]


def mark_of_download(config: Config, download: str) -> str:
    """Return the file that says that a set was downloaded: beside its folder.

    Where the name of `data` has braces, which Snakemake takes for wildcards, it is in the results.
    """
    has_braces = bool(set("{}") & set(config.data))
    folder = f"{config.results}/downloads" if has_braces else config.data
    return f"{folder}/{download}.downloaded"


def given_sha256(config: Config, download: str) -> Any:
    """Return the SHA-256 that the configuration gives for a downloaded set, if it does."""
    sources = (dataset.source or {} for dataset in config.datasets.values())
    given = (source.get("sha256") for source in sources if source.get("download") == download)
    return next(given, None)


def resolved_source(config: Config, dataset: Dataset) -> dict[str, Any]:
    """Return a source whose files are named from the working directory, not from `data`."""
    source = dict(dataset.source or {})
    root = Path(config.data)
    if "download" in source:
        entry = registered(f"datasets.{dataset.id}.source", source)
        source["path"] = str(Path(entry.name) / source.get("path", entry.path))
        source = {key: source[key] for key in source.keys() - {"download", "sha256"}}
    if "path" in source:
        source["path"] = str(root / source["path"])
    for name in _LABEL_FILES:
        if name in source:
            source[name] = str(place_of(root, source[name]))
    return source


def missing_files(config: Config) -> list[str]:
    """Return what the study reads and is not there: one line a key and path.

    Patterns, and files that the workflow fetches itself, are left to the jobs that read them.
    """
    asked: dict[str, str] = {}
    for id, dataset in config.datasets.items():
        if _is_decoded(config, dataset):
            continue  # the originals may be gone
        source = resolved_source(config, dataset)
        is_elsewhere = "download" in (dataset.source or {}) or _is_pattern(source)
        names = _LABEL_FILES if is_elsewhere else ("path", *_LABEL_FILES)
        asked |= {f"datasets.{id}.source.{name}": source[name] for name in names if name in source}
        index = source.get("class_index", "numbers")
        asked |= {f"datasets.{id}.source.class_index": index} if index != "numbers" else {}
        asked |= {f"datasets.{id}.class_map": dataset.class_map} if dataset.class_map else {}
    for id, model in config.models.items():
        if model.weights_file is not None:
            asked[f"models.{id}.weights.file"] = model.weights_file.path
    return [
        f"{key}: {path} does not exist" for key, path in asked.items() if not Path(path).exists()
    ]


def _is_decoded(config: Config, dataset: Dataset) -> bool:
    has_stores = dataset.is_seen_alike or all(model.own_view for model in config.models.values())
    return has_stores and all(
        Path(Layout(config.results).manifest(store)).exists()
        for store in stores_of_dataset(config, dataset.id)
    )


def _is_pattern(source: Mapping[str, Any]) -> bool:
    """Return whether a source's path may stand for several files."""
    return source.get("layout") in _PATTERNS and bool(set("*?{") & set(source.get("path", "")))


def unlike_classes(config: Config) -> list[str]:
    """Return the data sets whose class folders are not those of the clean set: one line each.

    Without a class index folders are classes in the order of their names, in each set by itself:
    with other names, or fewer, the same number would be another class.
    """
    clean = config.clean_dataset
    expected = _class_folders(config, clean)
    lines = []
    for id, dataset in config.datasets.items():
        names = _class_folders(config, dataset)
        if dataset.role == "train" or not names or not expected or names == expected:
            continue
        only_here, only_there = sorted(names - expected)[:3], sorted(expected - names)[:3]
        said = [f"{', '.join(only_here)} only here"] if only_here else []
        said += [f"{', '.join(only_there)} only there"] if only_there else []
        lines.append(
            f"datasets.{id}.source: its class folders are not those of datasets.{clean.id} "
            f"({'; '.join(said)}); a `class_index` for both has to say which class each is"
        )
    return lines


def _class_folders(config: Config, dataset: Dataset) -> set[str]:
    """Return the names of class folders, where nothing else says what they stand for."""
    source = resolved_source(config, dataset)
    if source.get("layout") != "class_folders" or "class_index" in source:
        return set()
    folder = Path(source["path"])
    if not folder.is_dir():
        return set()  # an archive, or not there
    return {entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."}


def unlike_parts(config: Config) -> list[str]:
    """Return the stored corruptions whose files are not named alike: one line a data set."""
    lines = []
    for id, dataset in config.datasets.items():
        source = resolved_source(config, dataset)
        if dataset.role != "corrupted" or not Path(source["path"]).is_dir():
            continue
        parts = [str(part_of(config, store)) for store in stores_of_dataset(config, id)]
        clean = resolved_source(config, config.clean_dataset)
        folder = Path(clean["path"]) if clean.get("layout") == "class_folders" else None
        said = unlike_suffixes(Path(source["path"]), parts, folder)
        lines += [f"datasets.{id}.source.path: {said}"] if said else []
    return lines
