"""Settings of evaluators: their defaults are those of the options, and mistakes are named."""

from typing import Any

import pytest

from perturb.config.perturbations import perturbation as configured
from perturb.config.schema import schema
from perturb.evaluate.outcome import Setting
from perturb.experiments.options import options_of, with_defaults
from perturb.experiments.registry import of_key, perturbations
from perturb.experiments.setting import checked_options, whole

ENTRIES = schema()["$defs"]["perturbations"]["properties"]


@pytest.mark.parametrize("key", [key for key in ENTRIES if not of_key(key).configured])
def test_default_options_are_those_of_a_configuration(key: str) -> None:
    example = ENTRIES[key]["examples"][0]
    bare = {name: example[name] for name in ENTRIES[key]["required"] if name in example}
    entry = configured(key, bare, {dataset: {} for dataset in example["datasets"]})
    assert with_defaults(entry.id, {}) == entry.options


COUNTS = [
    (id, name)
    for id in perturbations()
    if perturbations()[id].conditions
    for name, option in options_of(id).items()
    if option.get("type") == "integer"
]


@pytest.mark.parametrize(("id", "name"), COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, True, float("nan"), float("inf")])
def test_counts_are_whole_numbers_of_1_or_more(id: str, name: str, value: Any) -> None:
    message = f"{name} of {id} is {value}; allowed: a whole number, 1 or more"
    with pytest.raises(ValueError, match=message):
        checked_options(id, Setting((), 1, 0, {name: value}))


@pytest.mark.parametrize("id", [id for id, item in perturbations().items() if item.conditions])
def test_unknown_conditions_and_options_are_named_with_their_perturbation(id: str) -> None:
    with pytest.raises(ValueError, match=f"condition of {id} is 'none of it'; allowed: "):
        checked_options(id, Setting(("none of it",), 1, 0))
    with pytest.raises(ValueError, match=f"option of {id} is 'seed'; allowed: "):
        checked_options(id, Setting((), 1, 0, {"seed": 1}))


@pytest.mark.parametrize(("most", "allowed"), [(None, "2 or more"), (4, "2 to 4"), (2, "2$")])
def test_bounds_of_a_whole_number_are_named(most: int | None, allowed: str) -> None:
    assert whole("n", 2.0, 2, most) == 2
    with pytest.raises(ValueError, match=f"n is 1; allowed: a whole number, {allowed}"):
        whole("n", 1, 2, most)
