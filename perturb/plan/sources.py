"""Sources of datasets: inputs of their decoded datasets, and missing files.

The path of a source is below the configuration's `data`, or inside a download; here it is converted
to one relative to the working directory, for jobs.
"""

import glob
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.config.paths import place_of
from perturb.config.source_checks import registered
from perturb.datasets.classes import Classes, are_folders, unlike
from perturb.datasets.labels import trimmed
from perturb.datasets.real.files.file_names import class_folders
from perturb.datasets.real.label_space import class_index
from perturb.datasets.real.part_suffixes import unlike_suffixes
from perturb.datasets.synthetic.family import DECODING_PROTOCOL
from perturb.experiments.corruptions.alexnet import needed_side
from perturb.experiments.error_consistency.decisions import faults_of
from perturb.files import as_inputs, beside_inputs, is_pattern
from perturb.messages import ConfigError
from perturb.models.factories import file_of
from perturb.plan.paths import Paths
from perturb.plan.stores import any_store, part_of, stores_of_dataset, view_of
from perturb.records import Dataset

# Keys of a source that name files beside the images.
_LABEL_FILES = ("labels", "synsets", "accepted_labels")
# Layouts whose `path` may contain `*`, `?` and ranges of numbers.
_PATTERNS = ("parquet", "webdataset")


def decoded(config: Config, store: str) -> dict[str, Any]:
    """Return the parameters of a decoded dataset of real images."""
    entry = config.datasets[store.partition("/")[0]]
    view = view_of(config, store)
    # Only if needed: an additional key would repeat the jobs of all other decoded datasets.
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
    """Return the files with the classes of a decoded dataset's images, as inputs of its job."""
    return as_inputs(_labels(config, config.datasets[store.partition("/")[0]]))


def source_files(config: Config, store: str) -> list[str]:
    """Return the archives or Parquet files of a decoded dataset's images, as inputs of its job.

    Images in folders are not among them.
    """
    source = resolved_source(config, config.datasets[store.partition("/")[0]])
    path = source.get("path", "")
    return as_inputs(sorted(glob.glob(path)) if _is_pattern(source) else [path])  # noqa: PTH207


def _labels(config: Config, dataset: Dataset) -> list[str]:
    source = resolved_source(config, dataset)
    return [source[name] for name in (*_LABEL_FILES, "class_index") if name in source]


def mark_of_download(config: Config, download: str) -> str:
    """Return the mark of a downloaded dataset: a file beside its folder.

    If Snakemake reads the name of `data` as a pattern, it is in the results.
    """
    folder = f"{config.results}/downloads" if is_pattern(config.data) else config.data
    return str(Path(folder) / f"{download}.downloaded")


def given_sha256(config: Config, download: str) -> Any:
    """Return the SHA-256 of a downloaded dataset in the configuration, if any."""
    sources = (dataset.source or {} for dataset in config.datasets.values())
    given = (source.get("sha256") for source in sources if source.get("download") == download)
    return next(given, None)


def resolved_source(config: Config, dataset: Dataset) -> dict[str, Any]:
    """Return a source with the actual path of its images."""
    source = dict(dataset.source or {})
    if "download" in source:
        entry = registered(f"datasets.{dataset.id}.source", source)
        source["path"] = str(Path(config.data, entry.name, source.get("path", entry.path)))
        source = {key: source[key] for key in source.keys() - {"download", "sha256"}}
    elif "path" in source:
        source["path"] = str(place_of(config.data, source["path"]))
    if source and dataset.class_map is not None:
        # Its names are those of the coarser classes, in their order.
        source.setdefault("class_index", dataset.class_map)
    return source


def faulty_files(config: Config) -> list[str]:
    """Return all that the files of the study lack, as far as it is seen without a job."""
    found = {
        "The study reads files that are not there.": missing_files(config),
        "Datasets of the study do not have the same classes.": unlike_classes(config),
        "Images of the study are not named alike.": unlike_parts(config),
        "Files of decisions are faulty.": faulty_decisions(config),
    }
    return [line for heading, lines in found.items() if lines for line in (heading, *lines)]


def faulty_decisions(config: Config) -> list[str]:
    """Return all that is wrong with the files of people's decisions: one line each."""
    return [
        f"datasets.{id}.decisions: {fault}"
        for id, dataset in config.datasets.items()
        # `missing_files` names what is no file.
        for fault in faults_of([file for file in map(Path, dataset.decisions) if file.is_file()])
    ]


def missing_files(config: Config) -> list[str]:
    """Return the missing files of the study: one line per key and path.

    Jobs check patterns, and files that the workflow downloads itself.
    """
    asked: dict[str, str] = {}
    for id, dataset in config.datasets.items():
        asked |= {
            f"datasets.{id}.decisions.{place}": file for place, file in enumerate(dataset.decisions)
        }
        if _is_decoded(config, dataset):
            continue  # the originals may have been deleted
        source = dict(dataset.source or {})
        is_elsewhere = "download" in source or _is_pattern(source)
        if "path" in source:
            source["path"] = str(place_of(config.data, source["path"]))
        names = (*_LABEL_FILES, "class_index", *(() if is_elsewhere else ("path",)))
        given = [name for name in names if source.get(name, "numbers") != "numbers"]
        asked |= {f"datasets.{id}.source.{name}": source[name] for name in given}
        asked |= {f"datasets.{id}.class_map": dataset.class_map} if dataset.class_map else {}
    for id, model in config.models.items():
        if model.factory is not None:
            asked[f"models.{id}.weights.factory"] = _code_of(model.factory)
        if model.weights_file is not None:
            asked[f"models.{id}.weights.file"] = model.weights_file.path
            if model.weights_file.class_vectors is not None:
                path = model.weights_file.class_vectors.path
                asked[f"models.{id}.weights.class_vectors.file"] = path
    faults = {key: _fault(key, Path(path)) for key, path in asked.items()}
    return [f"{key}: {asked[key]} {fault}" for key, fault in faults.items() if fault]


def _fault(key: str, path: Path) -> str | None:
    """Return what is wrong with a path; of a source it may be a folder."""
    if not path.exists():
        return "does not exist"
    return None if ".source." in key or path.is_file() else "is no file"


def _code_of(factory: str) -> str:
    """Return the file of a function's module, or where it might be if there is none."""
    try:
        return str(file_of(factory))
    except ValueError:
        return f"{factory.partition(':')[0].replace('.', '/')}.py"


def _is_decoded(config: Config, dataset: Dataset) -> bool:
    has_stores = dataset.is_seen_alike or all(
        model.own_preprocessing for model in config.models.values()
    )
    return has_stores and all(
        Path(Paths(config.results).manifest(store)).exists()
        for store in stores_of_dataset(config, dataset.id)
    )


def _is_pattern(source: Mapping[str, Any]) -> bool:
    """Return whether a source's path may stand for several files."""
    return source.get("layout") in _PATTERNS and bool(set("*?{") & set(source.get("path", "")))


def clean_manifest(config: Config, store: str) -> list[str]:
    """Return the manifest of the clean dataset, if the classes of a decoded dataset have no index.

    The classes are then compared before anything is decoded. Datasets with a class index are
    compared later, in the table of datasets, so that the check repeats no decoding of the large
    public datasets; so are all datasets if the clean one is made by a filter, maybe from them.
    """
    dataset = config.datasets[store.partition("/")[0]]
    has_index = "class_index" in (dataset.source or {})
    is_made = config.clean_dataset.filter is not None
    if has_index or is_made or dataset.id not in compared_datasets(config):
        return []
    clean = any_store(config, config.clean_dataset.id)
    return [Paths(config.results).manifest(clean)]


def compared_datasets(config: Config) -> list[str]:
    """Return the datasets whose classes must be those of the clean dataset.

    They include training data only for fine-tuning: pre-training may have classes of its own. A
    class map defines coarser classes.
    """
    tuned = {
        id
        for model in config.models.values()
        if model.training is not None
        for id in (model.training.dataset, model.training.validation)
    }
    return [
        id
        for id, dataset in config.datasets.items()
        if dataset.class_map is None
        and (dataset.role != "train" or id in tuned)
        and dataset.role != "clean"
    ]


def unlike_classes(config: Config) -> list[str]:
    """Return the datasets whose classes are not those of the clean dataset: one line each.

    Only folders, zip archives, plain tar archives and class indices are read, which needs no job.
    """
    clean = config.clean_dataset
    expected = _named_classes(config, clean)
    if expected is None:
        return []
    reasons = {
        id: unlike(found, expected, f"datasets.{clean.id}")
        for id in compared_datasets(config)
        if (found := _named_classes(config, config.datasets[id])) is not None
    }
    return [f"datasets.{id}.source: {reason}" for id, reason in reasons.items() if reason]


def _named_classes(config: Config, dataset: Dataset) -> Classes | None:
    """Return the classes of a source, if their names can be read without a job."""
    source = resolved_source(config, dataset)
    is_by_folder = are_folders(source.get("layout", ""))
    index = source.get("class_index")
    if index is not None:
        try:
            return Classes("index", is_by_folder, class_index(dataset.id, index))
        except ConfigError:  # a missing file, or no file: `numbers`
            return None
    folders = _class_folders(config, dataset)
    return Classes.in_order(folders, is_by_folder) if folders else None


def _class_folders(config: Config, dataset: Dataset) -> set[str]:
    """Return the names of class folders, if nothing else defines the classes."""
    source = resolved_source(config, dataset)
    if source.get("layout") != "class_folders" or "class_index" in source:
        return set()
    folder = Path(source["path"])
    if folder.is_dir():
        return {trimmed(name) for name in class_folders(folder)}
    manifests = map(Paths(config.results).manifest, stores_of_dataset(config, dataset.id))
    if not folder.is_file() or all(Path(manifest).exists() for manifest in manifests):
        return set()  # a pattern, missing, or already compared
    return _folders_in_archive(folder)


def _folders_in_archive(path: Path) -> set[str]:
    """Return the class folders in an archive, if they can be listed in seconds."""
    try:
        from perturb.datasets.real.files.archive_formats import kind_of
        from perturb.datasets.real.sources.folders import class_names
    except ImportError:  # in a bare Snakemake, whose jobs have the packages
        return set()
    try:
        return class_names(path) if kind_of(path) in ("zip", "plain") else set()
    except ValueError:
        return set()  # the job that decodes it reports the fault


def unlike_parts(config: Config) -> list[str]:
    """Return the stored corruptions whose files are not named alike: one line a dataset."""
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
