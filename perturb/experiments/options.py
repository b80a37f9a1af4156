"""Options of perturbations and their defaults, from the `options.json` of the experiments."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from perturb.experiments.registry import FOLDER, experiment_of, perturbation

# Keys of an entry that are no options of its perturbation.
_COMMON = ("datasets", "images")


@cache
def options_of(id: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the JSON schema of each option of a perturbation other than its severities."""
    path = FOLDER / experiment_of(id) / "options.json"
    declared = perturbation(id)
    entries = json.loads(path.read_text(encoding="utf-8"))["perturbations"]
    properties: dict[str, Any] = entries[declared.key or id]["properties"]
    others = (*_COMMON, declared.severities)
    return {name: schema for name, schema in properties.items() if name not in others}


def default_of(id: str, option: str) -> Any:
    """Return the default of an option."""
    return options_of(id)[option]["default"]


def with_defaults(id: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with the default of each that is not given."""
    known = options_of(id).items()
    return {name: schema["default"] for name, schema in known if "default" in schema} | dict(
        options
    )
