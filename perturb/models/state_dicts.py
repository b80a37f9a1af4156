"""Finds the weights of a network in the content of a file, by the network's own names.

Wrappers prefix all names (``module.``, ``_orig_mod.``, ``model.``, ``backbone.``, also nested), and
training scripts save the state dict beside other objects under arbitrary keys. Neither is guessed:
weights are a mapping with all of the network's names behind one prefix. If several mappings fit,
averaged weights are taken, as in timm, since such a run reports their accuracy; among others the
configuration decides (``entry``).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from perturb.models.classifier import Preprocessing
from perturb.models.normalisers import normalisers, unlike
from perturb.models.state_dict_errors import USUAL, misfit, not_tensors, why_none
from perturb.models.torch_files import StandIn

_AVERAGED = {"ema", "swa", "avg", "average", "averaged"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# Wrappers of torch.compile, sharding and recomputation, also of single blocks. ``module`` of
# parallel training may be a name of the network: it is removed only if nothing fits with it.
_INNER = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_INNER_PARALLEL = re.compile(r"(?<![^.])module\.")
# AveragedModel's number of averaged states.
_COUNTER = "n_averaged"
# Counter of batch norm, absent before torch 0.4.1. Evaluation does not use it.
_OPTIONAL = "num_batches_tracked"
_MAX_DEPTH = 3


@dataclass(frozen=True)
class FoundState:
    """The weights of a network in a file.

    tensors : tensors by the network's names.
    entry : keys and prefix that lead to them, joined by dots; empty for the whole file.
    notes : sentences on choices, ignored and missing tensors.
    """

    tensors: Mapping[str, Tensor]
    entry: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """A mapping in a file that holds all of the network's names behind a prefix."""

    keys: tuple[str, ...]
    prefix: str
    content: Mapping[Any, Any]

    @property
    def entry(self) -> str:
        return ".".join((*self.keys, *self.prefix.rstrip(".").split("."))).rstrip(".")

    @property
    def is_averaged(self) -> bool:
        return _is_averaged(self.entry) or _COUNTER in self.content

    @property
    def is_usual(self) -> bool:
        return all(key in USUAL for key in self.keys)


def find_state(
    content: object,
    expected: Collection[str],
    origin: str,
    entry: str | None = None,
    *,
    preprocessing: Preprocessing | None = None,
) -> FoundState:
    """Return the weights of a network in the content of a file.

    Parameters
    ----------
    content : content of the file.
    expected : names of the network's tensors.
    origin : start of error messages.
    entry : choice among several fitting places, as an error lists them.
    preprocessing : of the model; tensors of a normaliser that say the same are left out.

    Raises
    ------
    ValueError
        If no weights fit, several fit without being averages, tensors beside them are unknown, or
        those of a normaliser differ from the preprocessing.
    """
    mappings = {keys: _without(_INNER, value) for keys, value in _mappings(content)}
    places = _all_places(mappings, expected)
    if not places:
        bare = {keys: _without(_INNER_PARALLEL, value) for keys, value in mappings.items()}
        places = _all_places(bare, expected)
    if not places:
        raise ValueError(f"{origin}: {why_none(content, mappings, expected, origin)}")
    chosen = _choose(_asked(places, entry, origin), origin)
    if entry is None and not chosen.is_averaged:
        _refuse_unfit_averages(content, chosen, origin)
    beside = [place for place in places if place.content is chosen.content]
    known = {place.prefix + name for place in beside for name in expected}
    notes = _left_out(chosen, known, preprocessing, origin)
    tensors, missing = _taken(chosen, expected)
    notes += missing
    if entry is None:
        notes += _choice(chosen, [place.entry for place in places if place is not chosen])
    return FoundState(tensors, chosen.entry, notes)


def _choice(chosen: _Place, others: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence on the choice, if several places fit or the weights are averages."""
    if not others and not chosen.is_averaged:
        return ()
    kind = "averaged weights" if chosen.is_averaged else f"the weights in {chosen.entry}"
    listed = f", not {', '.join(others)}; `weights: entry` chooses others" if others else ""
    return (f"{kind} are taken{listed}",)


def _is_averaged(name: str) -> bool:
    """Return whether a key or prefix names averages, other than an optimiser's ``exp_avg``."""
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words & _AVERAGED) and "exp" not in words


def _mappings(
    content: object, keys: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """Yield the mappings of tensors by name, each with the keys that lead to it."""
    if not isinstance(content, Mapping):
        return
    if any(isinstance(value, Tensor) for value in content.values()):
        yield keys, content
    if len(keys) < _MAX_DEPTH:
        for key, value in content.items():
            if isinstance(key, str):
                yield from _mappings(value, (*keys, key))


def _without(wrappers: re.Pattern[str], content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return a mapping without wrappers in its names; unchanged if names would collide."""
    bare = {wrappers.sub("", k) if isinstance(k, str) else k: v for k, v in content.items()}
    return bare if len(bare) == len(content) else content


def _all_places(
    mappings: Mapping[tuple[str, ...], Mapping[Any, Any]], expected: Collection[str]
) -> list[_Place]:
    return [place for keys, value in mappings.items() for place in _places(keys, value, expected)]


def _places(
    keys: tuple[str, ...], content: Mapping[Any, Any], expected: Collection[str]
) -> list[_Place]:
    needed = [name for name in expected if not name.endswith(_OPTIONAL)]
    prefixes = _prefixes(content, max(needed, key=len, default=""))
    return [
        _Place(keys, prefix, content)
        for prefix in prefixes
        if all(prefix + name in content for name in needed)
    ]


def _prefixes(content: Iterable[Any], name: str) -> list[str]:
    """Return the prefixes of a network's name in a file, empty or ending with a dot."""
    names = [found for found in content if isinstance(found, str) and found.endswith(name)]
    prefixes = [found.removesuffix(name) for found in names]
    return [prefix for prefix in prefixes if prefix == "" or prefix.endswith(".")]


def _asked(places: Sequence[_Place], entry: str | None, origin: str) -> Sequence[_Place]:
    if entry is None:
        return places
    found = [place for place in places if f"{place.entry}.".startswith(f"{entry.rstrip('.')}.")]
    if not found:
        listed = ", ".join(place.entry or "the whole file" for place in places)
        raise ValueError(
            f"{origin}: no weights of the network in entry {entry!r}; allowed: {listed}"
        )
    return found


def _choose(places: Sequence[_Place], origin: str) -> _Place:
    """Return the place of the weights: the averaged ones, or the only one."""
    for kind in ("is_averaged", "is_usual"):
        if len(places) > 1:
            places = [place for place in places if getattr(place, kind)] or places
    if len(places) > 1:
        listed = ", ".join(place.entry or "the whole file" for place in places)
        raise ValueError(
            f"{origin}: holds weights that fit in {len(places)} places, {listed}; "
            "choose one: `weights: {file: ..., sha256: ..., entry: ...}`"
        )
    return places[0]


def _refuse_unfit_averages(content: object, chosen: _Place, origin: str) -> None:
    """Raise a ValueError if a file holds averaged weights in an unsupported form."""
    averaged = [
        repr(key)
        for key, value in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(key, str) and _is_averaged(key) and _holds_weights(value)
    ]
    if averaged:
        way = (
            f"`weights: {{..., entry: {chosen.entry}}}` takes those"
            if chosen.entry
            else "write the ones that are meant to a file of their own"
        )
        raise ValueError(
            f"{origin}: holds averaged weights that are not the network's, {', '.join(averaged)}, "
            f"and others that are; {way}"
        )


def _holds_weights(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_weights(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_weights(inner) for inner in value)
    if isinstance(value, StandIn):
        return value.is_module
    return isinstance(value, Tensor) and value.dim() > 0


def _left_out(
    place: _Place, known: Collection[str], preprocessing: Preprocessing | None, origin: str
) -> tuple[str, ...]:
    """Return notes on what is left out of a place's mapping; refuse what means something else.

    Parameters
    ----------
    known : names of weights in the mapping.
    """
    content, prefix = place.content, place.prefix
    others = [name for name, value in content.items() if not _is_named_tensor(name, value)]
    if others:
        raise ValueError(f"{origin}: {not_tensors(others)}")
    counters = [name for name in content if name.rpartition(".")[2] == _COUNTER]
    surplus = [name for name in content if name not in known and name not in counters]
    normalising = normalisers(surplus, content) if preprocessing is not None else {}
    surplus = [name for name in surplus if name not in normalising]
    if surplus:
        behind = f"; the others are behind the prefix {prefix!r}" if prefix else ""
        raise ValueError(f"{origin}: {misfit((), surplus)}{behind}")
    if preprocessing is not None and (faults := unlike(normalising, content, preprocessing)):
        raise ValueError(f"{origin}: {', and '.join(faults)}; allowed: the same values")
    return (
        *(f"{name} is left out: it counts what was averaged" for name in counters),
        *(
            f"{name} is left out: it is the {meaning} of the preprocessing"
            for name, meaning in normalising.items()
        ),
    )


def _taken(place: _Place, expected: Collection[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of a place by the network's names, and a note if some are missing."""
    content, prefix = place.content, place.prefix
    tensors = {name: content[prefix + name] for name in expected if prefix + name in content}
    num_missing = len(expected) - len(tensors)
    if not num_missing:
        return tensors, ()
    return tensors, (f"{num_missing} {_OPTIONAL} are missing and stay 0; evaluation uses none",)


def _is_named_tensor(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)
