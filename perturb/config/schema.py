"""The JSON schema, and its errors as sentences: key, value, allowed values."""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema

from perturb import places
from perturb.messages import did_you_mean, listed, nearest

Error = jsonschema.ValidationError
SCHEMA_PATH = places.WORKFLOW / "schemas" / "config.schema.json"


# Keys and values of earlier versions, and their current names.
_RENAMED = {
    "attention_distance": "restricted_attention",
    "cells_per_job": "jobs_by",
    "correlations": "layer_correlations",
    "ensemble": "attack_ensemble",
    "other": "extra",
    "patch_cls": "patch_attention",
    "patterns": "perturbation_patterns",
    "shares": "drop_rates",
    "tokens": "token_removal",
}


@cache
def schema() -> Any:
    """Return the parsed schema of the configuration."""
    return json.loads(SCHEMA_PATH.read_text())


def default(key: str) -> Any:
    """Return the schema's default of a top-level key."""
    return schema()["properties"][key]["default"]


@cache
def _validator() -> Any:
    """Return a validator that refuses nan and inf as numbers."""
    standard = jsonschema.Draft202012Validator

    def is_number(_: Any, value: Any) -> bool:
        if not standard.TYPE_CHECKER.is_type(value, "number"):
            return False
        return not isinstance(value, float) or math.isfinite(value)

    numbers = standard.TYPE_CHECKER.redefine("number", is_number)
    extend: Any = jsonschema.validators.extend  # which has no types
    return extend(standard, type_checker=numbers)


def form_errors(raw: Mapping[str, Any]) -> Iterator[Error]:
    """Yield the errors of the schema, in the order of their keys."""
    errors = _validator()(schema()).iter_errors(raw)
    yield from sorted(errors, key=lambda error: list(map(str, error.path)))


def explained(error: Error) -> str:
    """Return one line: the key, the value, and the allowed values."""
    key = ".".join(map(str, error.absolute_path)) or "the configuration"
    schema: Any = error.schema
    allowed: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "additionalProperties":
            return _explain_unknown_keys(key, error)
        case "required":
            missing = [name for name in allowed if name not in instance]
            known = schema["properties"]
            told = [
                f"`{name}` ({known[name].get('description', 'see schema')})" for name in missing
            ]
            return f"{key}: missing {', '.join(told)}"
        case "enum":
            hint = _renamed(instance, allowed) or did_you_mean(instance, allowed)
            return f"{key}: {instance!r} is not one of {listed(allowed)}.{hint}"
        case "oneOf" if isinstance(instance, Mapping) and (within := _nearest_form(error)):
            return "\n".join(dict.fromkeys(map(explained, within)))
        case "oneOf" | "pattern":
            return f"{key}: {instance!r} is not allowed. {schema.get('description', '')}"
        case "type":
            return f"{key}: {instance!r} is not of type {allowed}"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            # The description says the unit.
            return f"{key}: {error.message}. {schema.get('description', '')}".strip()
    return f"{key}: {error.message}"


def _nearest_form(error: Error) -> list[Error]:
    """Return the errors of keys and values relative to the nearest allowed form.

    The nearest form shares most keys with them, and has the fewest errors at a tie.
    Return nothing if no form takes keys and values, or several do and none shares a key.
    """
    instance: Any = error.instance
    forms: Any = error.validator_value
    errors: dict[int, list[Error]] = {}
    for one in error.context or ():
        errors.setdefault(int(one.schema_path[0]), []).append(one)
    # Shared keys and errors of a form: the nearest has most shared keys, then fewest errors.
    nearness = {
        at: (len(instance.keys() & forms[at].get("properties", {}).keys()), -len(found))
        for at, found in errors.items()
        if forms[at].get("type") == "object"
    }
    if not nearness:
        return []
    nearest = max(nearness, key=nearness.__getitem__)
    is_clear = len(nearness) == 1 or nearness[nearest][0] > 0
    return errors[nearest] if is_clear else []


def _explain_unknown_keys(key: str, error: Error) -> str:
    schema: Any = error.schema
    instance: Any = error.instance
    allowed = list(schema["properties"])
    unknown = [str(name) for name in instance if name not in allowed]
    return "\n".join(
        f"{key}: unknown key `{name}`; allowed: {listed(allowed)}."
        f"{_renamed(name, allowed) or did_you_mean(name, allowed)}"
        for name in unknown
    )


def _renamed(name: object, allowed: Collection[object]) -> str:
    """Return a sentence with the current name of an earlier key or value, or nothing."""
    now = _RENAMED.get(str(name))
    return f" It is called `{now}` now." if now in allowed else ""


def present_name(name: object, allowed: Collection[str]) -> str | None:
    """Return the allowed key that an unknown one stands for, None if that is not clear."""
    now = _RENAMED.get(str(name))
    return now if now in allowed else nearest(name, allowed)
