"""The `perturbations` and `analyses` sections: their severities, conditions and options."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from perturb.config.schema import ConfigError, schema
from perturb.config.source_checks import class_index
from perturb.experiments.names import (
    BENCHMARK_CORRUPTIONS,
    CONDITIONS,
    CORRUPTIONS,
    JPEG_QUALITY,
    JPEG_SUFFIX,
    STORED_CORRUPTIONS,
)
from perturb.records import Correlations, Patterns, PerturbationEntry
from perturb.severities import severity_id, severity_value

# Keys that are no option of the perturbation itself: records have fields of their own for them.
_SEVERITIES = ("severities", "epsilons", "scales", "removed", "distances", "blocks", "shares")
_COMMON = frozenset({"datasets", "images", "corruptions", "jpeg", "denominators", *_SEVERITIES})
# The severity of perturbations that have one strength alone.
_ONLY_SEVERITY = {"none": 0, "class_subset": 0, "heads": 1}


def perturbation(
    id: str, entry: Mapping[str, Any], datasets: Mapping[str, Any]
) -> PerturbationEntry:
    """Return a perturbation with the schema's defaults filled in.

    Raises
    ------
    ConfigError
        if a severity is given twice under two spellings.
    """
    properties = schema()["$defs"]["perturbations"]["properties"][id]["properties"]
    filled = {
        key: entry.get(key, value.get("default"))
        for key, value in properties.items()
        if key in entry or "default" in value
    }
    options = {key: value for key, value in filled.items() if key not in _COMMON}
    record = PerturbationEntry(
        id=id,
        datasets=tuple(entry["datasets"]),
        severities=_severities(id, filled),
        conditions=CONDITIONS.get(id, ()),
        num_images=entry.get("images"),
        options=options,
        denominators=filled.get("denominators", "reference"),
    )
    match id:
        case "corruptions":
            return _corruptions(record, entry, datasets)
        case "stored_corruptions":
            asked = entry.get("corruptions", BENCHMARK_CORRUPTIONS)
            conditions = tuple(name for name in CORRUPTIONS if name in asked)
            return replace(record, id=STORED_CORRUPTIONS, conditions=conditions)
        case "class_subset":
            return _class_subset(record, datasets)
    return record


def _corruptions(
    record: PerturbationEntry, entry: Mapping[str, Any], datasets: Mapping[str, Any]
) -> PerturbationEntry:
    asked = entry.get("corruptions", CORRUPTIONS)
    is_generated = all("source" not in datasets[dataset] for dataset in record.datasets)
    with_jpeg = entry.get("jpeg", not is_generated)
    return replace(
        record,
        id=f"corruptions{JPEG_SUFFIX}" if with_jpeg else "corruptions",
        # In the benchmark's order, so that the order in the file changes no shard.
        conditions=tuple(name for name in CORRUPTIONS if name in asked),
        options={"jpeg_quality": JPEG_QUALITY} if with_jpeg else {},
    )


def _class_subset(record: PerturbationEntry, datasets: Mapping[str, Any]) -> PerturbationEntry:
    """Return the decisions among the classes of some sets, on these sets and on the clean one."""
    clean = [id for id, dataset in datasets.items() if dataset.get("role") == "clean"]
    return replace(
        record,
        datasets=tuple(dict.fromkeys([*clean, *record.datasets])),
        conditions=record.datasets,
        options={"classes": {id: _classes_of(id, datasets[id]) for id in record.datasets}},
    )


def _classes_of(id: str, dataset: Mapping[str, Any]) -> list[int]:
    """Return the classes of a data set, as its class index lists them."""
    key = f"datasets.{id}.source.class_index"
    path = dataset.get("source", {}).get("class_index")
    if path is None or path == "numbers":
        raise ConfigError(
            f"{key}: {path!r}; perturbations.class_subset needs a JSON file that lists the classes"
        )
    return sorted(set(class_index(key, path).values()))


def _severities(id: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    key = next((key for key in _SEVERITIES if key in entry), None)
    given = entry[key] if key else [_ONLY_SEVERITY[id]]
    by_id: dict[str, Any] = {}
    for value in given:
        first = by_id.setdefault(severity_id(value), value)
        if first is not value:
            raise ConfigError(f"perturbations.{id}.{key}: {first} and {value} are the same")
    return tuple(sorted(by_id, key=severity_value))


def patterns(
    entry: Mapping[str, Any] | None, models: Mapping[str, Any], pretraining: Mapping[str, Any]
) -> Patterns | None:
    """Return what patterns are measured on, with the schema's defaults filled in."""
    if entry is None:
        return None
    properties = schema()["properties"]["analyses"]["properties"]["patterns"]["properties"]
    filled = {key: value["default"] for key, value in properties.items() if "default" in value}
    filled |= entry
    compared = {id: model for id, model in models.items() if model.get("role") != "reference"}
    used = {model.get("pretraining") for model in compared.values()}
    largest = next((id for id in reversed(list(pretraining)) if id in used), None)
    of_largest = [id for id, model in compared.items() if model.get("pretraining") == largest]
    return Patterns(
        dataset=filled["dataset"],
        num_images=filled["images"],
        num_shown=filled["shown"],
        shown_models=tuple(filled.get("models", of_largest)),
        options={
            "epsilon": float(Fraction(str(filled["epsilon"]))),
            "steps": filled["steps"],
        },
    )


def correlations(entry: Mapping[str, Any] | None) -> Correlations | None:
    """Return what the similarity of layers is measured on."""
    return None if entry is None else Correlations(entry["dataset"], entry["images"])
