"""The `perturbations` and `analyses` sections: their severities, conditions and options."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from perturb.config.records import Correlations, Patterns, Perturbation
from perturb.config.schema import ConfigError, schema
from perturb.perturbations.names import CONDITIONS, CORRUPTIONS, JPEG_QUALITY, JPEG_SUFFIX
from perturb.severities import severity_id

# Keys that are no option of the perturbation itself: records have fields of their own for them.
_SEVERITIES = ("severities", "epsilons", "scales", "removed", "distances", "blocks", "shares")
_COMMON = frozenset({"datasets", "images", "corruptions", "jpeg", "denominators", *_SEVERITIES})
# The severity of perturbations that have one strength alone.
_ONLY_SEVERITY = {"none": 0, "heads": 1}


def perturbation(id: str, entry: Mapping[str, Any], datasets: Mapping[str, Any]) -> Perturbation:
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
    record = Perturbation(
        id=id,
        datasets=tuple(entry["datasets"]),
        severities=_severities(id, filled),
        conditions=CONDITIONS[id],
        num_images=entry.get("images"),
        options=options,
        denominators=filled.get("denominators", "reference"),
    )
    return _corruptions(record, entry, datasets) if id == "corruptions" else record


def _corruptions(
    record: Perturbation, entry: Mapping[str, Any], datasets: Mapping[str, Any]
) -> Perturbation:
    asked = entry.get("corruptions", CORRUPTIONS)
    is_generated = all(
        {"generate", "filter"} & datasets[dataset].keys() for dataset in record.datasets
    )
    with_jpeg = entry.get("jpeg", not is_generated)
    return Perturbation(
        **vars(record)
        | {
            "id": f"corruptions{JPEG_SUFFIX}" if with_jpeg else "corruptions",
            # In the benchmark's order, so that the order in the file changes no shard.
            "conditions": tuple(name for name in CORRUPTIONS if name in asked),
            "options": {"jpeg_quality": JPEG_QUALITY} if with_jpeg else {},
        }
    )


def _severities(id: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    key = next((key for key in _SEVERITIES if key in entry), None)
    given = entry[key] if key else [_ONLY_SEVERITY[id]]
    by_value: dict[Fraction, Any] = {}
    for value in given:
        first = by_value.setdefault(Fraction(str(value)), value)
        if first is not value:
            raise ConfigError(f"perturbations.{id}.{key}: {first} and {value} are the same")
    return tuple(severity_id(by_value[value]) for value in sorted(by_value))


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
