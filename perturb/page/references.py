"""The publications behind a study: its paper, datasets, models, perturbations and methods.

`resources/references.bib` has the entries. Experiments declare the keys of theirs; those of
published datasets and of networks are here. A network without an entry is named.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from perturb.experiments import registry
from perturb.places import resource
from perturb.records import Architecture, Config, Dataset

_PAPER = "bhojanapalli2021understanding"
# Of every study: the networks' library, the computation, the workflow.
SOFTWARE = ("wightman2019pytorch", "paszke2019pytorch", "molder2021sustainable")
# By the name of a published dataset, and of one that comes with a library.
DATASETS = {
    "imagenet": "russakovsky2015imagenet",
    "imagenet-r": "hendrycks2021many",
    "imagenet-a": "hendrycks2021natural",
    "imagenet-c": "hendrycks2019benchmarking",
    "imagenetv2-matched-frequency": "recht2019imagenet",
    "imagenet-real": "beyer2020imagenet",
    "sketch": "wang2019learning",
    "cue-conflict": "geirhos2019imagenet",
    "digits": "alpaydin1998optical",
}
# By the beginning of timm's name of a network; the longest that fits counts.
NETWORKS = {
    "vit_": ("dosovitskiy2021image",),
    "deit_": ("touvron2021training",),
    "resnet": ("he2016deep",),
    "resnext": ("xie2017aggregated",),
    "resnetv2_": ("he2016identity", "kolesnikov2020big"),
    "swin_": ("liu2021swin",),
    "convnext_": ("liu2022convnet",),
    "mixer_": ("tolstikhin2021mixer",),
}
# A part of the name of weights or networks with a publication of its own.
TRAINED_AS = {"clip": "radford2021learning"}
# Of networks that a study describes by their parts.
FAMILIES = {"vit": "vit_", "resnet": "resnetv2_"}


@dataclass(frozen=True)
class References:
    """BibTeX entries of a study, and the networks without one.

    without_entry : ids of networks.
    """

    bibtex: str
    without_entry: tuple[str, ...]


def references_of(study: Config, found: Mapping[str, pa.Table]) -> References:
    """Return the publications that a study uses.

    Parameters
    ----------
    found : the study's tables; an experiment without a row in any of its own is not cited.
    """
    known = entries()
    networks = {model.architecture.id: model for model in study.models.values()}
    keys = [
        _PAPER,
        *(DATASETS[name] for name in _named_datasets(study) if name in DATASETS),
        *(key for item in networks.values() for key in _of_network(item.architecture)),
        *_of_weights(study),
        *_of_experiments(study, found),
        *SOFTWARE,
    ]
    unknown = [
        item.architecture.id for item in networks.values() if not _of_network(item.architecture)
    ]
    return References("\n\n".join(known[key] for key in dict.fromkeys(keys)), tuple(unknown))


def entries() -> dict[str, str]:
    """Return the BibTeX entries by key."""
    text = resource("references.bib").read_text(encoding="utf-8")
    return {match[1]: match[0] for match in re.finditer(r"(?ms)^@\w+\{([^,]+),.*?^\}", text)}


def _named_datasets(study: Config) -> Iterator[str]:
    for dataset in study.datasets.values():
        yield from filter(None, [dataset.published, _bundled(dataset)])


def _bundled(dataset: Dataset) -> str | None:
    return dataset.bundled["set"] if dataset.bundled else None


def _of_network(architecture: Architecture) -> tuple[str, ...]:
    name = architecture.timm or FAMILIES.get(architecture.family, "")
    fitting = [start for start in NETWORKS if name.startswith(start)]
    return NETWORKS[max(fitting, key=len)] if fitting else ()


def _of_weights(study: Config) -> Iterator[str]:
    for model in study.models.values():
        name = model.timm_tag or model.architecture.timm or ""
        yield from (key for part, key in TRAINED_AS.items() if part in name)


def _of_experiments(study: Config, found: Mapping[str, pa.Table]) -> Iterator[str]:
    measured = {
        "perturbation_patterns": study.patterns is not None,
        "layer_correlations": study.correlations is not None,
    }
    for experiment in registry.experiments().values():
        for item in experiment.perturbations:
            entry = study.perturbations.get(item.id)
            if entry is not None:
                yield from item.references
                used = item.condition_references.items()
                yield from (key for condition, key in used if condition in entry.conditions)
        for measurement in experiment.measurements:
            if measured.get(measurement.id, False):
                yield from measurement.references
        if any(
            has_numbers(found[table.name]) for table in experiment.tables if table.name in found
        ):
            yield from experiment.references


def has_numbers(table: pa.Table) -> bool:
    """Return whether a table has a row that is measured on images."""
    if "num_images" not in table.column_names:
        return bool(table.num_rows)
    return bool(table["num_images"].null_count < table.num_rows)
