"""The `perturbations` and `analyses` sections: their severities, conditions and options."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from perturb.config.schema import schema
from perturb.experiments.registry import of_key
from perturb.messages import ConfigError
from perturb.records import Correlations, Patterns, PerturbationEntry
from perturb.severities import severity_id, severity_value

# Keys with a field of their own in the record; all others are options of the perturbation.
_COMMON = frozenset({"datasets", "images"})


def perturbation(
    key: str, entry: Mapping[str, Any], datasets: Mapping[str, Any]
) -> PerturbationEntry:
    """Return the entry of a perturbation with the schema's defaults filled in.

    Raises
    ------
    ConfigError
        if a severity is given twice under two spellings.
    """
    declared = of_key(key)
    properties = schema()["$defs"]["perturbations"]["properties"][key]["properties"]
    filled = {
        name: entry.get(name, value.get("default"))
        for name, value in properties.items()
        if name in entry or "default" in value
    }
    record = PerturbationEntry(
        id=declared.id,
        key=key,
        datasets=tuple(entry["datasets"]),
        severities=_severities(key, declared.severities, filled),
        conditions=declared.conditions,
        num_images=entry.get("images"),
        options={
            name: value
            for name, value in filled.items()
            if name not in _COMMON and name != declared.severities
        },
    )
    return record if declared.configured is None else declared.configured(record, entry, datasets)


def _severities(key: str, option: str | float, entry: Mapping[str, Any]) -> tuple[str, ...]:
    given = entry[option] if isinstance(option, str) else [option]
    by_id: dict[str, Any] = {}
    for value in given:
        first = by_id.setdefault(severity_id(value), value)
        if first is not value:
            raise ConfigError(f"perturbations.{key}.{option}: {first} and {value} are the same")
    return tuple(sorted(by_id, key=severity_value))


def patterns(
    entry: Mapping[str, Any] | None, models: Mapping[str, Any], pretraining: Mapping[str, Any]
) -> Patterns | None:
    """Return the entry of the perturbation patterns, with the schema's defaults filled in."""
    if entry is None:
        return None
    properties = schema()["properties"]["analyses"]["properties"]["perturbation_patterns"][
        "properties"
    ]
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
    """Return the entry of the layer correlations, with the schema's defaults filled in."""
    return None if entry is None else Correlations(entry["dataset"], entry["images"])
