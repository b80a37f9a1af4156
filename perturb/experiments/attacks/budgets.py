"""The budget of the attack ensemble: the study's own, or the published standard."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perturb.messages import refuse
from perturb.records import PerturbationEntry

# AutoAttack's standard set (Croce and Hein, ICML 2020, with targets as published since): steps of
# APGD and FAB, random starts of APGD, other classes that APGD and FAB aim at, queries of Square.
STANDARD: Mapping[str, int] = {"steps": 100, "restarts": 1, "targets": 9, "queries": 5000}


def with_budget(
    record: PerturbationEntry, entry: Mapping[str, Any], _: Mapping[str, Any]
) -> PerturbationEntry:
    """Return the entry of an ensemble with FAB and the standard budget, or without both.

    The option `standard` stays where it holds: Square's schedule depends on it.

    Raises
    ------
    ConfigError
        if the entry asks for the standard set and for another budget.
    """
    options = {name: value for name, value in record.options.items() if name != "standard"}
    if not record.options["standard"]:
        others = tuple(name for name in record.conditions if name != "fab")
        return replace(record, conditions=others, options=options)
    refuse(
        f"perturbations.{record.key}.{name}: {entry[name]}; allowed beside `standard: true`: "
        f"none, it is {value}"
        for name, value in STANDARD.items()
        if name in entry
    )
    return replace(record, options={"standard": True, **options, **STANDARD})
