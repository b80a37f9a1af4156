"""The `architectures` and `models` sections, with the entries of timm's table of models."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perturb.config.preprocessing import own_preprocessing
from perturb.messages import ConfigError, did_you_mean
from perturb.models.arguments import ARGUMENTS
from perturb.models.timm_table import (
    TimmModel,
    blocks_of,
    geometry,
    known_architectures,
    model_of,
    timm_models,
)
from perturb.models.weights_origins import (
    ClassVectorsFile,
    Factory,
    RandomWeights,
    TimmWeights,
    WeightsFile,
)
from perturb.records import Architecture, Makeup, Model, Pretraining, Training

# `Other` stands until timm's table defines the network.
_NAMES = {"vit": "ViT", "resnet": "ResNet", "other": "Other"}
_GEOMETRY = {
    "vit": (
        *("patch_size", "embed_dim", "depth", "num_heads"),
        *("num_prefix_tokens", "num_class_tokens"),
    ),
    "resnetv2": ("layers", "channels"),
    "other": (),
}


def architecture(id: str, entry: Mapping[str, Any]) -> Architecture:
    """Return an architecture; for one by timm's name, with its geometry."""
    key = f"architectures.{id}"
    if "arguments" in entry and "timm" in entry:
        raise ConfigError(f"{key}: `arguments` and `timm` exclude each other")
    known = _row_of(f"{key}.timm", entry["timm"]) if "timm" in entry else None
    if "arguments" in entry and entry["family"] not in ARGUMENTS:
        raise ConfigError(
            f"{key}.timm: missing; networks of `family: {entry['family']}` are given by their name "
            "in timm, not by `arguments`"
        )
    patch_size = entry.get("patch_size")
    suffix = f"/{patch_size}" if patch_size else ""
    record = Architecture(
        id=id,
        family=entry["family"],
        size=entry["size"],
        patch_size=patch_size,
        label=entry.get("label", f"{_NAMES[entry['family']]}-{entry['size']}{suffix}"),
        arguments=entry.get("arguments", {}) | ({"patch_size": patch_size} if patch_size else {}),
        timm=None,
    )
    return record if known is None else _with_geometry(record, known, key)


def _row_of(key: str, name: str) -> TimmModel:
    try:
        return geometry(name)
    except ValueError as error:
        hint = did_you_mean(name, known_architectures())
        raise ConfigError(f"{key}: {error}.{hint}") from None


def _with_geometry(record: Architecture, known: TimmModel, key: str) -> Architecture:
    """Return an architecture with timm's geometry, which must agree with the entry."""
    if known.family != record.family:
        raise ConfigError(
            f"{key}: {known.architecture!r} is no network of the family {record.family!r}, which "
            f"architectures.{record.id}.family says; timm builds it as {known.network}: "
            f"allowed: family: {known.family}"
        )
    if record.family == "vit" and record.patch_size != known.patch_size:
        raise ConfigError(
            f"{key}: patch_size is {record.patch_size}, but {known.architecture!r} has "
            f"{known.patch_size}"
        )
    values = {name: getattr(known, name) for name in _GEOMETRY[known.kind]}
    values |= blocks_of(known.architecture)
    arguments = {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }
    unnamed = f"{_NAMES['other']}-{record.size}"
    return replace(
        record,
        arguments=arguments,
        timm=known.architecture,
        label=f"{known.network}-{record.size}" if record.label == unnamed else record.label,
        makeup=Makeup(known.block, known.attention, known.embedding, known.pooling),
    )


def model(
    id: str,
    entry: Mapping[str, Any],
    default_training: Mapping[str, Any] | None,
    architectures: Mapping[str, Architecture],
    pretraining: Mapping[str, Pretraining],
) -> Model:
    """Return a model; one whose weights come from timm has the architecture of its tag."""
    weights = _weights(entry["weights"])
    training = entry.get("training", default_training)
    architecture = architectures[entry["architecture"]]
    tagged = _tagged(f"models.{id}.weights.timm", weights)
    if tagged is not None:
        architecture = _with_geometry(architecture, tagged, f"models.{id}")
    return Model(
        id=id,
        label=entry.get("label", architecture.label),
        architecture=architecture,
        pretraining=pretraining[entry["pretraining"]] if "pretraining" in entry else None,
        is_reference=entry.get("role") == "reference",
        training=(
            Training(training["dataset"], training["validation"], training["samples"])
            if entry["weights"] == "trained" and training is not None
            else None
        ),
        weights=weights,
        own_preprocessing=own_preprocessing(
            f"models.{id}.preprocessing", entry, architecture, tagged
        ),
        entry=id,
    )


def _weights(
    entry: str | Mapping[str, Any],
) -> WeightsFile | TimmWeights | RandomWeights | Factory | None:
    if isinstance(entry, str):
        return RandomWeights() if entry == "random" else None
    if "timm" in entry:
        return TimmWeights(entry["timm"])
    if "factory" in entry:
        return Factory(entry["factory"])
    vectors = entry.get("class_vectors")
    head = None if vectors is None else ClassVectorsFile(vectors["file"], vectors["sha256"].lower())
    return WeightsFile(entry["file"], entry["sha256"].lower(), entry.get("entry"), head)


def _tagged(key: str, weights: object) -> TimmModel | None:
    if not isinstance(weights, TimmWeights):
        return None
    try:
        return model_of(weights.tag)
    except ValueError as error:
        hint = did_you_mean(weights.tag, timm_models())
        raise ConfigError(f"{key}: {error}.{hint}") from None
