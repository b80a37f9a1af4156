"""Checks of an evaluator's setting that hold for every perturbation, and its default options."""

from typing import Any

from perturb.evaluation.outcome import Setting
from perturb.experiments.options import options_of, with_defaults
from perturb.experiments.registry import perturbation
from perturb.messages import listed


def checked_options(id: str, setting: Setting) -> dict[str, Any]:
    """Return the options of a setting, with the default of each that is not given.

    Raises
    ------
    ValueError
        for a condition or an option that the perturbation does not have, or an option whose schema
        is a whole number and whose value is none, or below its minimum.
    """
    allowed = perturbation(id).conditions
    for condition in setting.conditions:
        if condition not in allowed:
            raise ValueError(f"condition of {id} is {condition!r}; allowed: {listed(allowed)}")
    known, options = options_of(id), with_defaults(id, setting.options)
    for name, value in setting.options.items():
        if name not in known:
            raise ValueError(f"option of {id} is {name!r}; allowed: {listed(known) or 'none'}")
        if known[name].get("type") == "integer":
            options[name] = whole(f"{name} of {id}", value, known[name].get("minimum", 0))
    return options


def whole(name: str, value: float, least: int, most: int | None = None) -> int:
    """Return a value as an integer.

    Raises
    ------
    ValueError
        if it is no whole number from `least` to `most`.
    """
    is_within = value >= least and (most is None or value <= most)
    if isinstance(value, bool) or not is_within or value % 1 != 0:
        upper = " or more" if most is None else f" to {most}" if most > least else ""
        raise ValueError(f"{name} is {value}; allowed: a whole number, {least}{upper}")
    return int(value)
