"""The configuration of a study, checked and converted to plain records.

The JSON schema checks the keys, the types and the closed lists of values; Python code then checks
the references between entries (a model's architecture, a filter's model). Every message names the
key, the value and the allowed values, before any job starts. Nothing here imports torch: Snakemake
parses the Snakefile in every job.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from perturb.config.architecture_checks import check_architectures
from perturb.config.checks import check_references, check_study, references
from perturb.config.draft import Draft
from perturb.config.models import architecture, model
from perturb.config.numbers import with_numbers
from perturb.config.paths import place_of, with_paths
from perturb.config.perturbations import correlations, patterns, perturbation
from perturb.config.runs import check_seeds, with_runs
from perturb.config.schema import default
from perturb.config.walk import Key
from perturb.datasets.real.bundled_sets import BUNDLED_IMAGES
from perturb.datasets.real.files.file_names import class_folders
from perturb.experiments.registry import experiments
from perturb.messages import ConfigError, each, refuse
from perturb.models.resizing import AS_IS, Resizing
from perturb.records import Config, Dataset, Pretraining
from perturb.severities import severity_id

__all__ = ["Config", "ConfigError", "load_config"]

_Records = dict[str, dict[str, Any]]

_SCALARS = (
    *("title", "seed", "results", "device", "data", "decoding", "compile"),
    *("batch_size", "jobs_by", "models_per_job"),
)


def load_config(
    raw: Mapping[str, Any], beside: Callable[[Config], Iterable[str]] = lambda _: ()
) -> Config:
    """Return the study that a parsed configuration file describes.

    Parameters
    ----------
    raw : the configuration.
    beside : further messages about a refused study, such as its missing files.

    Raises
    ------
    ConfigError
        with a line for each mistake, naming the key, the value and what is allowed. Where an entry
        has a mistake, the others are checked as far as that is possible without it.
    """
    draft = Draft(raw)
    draft.correct_names()
    draft.raw = with_numbers(draft.raw)
    draft.remove_malformed()
    draft.write_out()
    draft.add(check_references(draft.raw, draft.ids))
    draft.add(check_seeds(draft.raw, draft.ids.get("models", ())))
    draft.remove_dangling(references)
    _place_files(draft)
    if "data" not in draft.unread:  # else no file can be found
        config = _with_counted_classes(_study(draft))
        draft.add(each(check_study(config)))
        if draft.mistakes:
            draft.add(each(_asked(beside, config)))
    refuse(draft.mistakes)
    config = replace(config, models=with_runs(config.models, draft.raw))
    for experiment in experiments().values():
        config = experiment.adapted(config) if experiment.adapted else config
    return config


def _place_files(draft: Draft) -> None:
    """Replace all paths by the actual ones, and remove the entries whose paths have none."""
    faulty: list[tuple[Key, ConfigError]] = []
    draft.raw = with_paths(draft.raw, lambda key, error: faulty.append((key, error)))
    draft.refuse(faulty)
    draft.remove_dangling(references)


def _with_counted_classes(config: Config) -> Config:
    """Return the study with the number of classes of the clean set, if its folders are there."""
    for clean in config.datasets.values():
        source = clean.source or {}
        is_counted = clean.role == "clean" and clean.num_classes is None and "path" in source
        if not is_counted or source["layout"] != "class_folders" or "class_index" in source:
            continue
        folder = place_of(config.data, source["path"])
        if "download" not in source and folder.is_dir():
            counted = replace(clean, num_classes=len(class_folders(folder)) or None)
            return replace(config, datasets={**config.datasets, clean.id: counted})
    return config


def _asked(check: Callable[[Config], Iterable[str]], config: Config) -> Iterator[str]:
    yield from check(config)


def _study(draft: Draft) -> Config:
    """Return the study of the entries without a mistake of their own."""
    while True:
        records, faulty = _records(draft.raw)
        if not faulty:
            config = _joined(draft, records)
            faulty = [
                (("architectures", id), ConfigError(message))
                for id, message in check_architectures(config)
            ]
        if not faulty:
            return config
        draft.refuse(faulty)
        draft.remove_dangling(references)


def _records(raw: Mapping[str, Any]) -> tuple[_Records, list[tuple[Key, ConfigError]]]:
    """Return the records of each section by id, and the mistakes of entries that have none."""
    faulty: list[tuple[Key, ConfigError]] = []

    def made(section: str, make: Callable[[str, Any], Any], known: Iterable[str]) -> dict[str, Any]:
        records = {}
        for id in known:
            try:
                records[id] = make(id, raw[section][id])
            except ConfigError as error:
                faulty.append(((section, id), error))
        return records

    sets, training, models = raw["datasets"], raw.get("training"), raw["models"]
    ranks = {id: rank for rank, id in enumerate(raw["pretraining"])}
    records = {
        "datasets": made("datasets", _dataset, sets),
        "pretraining": {
            id: _pretraining(id, entry, ranks[id], sets) for id, entry in raw["pretraining"].items()
        },
        "architectures": made("architectures", architecture, raw["architectures"]),
        "perturbations": made(
            "perturbations", lambda id, one: perturbation(id, one, sets), raw["perturbations"]
        ),
    }
    networks, pretraining = records["architectures"], records["pretraining"]
    records["models"] = made(
        "models",
        lambda id, entry: model(id, entry, training, networks, pretraining),
        [id for id, entry in models.items() if entry["architecture"] in networks],
    )
    return records, faulty


def _joined(draft: Draft, records: _Records) -> Config:
    """Return the study of records."""
    raw, models = draft.raw, records["models"]
    scalars = {key: raw.get(key, default(key)) for key in _SCALARS}
    absent = [id for id, entry in raw["models"].items() if entry["weights"] == "absent"]
    analyses = raw.get("analyses", {})
    return Config(
        **scalars,
        precision=_precision(raw.get("precision", default("precision")), scalars["device"]),
        epsilon=severity_id(raw.get("epsilon", default("epsilon"))),
        datasets=records["datasets"],
        pretraining=records["pretraining"],
        architectures=records["architectures"],
        models={id: record for id, record in models.items() if id not in absent},
        absent={id: models[id] for id in absent},
        perturbations={record.id: record for record in records["perturbations"].values()},
        patterns=patterns(
            analyses.get("perturbation_patterns"),
            {id: entry for id, entry in raw["models"].items() if id not in absent},
            raw["pretraining"],
        ),
        correlations=correlations(analyses.get("layer_correlations")),
        unread=frozenset(draft.unread),
    )


def _precision(asked: str, device: str) -> str:
    """Return the precision, `auto` only where it depends on the network."""
    return "float32" if asked == "auto" and device != "cuda" else asked


def _dataset(id: str, entry: Mapping[str, Any]) -> Dataset:
    preprocessing = entry.get("preprocessing")
    return Dataset(
        id=id,
        label=entry.get("label", id),
        role=entry.get("role", "extra"),
        num_images=_num_images(entry),
        num_classes=entry.get("classes"),
        generate=entry.get("generate"),
        filter=entry.get("filter"),
        bundled=entry.get("bundled"),
        source=entry.get("source"),
        view=(
            _view(f"datasets.{id}.preprocessing", preprocessing)
            if preprocessing is not None
            else None
        ),
        class_map=entry.get("class_map"),
        published=entry.get("published"),
        is_streamed=entry.get("stream", False),
        decisions=tuple(entry.get("decisions", ())),
    )


def _view(key: str, preprocessing: str | Mapping[str, Any]) -> Resizing:
    if isinstance(preprocessing, str):
        return AS_IS
    mode = preprocessing.get("mode", Resizing.mode)
    if mode == "squash" and "crop" in preprocessing:
        raise ConfigError(f"{key}.crop: not allowed with `mode: squash`, which crops nothing")
    crop = float(preprocessing.get("crop", Resizing.crop if mode == "crop" else 1))
    interpolation = preprocessing.get("interpolation", Resizing.interpolation)
    return Resizing(preprocessing["side"], mode, crop, interpolation)


def _pretraining(
    id: str, entry: Mapping[str, Any], rank: int, datasets: Mapping[str, Any]
) -> Pretraining:
    dataset = entry.get("dataset")
    return Pretraining(
        id=id,
        label=entry.get("label", id),
        rank=rank,
        num_images=_num_images(datasets[dataset]) if dataset else entry.get("images"),
        dataset=dataset,
        num_samples=entry.get("samples"),
        paper=entry.get("paper"),
    )


def _num_images(dataset: Mapping[str, Any]) -> int | None:
    """Return the size of a dataset, None if the configuration does not define it."""
    if "bundled" in dataset:
        return BUNDLED_IMAGES[dataset["bundled"]["set"]][dataset["bundled"]["split"]]
    return dataset.get("images")
