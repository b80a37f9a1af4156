"""What a study consists of: the configuration, checked and turned into plain records.

Two kinds of mistake are told apart only by where they are found. The JSON schema knows the keys,
the types and the closed lists of values; the references between entries (a model's architecture,
a filter's model) are checked after it. Either way the message names the key, the value and what
is allowed, and it comes before any job starts. Nothing here imports torch: Snakemake parses the
Snakefile in every job.
"""

from collections.abc import Mapping
from typing import Any

from perturb.config.checks import check_references, check_study
from perturb.config.perturbations import correlations, patterns, perturbation
from perturb.config.records import (
    Architecture,
    Config,
    Dataset,
    Model,
    Pretraining,
    Training,
    WeightsFile,
)
from perturb.config.schema import ConfigError, check_schema, default
from perturb.severities import severity_id

__all__ = ["Config", "ConfigError", "load_config"]

_SCALARS = ("title", "seed", "results", "device", "batch_size", "cells_per_job")


def load_config(raw: Mapping[str, Any]) -> Config:
    """Return the study that a parsed configuration file describes.

    Raises
    ------
    ConfigError
        for the first mistake found, naming the key, the value and what is allowed.
    """
    check_schema(raw)
    check_references(raw)
    scalars = {key: raw.get(key, default(key)) for key in _SCALARS}
    pretraining = {
        id: _pretraining(id, entry, rank, raw["datasets"])
        for rank, (id, entry) in enumerate(raw["pretraining"].items())
    }
    architectures = {id: _architecture(id, entry) for id, entry in raw["architectures"].items()}
    records = [
        perturbation(id, entry, raw["datasets"]) for id, entry in raw["perturbations"].items()
    ]
    analyses = raw.get("analyses", {})
    config = Config(
        **scalars,
        epsilon=severity_id(raw.get("epsilon", default("epsilon"))),
        datasets={id: _dataset(id, entry) for id, entry in raw["datasets"].items()},
        pretraining=pretraining,
        architectures=architectures,
        models={
            id: _model(id, entry, raw.get("training"), architectures, pretraining)
            for id, entry in raw["models"].items()
        },
        perturbations={record.id: record for record in records},
        patterns=patterns(analyses.get("patterns"), raw["models"], pretraining),
        correlations=correlations(analyses.get("correlations")),
    )
    check_study(config)
    return config


def _dataset(id: str, entry: Mapping[str, Any]) -> Dataset:
    return Dataset(
        id=id,
        label=entry.get("label", id),
        role=entry.get("role", "other"),
        num_images=entry.get("images"),
        generate=entry.get("generate"),
        filter=entry.get("filter"),
        class_map=entry.get("class_map"),
    )


def _pretraining(
    id: str, entry: Mapping[str, Any], rank: int, datasets: Mapping[str, Any]
) -> Pretraining:
    dataset = entry.get("dataset")
    return Pretraining(
        id=id,
        label=entry.get("label", id),
        rank=rank,
        num_images=datasets[dataset].get("images") if dataset else entry.get("images"),
        dataset=dataset,
        num_samples=entry.get("samples"),
    )


def _architecture(id: str, entry: Mapping[str, Any]) -> Architecture:
    patch_size = entry.get("patch_size")
    name = {"vit": "ViT", "resnet": "ResNet"}[entry["family"]]
    suffix = f"/{patch_size}" if patch_size else ""
    return Architecture(
        id=id,
        family=entry["family"],
        size=entry["size"],
        patch_size=patch_size,
        label=entry.get("label", f"{name}-{entry['size']}{suffix}"),
        arguments=entry["arguments"] | ({"patch_size": patch_size} if patch_size else {}),
    )


def _model(
    id: str,
    entry: Mapping[str, Any],
    default_training: Mapping[str, Any] | None,
    architectures: Mapping[str, Architecture],
    pretraining: Mapping[str, Pretraining],
) -> Model:
    weights = entry["weights"]
    training = entry.get("training", default_training)
    return Model(
        id=id,
        architecture=architectures[entry["architecture"]],
        pretraining=pretraining[entry["pretraining"]] if "pretraining" in entry else None,
        is_reference=entry.get("role") == "reference",
        training=(
            Training(training["dataset"], training["validation"], training["samples"])
            if weights == "trained" and training is not None
            else None
        ),
        weights=None if weights == "trained" else WeightsFile(weights["file"], weights["sha256"]),
    )
