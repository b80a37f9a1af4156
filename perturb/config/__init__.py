"""The configuration of a study, checked and converted to plain records.

The JSON schema checks the keys, the types and the closed lists of values; Python code then checks
the references between entries (a model's architecture, a filter's model). Every message names the
key, the value and the allowed values, before any job starts. Nothing here imports torch: Snakemake
parses the Snakefile in every job.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from perturb.config.checks import check_references, check_study
from perturb.config.models import architecture, model
from perturb.config.numbers import with_numbers
from perturb.config.paths import check_paths, with_paths, with_places
from perturb.config.perturbations import correlations, patterns, perturbation
from perturb.config.schema import check_schema, default
from perturb.datasets.real.bundled_sets import BUNDLED_IMAGES
from perturb.experiments.registry import experiments
from perturb.messages import ConfigError, each, refuse
from perturb.models.resizing import AS_IS, Resizing
from perturb.records import Config, Dataset, Pretraining
from perturb.severities import severity_id

__all__ = ["Config", "ConfigError", "load_config"]

_Record = TypeVar("_Record")

_SCALARS = (
    *("title", "seed", "results", "device", "data", "decoding", "compile"),
    *("batch_size", "jobs_by"),
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
        with a line for each mistake, naming the key, the value and what is allowed. What is wrong
        in the form of the configuration hides what is wrong between its entries.
    """
    raw = with_numbers(raw)
    check_schema(raw)
    refuse(each(check_references(raw), check_paths(raw)))
    raw = with_paths(raw)
    config = _study(with_places(raw, raw.get("data", default("data"))))
    mistakes = list(check_study(config))
    refuse(each(mistakes, _asked(beside, config) if mistakes else ()))
    for experiment in experiments().values():
        config = experiment.adapted(config) if experiment.adapted else config
    return config


def _asked(check: Callable[[Config], Iterable[str]], config: Config) -> Iterator[str]:
    yield from check(config)


def _study(raw: Mapping[str, Any]) -> Config:
    """Return the study, or raise a ConfigError with the mistakes of each entry."""
    mistakes: list[str] = []
    scalars = {key: raw.get(key, default(key)) for key in _SCALARS}
    sets = raw["datasets"]
    datasets = _made(sets, _dataset, mistakes)
    ranks = {id: rank for rank, id in enumerate(raw["pretraining"])}
    pretraining = {
        id: _pretraining(id, entry, ranks[id], sets) for id, entry in raw["pretraining"].items()
    }
    architectures = _made(raw["architectures"], architecture, mistakes)
    models = _made(
        {id: one for id, one in raw["models"].items() if one["architecture"] in architectures},
        lambda id, entry: model(id, entry, raw.get("training"), architectures, pretraining),
        mistakes,
    )
    asked = raw["perturbations"]
    perturbations = _made(asked, lambda id, entry: perturbation(id, entry, sets), mistakes)
    refuse(mistakes)
    absent = [id for id, entry in raw["models"].items() if entry["weights"] == "absent"]
    analyses = raw.get("analyses", {})
    return Config(
        **scalars,
        precision=_precision(raw.get("precision", default("precision")), scalars["device"]),
        epsilon=severity_id(raw.get("epsilon", default("epsilon"))),
        datasets=datasets,
        pretraining=pretraining,
        architectures=architectures,
        models={id: record for id, record in models.items() if id not in absent},
        absent={id: models[id] for id in absent},
        perturbations={record.id: record for record in perturbations.values()},
        patterns=patterns(
            analyses.get("perturbation_patterns"),
            {id: entry for id, entry in raw["models"].items() if id not in absent},
            pretraining,
        ),
        correlations=correlations(analyses.get("layer_correlations")),
    )


def _made(
    entries: Mapping[str, Any], make: Callable[[str, Any], _Record], mistakes: list[str]
) -> dict[str, _Record]:
    """Return the record of each entry; add mistakes to the list."""
    records = {}
    for id, entry in entries.items():
        try:
            records[id] = make(id, entry)
        except ConfigError as error:
            mistakes.append(str(error))
    return records


def _precision(asked: str, device: str) -> str:
    if asked != "auto":
        return asked
    return "bfloat16" if device == "cuda" else "float32"


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
