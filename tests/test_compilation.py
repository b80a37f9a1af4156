"""Which networks `compile` compiles: all, none, or those whose passes pay for it."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from perturb.config import ConfigError, load_config
from perturb.cost.compilation import compiled_models
from perturb.evaluation.cell import Cell
from perturb.plan.cells import cells
from perturb.records import Config
from tests.workspace import ROOT

LARGE, BASE = "vit-l16-21k", "vit-b16-21k"


def _study(**changes: Any) -> Config:
    raw = yaml.safe_load((ROOT / "config/imagenet.yaml").read_text())
    return load_config({**raw, **changes})


def _cells(config: Config, *perturbations: str) -> list[Cell]:
    of_models = [cell for cell in cells(config) if cell.model in (LARGE, BASE)]
    return [cell for cell in of_models if cell.perturbation in perturbations]


@pytest.mark.parametrize(
    ("changes", "perturbations", "expected"),
    [
        # 50,000 images take seconds; 15 corruptions at 5 severities and 384 px half an hour or two.
        ({}, ["none"], set()),
        ({}, ["stored_corruptions"], {LARGE, BASE}),
        # One pass with its gradient is not worth two compilations.
        ({}, ["fgsm"], set()),
        ({}, ["fgsm", "stored_corruptions"], {LARGE, BASE}),
        # Networks that are changed do not run compiled, however long they take.
        ({}, ["lesions", "weight_noise", "restricted_attention"], set()),
        ({}, [], set()),
        ({"device": "cpu"}, ["stored_corruptions"], set()),
        ({"device": "cpu", "compile": True}, ["none"], {LARGE, BASE}),
        ({"compile": False}, ["stored_corruptions"], set()),
    ],
)
def test_networks_are_compiled_where_their_passes_pay_for_it(
    changes: dict[str, Any], perturbations: list[str], expected: set[str]
) -> None:
    config = _study(**changes)
    assert compiled_models(config, _cells(config, *perturbations)) == expected


def test_the_smaller_network_needs_more_images() -> None:
    config = _study()
    one_severity = [
        cell for cell in _cells(config, "stored_corruptions") if cell.severity_value == 1
    ]
    assert compiled_models(config, one_severity) == {LARGE}


def test_a_source_is_compiled_for_the_images_that_it_makes_for_others() -> None:
    config = _study()
    (shown,) = {cell.model for cell in _cells(config, "none")} - {LARGE}
    made = [cell for cell in cells(config) if (cell.source, cell.model) == (LARGE, shown)]
    assert made
    long = replace(config, batch_size=config.batch_size)
    for steps in (1, 10**6):
        entry = long.perturbations["transfer"]
        options = {**entry.options, "steps": steps}
        perturbations = {**long.perturbations, "transfer": replace(entry, options=options)}
        found = compiled_models(replace(long, perturbations=perturbations), made)
        assert found == (set() if steps == 1 else {LARGE})


def test_no_network_of_a_short_study_is_compiled(tiny_study: dict[str, Any]) -> None:
    config = load_config(tiny_study | {"device": "cuda"})
    assert config.compile == "auto"
    assert compiled_models(config, cells(config)) == set()


def test_another_value_is_refused(tiny_study: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="compile: 'yes' is not one of auto, True, False"):
        load_config({**tiny_study, "compile": "yes"})
