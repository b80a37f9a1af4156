"""Cells, conditions and samples of a network, from the declarations of perturbations."""

from typing import Any

from perturb.experiments.declaration import Asked
from perturb.experiments.registry import measurements, perturbation
from perturb.records import Architecture, PerturbationEntry


def is_possible(entry: PerturbationEntry, severity: float, architecture: Architecture) -> bool:
    """Return whether a network can have a cell."""
    return why_not(entry, severity, architecture) is None


def why_not(entry: PerturbationEntry, severity: float, architecture: Architecture) -> str | None:
    """Return the reason why a network cannot have a cell, None if it can."""
    lacks = lacking(entry.id, architecture)
    declared = perturbation(entry.id).why_not
    if lacks is not None or declared is None:
        return lacks
    return declared(Asked(entry, severity, architecture, seed=0))


def lacking(id: str, architecture: Architecture) -> str | None:
    """Return why a perturbation or measurement does not apply to a network, None if it does."""
    declared = measurements()[id] if id in measurements() else perturbation(id)
    return declared.lacks(architecture) if declared.lacks else None


def conditions_of(entry: PerturbationEntry, architecture: Architecture | None) -> tuple[str, ...]:
    """Return the conditions in a cell; the network is None for perturbations of images."""
    declared = perturbation(entry.id).conditions_of
    if declared is None or architecture is None:
        return entry.conditions
    return declared(entry, architecture)


def options_of(
    entry: PerturbationEntry, severity: float, architecture: Architecture | None
) -> dict[str, Any]:
    """Return the options that a cell's numbers depend on; the network as of `conditions_of`."""
    declared = perturbation(entry.id).options_of
    if declared is None or architecture is None:
        return dict(entry.options)
    return dict(declared(Asked(entry, severity, architecture, seed=0)))


def samples_of(
    entry: PerturbationEntry, severity: float, architecture: Architecture, seed: int
) -> dict[str, tuple[int, ...]]:
    """Return the sample numbers of every condition of a cell, only 0 without repetition."""
    declared = perturbation(entry.id)
    if declared.samples is not None:
        return dict(declared.samples(Asked(entry, severity, architecture, seed)))
    return {
        condition: _numbers(entry, declared.repeated.get(condition))
        for condition in entry.conditions
    }


def _numbers(entry: PerturbationEntry, option: str | None) -> tuple[int, ...]:
    return tuple(range(1, entry.options[option] + 1)) if option else (0,)
