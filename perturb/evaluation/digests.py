"""Digests of the configured inputs of a result: the part of an identity that needs no file."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# What says how conditions of a cell depend on one another; no number depends on it.
_HOW = ("are_conditions_independent", "repeated", "by_condition")


def asked_digest(asked: Mapping[str, Any]) -> str:
    """Return the digest of the configured inputs of a result, in hexadecimal."""
    return digest_of(ordered(asked))


def ordered(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked for, whatever the order in which the configuration lists conditions.

    Conditions that depend on one another keep their order.
    """
    conditions = asked.get("conditions", ())
    if not asked.get("are_conditions_independent", True):
        return {**asked, "conditions": list(conditions)}
    return {**asked, "conditions": sorted(conditions)}


def of_condition(asked: Mapping[str, Any], condition: str) -> dict[str, Any]:
    """Return what one condition's numbers depend on, of what is asked for of a cell.

    The other conditions are no part of it unless the declaration says that they depend on one
    another. Neither is an option that is the number of samples of other conditions alone, nor the
    other conditions' values of an option with a value for each.
    """
    repeated: Mapping[str, str] = asked["repeated"]
    of_others = set(repeated.values()) - {repeated.get(condition)}
    independent = asked["are_conditions_independent"]
    options = {key: value for key, value in asked["options"].items() if key not in of_others}
    own = {key: options[key].get(condition) for key in asked["by_condition"] if key in options}
    return {
        **{key: value for key, value in asked.items() if key not in _HOW},
        "options": options | own,
        "conditions": [condition] if independent else list(asked["conditions"]),
        "condition": condition,
    }


def digest_of(facts: Any) -> str:
    """Return the digest of JSON-compatible facts, in hexadecimal."""
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
