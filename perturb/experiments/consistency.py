"""Declarations that contradict each other: names that are declared twice, values not allowed."""

from collections.abc import Iterable, Iterator, Mapping

from perturb.experiments.declaration import Experiment, Perturbation
from perturb.formatting import MEASURE_FORMATS
from perturb.messages import each, listed

CHANGES = ("input", "model")
# Kinds other than the name of a folder.
KINDS = ("network",)


def check_declarations(found: Mapping[str, Experiment]) -> None:
    """Check the declarations of all folders against each other.

    Raises
    ------
    ValueError
        if a name is declared twice, or a value is not allowed; all mistakes at once.
    """
    kinds = ("tables", "charts", "test_sets", "measures", "sources", "relations", "phrases")
    mistakes = [
        *each(*(_repeated(kind, _names(kind, found)) for kind in kinds)),
        *_repeated("perturbations and measurements", _ids(found)),
        *_repeated_keys(found),
        *_unknown_values(found),
    ]
    if mistakes:
        raise ValueError("\n".join(mistakes))


def _names(kind: str, found: Mapping[str, Experiment]) -> Iterator[tuple[str, str]]:
    """Yield (experiment, name) of everything of a kind."""
    for experiment, declared in found.items():
        for item in getattr(declared, kind):
            name = item if isinstance(item, str) else getattr(item, "id", None) or item.name
            yield experiment, name


def _ids(found: Mapping[str, Experiment]) -> Iterator[tuple[str, str]]:
    """Yield (experiment, id) of all perturbations and measurements: they share one namespace."""
    yield from _names("perturbations", found)
    yield from _names("measurements", found)


def _repeated(kind: str, names: Iterable[tuple[str, str]]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for experiment, name in names:
        if name in owners:
            whose = " and ".join(dict.fromkeys([owners[name], experiment]))
            yield f"{kind}: {name!r} is declared twice, by {whose}; allowed: once"
        owners.setdefault(name, experiment)


def _repeated_keys(found: Mapping[str, Experiment]) -> Iterator[str]:
    """Yield a message for each key that several perturbations have and none selects one of."""
    owners: dict[str, tuple[str, Perturbation]] = {}
    for experiment, declared in found.items():
        for item in declared.perturbations:
            owner, first = owners.setdefault(item.key or item.id, (experiment, item))
            if first is not item and (owner != experiment or first.configured is None):
                yield (
                    f"perturbations: {first.id!r} of {owner} and {item.id!r} of {experiment} have "
                    f"the key {item.key or item.id!r}; allowed: one, or several of one experiment "
                    "if `configured` of the first selects one"
                )


def _unknown_values(found: Mapping[str, Experiment]) -> Iterator[str]:
    kinds = ("", *KINDS, *found)
    for experiment, declared in found.items():
        if declared.kind not in kinds:
            yield f"{experiment}: kind is {declared.kind!r}; allowed: {listed(kinds[1:])}, or none"
        for measure in declared.measures:
            if measure.unit not in MEASURE_FORMATS:
                yield (
                    f"{experiment}: unit of measure {measure.id!r} is {measure.unit!r}; "
                    f"allowed: {listed(MEASURE_FORMATS)}"
                )
        for item in declared.perturbations:
            if item.changes not in CHANGES:
                yield (
                    f"{experiment}: changes of {item.id!r} is {item.changes!r}; "
                    f"allowed: {listed(CHANGES)}"
                )
