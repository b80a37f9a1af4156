"""Networks that a function of the user makes."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from perturb.config import ConfigError, load_config
from perturb.cost.rates import Machine
from perturb.cost.study import work_of
from perturb.models.architectures import make_network
from perturb.models.checkpoints import load_classifier, save_checkpoint
from perturb.models.factories import facts_of, file_of
from perturb.models.making import import_weights
from perturb.plan.origins import of_checkpoint
from perturb.plan.params import given_facts
from perturb.plan.sources import missing_files
from tests.test_short_forms import OWN

CODE = """
import torch
from torch import nn

def make():
    torch.manual_seed(3)
    pooled = [nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*pooled, nn.Linear(16, 6))

def words():
    return "a network"

constant = 1
"""
VIEW = {"side": 16, "mode": "squash", "mean": [0.5] * 3, "std": [0.25] * 3}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a study with a function's network, whose module is in the working directory."""
    monkeypatch.chdir(tmp_path)
    module = f"nets{abs(hash(tmp_path))}"  # not imported by another test
    Path("mine").mkdir()
    Path("mine", "__init__.py").touch()
    Path("mine", f"{module}.py").write_text(CODE)
    raw = deepcopy(OWN)
    weights = {"factory": f"mine.{module}:make"}
    raw["models"] = {"made": {"weights": weights, "preprocessing": dict(VIEW)}}
    return raw


def _imported(study: dict[str, Any], **changes: Any) -> Any:
    facts = given_facts(load_config(study), "made")
    return import_weights(facts | changes)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test import a package `mine` of its own."""
    import sys

    monkeypatch.setattr("sys.path", [*sys.path])
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_functions_network_is_evaluated_with_its_weights(
    study: dict[str, Any], tmp_path: Path
) -> None:
    classifier, card = _imported(study)
    assert card.factory == study["models"]["made"]["weights"]["factory"]
    assert (card.family, card.num_classes, card.architecture) == ("other", 6, "made")
    save_checkpoint(tmp_path / "checkpoint", classifier, card)
    loaded = load_classifier(tmp_path / "checkpoint")
    images = torch.rand(2, 3, 16, 16)
    own = make_network(card.factory)
    assert torch.equal(loaded(images), classifier(images))
    assert torch.allclose(loaded(images), own((images - 0.5) / 0.25))
    assert loaded.num_classes == 6


def test_other_code_is_another_model(study: dict[str, Any]) -> None:
    factory = study["models"]["made"]["weights"]["factory"]
    before = of_checkpoint(load_config(study), "made")
    assert before["weights"] == facts_of(factory)
    file_of(factory).write_text(CODE.replace("manual_seed(3)", "manual_seed(4)"))
    assert of_checkpoint(load_config(study), "made") != before


def test_the_cost_of_a_function_is_not_known(study: dict[str, Any]) -> None:
    work = work_of(load_config(study), Machine("a machine", flops_per_s=1e9))
    assert work.models_without_size == {"made"}


def test_mistakes_in_a_function_are_named(study: dict[str, Any]) -> None:
    entry = study["models"]["made"]
    factory = entry["weights"]["factory"]
    module = factory.partition(":")[0]
    for name, said in {
        "words": "returned a str; a torch.nn.Module is needed",
        "constant": "has no function 'constant'",
        "absent": "has no function 'absent'",
    }.items():
        with pytest.raises(ValueError, match=said):
            make_network(f"{module}:{name}")
    with pytest.raises(ValueError, match=r"returns \(1, 6\) for one image; the images have 5"):
        _imported(study, num_classes=5)
    entry["weights"] = {"factory": "mine.gone:make"}
    assert "models.made.weights.factory: mine/gone.py does not exist" in missing_files(
        load_config(study)
    )
    with pytest.raises(ValueError, match=r"there is no Python module .mine\.gone."):
        make_network("mine.gone:make")
    entry["weights"] = {"factory": "mine.gone"}
    with pytest.raises(ConfigError, match=r"models\.made\.weights\.factory"):
        load_config(study)
    entry["weights"], entry["preprocessing"] = {"factory": factory}, {"side": 16}
    with pytest.raises(ConfigError) as caught:
        load_config(study)
    for name in ("mode", "mean", "std"):
        assert f"models.made.preprocessing.{name}: missing" in str(caught.value)
