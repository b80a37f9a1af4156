"""Settings of evaluators: their defaults are those of the options, and mistakes are named."""

import re
from typing import Any

import pytest

from perturb.config import load_config
from perturb.config.perturbations import perturbation as configured
from perturb.config.schema import schema
from perturb.datasets.store import Images
from perturb.evaluation.outcome import Setting
from perturb.experiments.options import options_of, with_defaults
from perturb.experiments.registry import evaluator, experiment_of, of_key, perturbations
from perturb.experiments.setting import checked_options, whole
from perturb.messages import ConfigError
from perturb.models.classifier import Classifier
from perturb.severities import severity_value
from tests.attacked_networks import make_classifier, make_images

ENTRIES = schema()["$defs"]["perturbations"]["properties"]


@pytest.mark.parametrize("key", [key for key in ENTRIES if not of_key(key).configured])
def test_default_options_are_those_of_a_configuration(key: str) -> None:
    example = ENTRIES[key]["examples"][0]
    needed = {"datasets", of_key(key).severities, *ENTRIES[key].get("required", ())}
    bare = {name: value for name, value in example.items() if name in needed}
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


def test_counts_are_integers_however_they_are_written() -> None:
    options = checked_options("weight_noise", Setting((), 1, 0, {"seeds": 2.0}))
    assert repr(options["seeds"]) == "2"


# Other evaluators take any condition: the configuration names corruptions and subsets.
CHECKED = [
    id
    for id, declared in perturbations().items()
    if declared.evaluator and experiment_of(id) not in ("benchmarks", "corruptions")
]


@pytest.fixture(scope="module")
def attackable() -> tuple[Classifier, Images]:
    """Return a ViT, and images that it gets right."""
    classifier = make_classifier("vit")
    return classifier, make_images(classifier)


@pytest.mark.parametrize("id", CHECKED)
def test_evaluators_name_unknown_conditions_options_and_counts(
    id: str, attackable: tuple[Classifier, Images]
) -> None:
    conditions, options = perturbations()[id].conditions, options_of(id)
    example = ENTRIES[id]["examples"][0]
    entry = configured(id, example, {dataset: {} for dataset in example["datasets"]})
    severity = severity_value(entry.severities[0])

    def refuses(setting: Setting, message: str) -> None:
        with pytest.raises(ValueError, match=re.escape(message) + "$"):
            list(evaluator(id)(*attackable, setting))

    allowed = f"condition of {id} is 'none of it'; allowed: {', '.join(conditions)}"
    refuses(Setting(("none of it",), severity, 0), allowed)
    allowed = f"option of {id} is 'seed'; allowed: {', '.join(options) or 'none'}"
    refuses(Setting(conditions, severity, 0, {"seed": 1}), allowed)
    for name in (name for other, name in COUNTS if other == id):
        allowed = f"{name} of {id} is 0; allowed: a whole number, 1 or more"
        refuses(Setting(conditions, severity, 0, {name: 0}), allowed)


@pytest.mark.parametrize(("most", "allowed"), [(None, "2 or more"), (4, "2 to 4"), (2, "2$")])
def test_bounds_of_a_whole_number_are_named(most: int | None, allowed: str) -> None:
    assert whole("n", 2.0, 2, most) == 2
    with pytest.raises(ValueError, match=f"n is 1; allowed: a whole number, {allowed}"):
        whole("n", 1, 2, most)


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        (
            "spatial",
            {"scales": [0.5, 1]},
            r"spatial\.scales: 0\.5, 1; allowed: one$",
        ),
        ("spatial", {"samples": 32768}, "32768 is greater than the maximum of 32767"),
        (
            "spatial",
            {"scales": [3]},
            "scales.0: 3 is greater .* of 2. Scale of the grid: above 0, at",
        ),
        ("lesions", {"samples": 32768}, "32768 is greater than the maximum of 32767"),
        ("restricted_attention", {"seeds": 32768}, "32768 is greater than the maximum of 32767"),
        ("token_removal", {"seeds": 32768}, "32768 is greater than the maximum of 32767"),
        (
            "token_removal",
            {"drop_rates": [1]},
            "drop_rates.0: 1 is .*tokens removed: above 0, below 1",
        ),
        ("weight_noise", {"seeds": 32768}, "32768 is greater than the maximum of 32767"),
        ("weight_noise", {"scales": [11]}, "scales.0: 11 is greater .* above 0, at most 10"),
        ("weight_rounding", {"bits": [17]}, "bits.0: 17 is greater .* Bits per weight: 2 to 16"),
    ],
)
def test_values_that_no_shard_or_table_holds_are_refused_before_any_job(
    tiny_study: dict[str, Any], key: str, values: dict[str, Any], message: str
) -> None:
    tiny_study["perturbations"][key] = ENTRIES[key]["examples"][0] | values
    with pytest.raises(ConfigError, match=message):
        load_config(tiny_study)
