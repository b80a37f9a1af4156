"""The JSON schema, and its complaints in words: key, value, what is allowed."""

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA_PATH = Path(__file__).parents[2] / "schemas" / "config.schema.json"


class ConfigError(ValueError):
    """The configuration asks for something that does not exist."""


@cache
def schema() -> Any:
    """Return the parsed schema of the configuration."""
    return json.loads(SCHEMA_PATH.read_text())


def default(key: str) -> Any:
    """Return the schema's default of a top-level key."""
    return schema()["properties"][key]["default"]


def check_schema(raw: Mapping[str, Any]) -> None:
    """Raise a ConfigError with one line for each thing that the schema refuses."""
    validator = jsonschema.Draft202012Validator(schema())
    errors = sorted(validator.iter_errors(raw), key=lambda error: list(map(str, error.path)))
    if errors:
        raise ConfigError("\n".join(dict.fromkeys(map(_explain, errors))))


def _explain(error: jsonschema.ValidationError) -> str:
    """Return one line: the key, the value, and what is allowed."""
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
            hint = did_you_mean(str(instance), map(str, allowed))
            return f"{key}: {instance!r} is not one of {listed(allowed)}.{hint}"
        case "oneOf" | "pattern":
            return f"{key}: {instance!r} is not allowed. {schema.get('description', '')}"
        case "type":
            return f"{key}: {instance!r} is not of type {allowed}"
    return f"{key}: {error.message}"


def _explain_unknown_keys(key: str, error: jsonschema.ValidationError) -> str:
    schema: Any = error.schema
    instance: Any = error.instance
    allowed = list(schema["properties"])
    unknown = [str(name) for name in instance if name not in allowed]
    return "\n".join(
        f"{key}: unknown key `{name}`; allowed: {listed(allowed)}.{did_you_mean(name, allowed)}"
        for name in unknown
    )


def did_you_mean(value: str, allowed: Iterable[str]) -> str:
    """Return a sentence with the allowed word nearest to a misspelt one, or nothing."""
    near = difflib.get_close_matches(value, list(allowed), n=1)
    return f" Did you mean `{near[0]}`?" if near else ""


def listed(values: Iterable[Any]) -> str:
    """Return the values as a list in words."""
    return ", ".join(str(value) for value in values)
