"""Traversal of a configuration, with the schema of each value."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from perturb.config.schema import schema

Forms = Sequence[Mapping[str, Any]]
"""What the schema allows at one place: one form, or several of which one is to fit."""

Key = tuple[str | int, ...]
"""The names and positions from the top of the configuration to a value."""


def named(key: Key) -> str:
    """Return a key as messages name it: `models.a.preprocessing.side`."""
    return ".".join(map(str, key))


def rewritten(raw: Mapping[str, Any], rewrite: Callable[[Key, Any, Forms], Any]) -> dict[str, Any]:
    """Return a configuration with a function applied to every value.

    Parameters
    ----------
    rewrite : takes the key, the value, which is neither a list nor an object, and its forms;
        returns the new value. Values at unknown keys are left alone.
    """
    changed: dict[str, Any] = _rewritten((), raw, _forms(schema()), rewrite)
    return changed


def _rewritten(
    key: Key, value: Any, forms: Forms, rewrite: Callable[[Key, Any, Forms], Any]
) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _rewritten((*key, name), child, _of_key(forms, name), rewrite)
            for name, child in value.items()
        }
    if isinstance(value, list):
        items = [one for form in forms if "items" in form for one in _forms(form["items"])]
        return [
            _rewritten((*key, place), child, items, rewrite) for place, child in enumerate(value)
        ]
    return rewrite(key, value, forms) if forms else value


def _of_key(forms: Forms, name: str) -> Forms:
    found: list[Mapping[str, Any]] = []
    for form in forms:
        node = form.get("properties", {}).get(name, form.get("additionalProperties"))
        if isinstance(node, Mapping):
            found += _forms(node)
    return found


def _forms(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the forms that a node of the schema allows, references followed."""
    return list(_unfolded(node))


def _unfolded(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in node:
        yield from _unfolded(schema()["$defs"][node["$ref"].rpartition("/")[2]])
    elif "oneOf" in node:
        for form in node["oneOf"]:
            yield from _unfolded(form)
    else:
        yield node
