"""Messages on files that do not hold the weights of a network, with the nearest tensor names."""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from perturb.models.torch_files import StandIn, printable, whole_model_remedy

# Usual keys of a state dict beside other objects.
USUAL = {
    *("state_dict", "model", "model_state_dict", "model_state", "module", "net", "network"),
    *("weights", "params", "model_weights"),
}
_NUM_LISTED = 5


def misfit(missing: Collection[str], surplus: Collection[str]) -> str:
    """Return a text on missing and unexpected names, each with its nearest counterpart."""
    parts = []
    for problem, names, others in (
        ("missing", missing, surplus),
        ("unexpected", surplus, missing),
    ):
        if names:
            listed = ", ".join(_with_nearest(name, others) for name in sorted(names)[:_NUM_LISTED])
            parts.append(f"{problem} tensors {listed} ({len(names)} in all)")
    return "; ".join(parts)


def _with_nearest(name: str, others: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(others), n=1)
    return printable(name) + (f" (nearest: {printable(near[0])})" if near else "")


def why_none(
    content: object,
    mappings: Mapping[tuple[str, ...], Mapping[Any, Any]],
    expected: Collection[str],
    path: str,
) -> str:
    """Return the reason why no mapping in a file holds the network's weights."""
    counts = _num_found(mappings, expected)
    models = list(_whole_models(content))
    if models and not counts:
        descriptions = ", ".join(description for _, description in models)
        return (
            f"holds more than tensors, and no code in it is run: {descriptions}; "
            f"{whole_model_remedy(path, models[0][0])}"
        )
    if not mappings:
        names = list(content) if isinstance(content, Mapping) else []
        return not_tensors(names, type(content).__name__)
    largest = max(mappings, key=lambda keys: len(mappings[keys]))
    keys, prefix = max(counts, key=counts.__getitem__, default=(largest, ""))
    others = [name for name in mappings[keys] if not isinstance(name, str)]
    if others:
        return not_tensors(others)
    found = {
        name.removeprefix(prefix)
        for name, value in mappings[keys].items()
        if isinstance(value, Tensor)
    }
    where = f"entry {'.'.join(keys)!r}: " if keys else ""
    where += f"behind the prefix {prefix!r}: " if prefix else ""
    return where + misfit(set(expected) - found, found - set(expected))


def _num_found(
    mappings: Mapping[tuple[str, ...], Mapping[Any, Any]], expected: Collection[str]
) -> Mapping[tuple[tuple[str, ...], str], int]:
    """Return the number of the network's names in each mapping, behind each prefix."""
    names = set(expected)
    return Counter(
        (keys, prefix)
        for keys, content in mappings.items()
        for name in content
        for prefix in _splits(name)
        if name[len(prefix) :] in names
    )


def _splits(name: object) -> list[str]:
    """Return the possible prefixes of a name: the empty one, and those that end with a dot."""
    dots = [match.end() for match in re.finditer(r"\.", name)] if isinstance(name, str) else None
    return [] if dots is None else [str(name)[:end] for end in (0, *dots)]


def _whole_models(content: object, key: str | None = None) -> Iterator[tuple[str | None, str]]:
    """Yield objects in place of a state dict, the file or its entries: key and description."""
    if isinstance(content, StandIn):
        where = "it" if key is None else repr(key)
        yield key, f"{where} is {'a whole model, ' if content.is_module else ''}{content.origin}"
    elif isinstance(content, Mapping):
        for name, value in content.items():
            if isinstance(value, StandIn) and value.is_module:
                yield from _whole_models(value, name)


def not_tensors(names: Sequence[object], kind: str = "") -> str:
    found = ", ".join(map(repr, names[:_NUM_LISTED])) if names else f"a {kind}"
    return (
        f"not a state dict, it holds {found}; allowed: tensors by name, alone or as an entry "
        f"such as {', '.join(sorted(USUAL))}"
    )
