"""Short forms of a configuration: what follows from other entries may be left out."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from perturb.config import ConfigError, load_config
from perturb.plan.products import reference_errors, tables

SHA = "0" * 64
OWN: dict[str, Any] = {
    "datasets": {
        "photos": {
            "role": "clean",
            "classes": 6,
            "source": {"path": "/photos", "layout": "class_folders"},
        },
        "sketches": {"classes": 6, "source": {"path": "/sketches", "layout": "class_folders"}},
        "fit": {"role": "train", "source": {"path": "/fit", "layout": "class_folders"}},
    },
    "models": {
        "mine": {
            "architecture": "resnet18",
            "weights": {"file": "/a.pt", "sha256": SHA},
            "preprocessing": {"side": 64, "mode": "squash"},
        },
        "other": {
            "architecture": "vit_tiny_patch16_224",
            "weights": {"file": "/b.pt", "sha256": SHA},
            "preprocessing": {"side": 64, "mode": "squash"},
        },
    },
    "perturbations": {"none": {}, "corruptions": {}, "fgsm": {}},
}


def test_a_study_of_own_models_is_datasets_weights_and_perturbations() -> None:
    config = load_config(OWN)
    mine, other = config.models["mine"], config.models["other"]
    assert (mine.label, mine.architecture.family, mine.architecture.timm) == (
        *("mine", "resnet", "resnet18"),
    )
    assert (other.architecture.patch_size, other.architecture.arguments["depth"]) == (16, 12)
    assert mine.pretraining is None
    none, corruptions, fgsm = config.perturbations.values()
    assert none.datasets == ("photos", "sketches")
    assert corruptions.datasets == fgsm.datasets == ("photos",)
    assert corruptions.severities == ("1", "2", "3", "4", "5")
    assert fgsm.severities == (config.epsilon,)


def test_corruption_errors_are_divided_only_by_what_there_is() -> None:
    config = load_config(OWN)
    assert config.corruptions is not None
    assert config.corruptions.denominators == "none"
    assert reference_errors(config) == []
    assert "reference_errors" not in tables(config)
    assert "attacks" in tables(config)
    raw = deepcopy(OWN)
    raw["models"]["other"]["role"] = "reference"
    with_reference = load_config(raw)
    assert with_reference.corruptions is not None
    assert with_reference.corruptions.denominators == "reference"
    assert "reference_errors" in tables(with_reference)


def test_classes_are_counted_where_the_folders_are(tmp_path: Path) -> None:
    raw = deepcopy(OWN)
    del raw["datasets"]["photos"]["classes"]
    with pytest.raises(ConfigError, match=r"one of `classes` and a file as `source\.class_index`"):
        load_config(raw)
    for name in ("cat", "dog", "fox", ".hidden", "empty"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").touch()
    (tmp_path / "empty" / "0.png").unlink()
    raw["datasets"]["photos"]["source"]["path"] = str(tmp_path)
    raw["datasets"]["sketches"]["classes"] = 3
    assert load_config(raw).clean_dataset.num_classes == 3


def test_a_tag_is_a_whole_model() -> None:
    raw = deepcopy(OWN)
    raw["datasets"]["photos"]["source"]["class_index"] = "resources/imagenet_classes.json"
    del raw["datasets"]["photos"]["classes"], raw["datasets"]["sketches"]
    raw["models"] = {"tagged": {"weights": {"timm": "resnet18.a1_in1k"}}}
    tagged = load_config(raw).models["tagged"]
    assert (tagged.architecture.id, tagged.timm_tag) == ("resnet18", "resnet18.a1_in1k")


def test_what_is_given_is_kept() -> None:
    raw = deepcopy(OWN)
    raw["architectures"] = {"resnet18": {"timm": "resnet18", "size": "18", "label": "Eighteen"}}
    raw["models"]["mine"]["label"] = "Ours"
    raw["perturbations"]["fgsm"] = {"epsilons": ["1/255", "2/255"], "datasets": ["photos"]}
    config = load_config(raw)
    assert config.architectures["resnet18"].label == "Eighteen"
    assert config.models["mine"].label == "Ours"
    assert len(config.perturbations["fgsm"].severities) == 2


def test_mistakes_in_short_forms_are_named_with_all_others() -> None:
    raw = deepcopy(OWN)
    raw["models"]["mine"]["architecture"] = "resnet_18"
    raw["models"]["other"].pop("architecture")
    raw["architectures"] = {"a": {"timm": "vit_tinny"}, "b": {"size": "S"}}
    raw["perturbations"]["fgsm"]["images"] = 0
    with pytest.raises(ConfigError) as caught:
        load_config(raw)
    keys = {line.partition(":")[0] for line in str(caught.value).splitlines()}
    assert keys == {
        *("models.mine.architecture", "models.other.architecture", "architectures.a.timm"),
        *("architectures.b.family", "perturbations.fgsm.images"),
    }


def test_an_impossible_epsilon_is_one_mistake_and_not_that_of_each_attack() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({**OWN, "epsilon": "300/255"})
    assert str(caught.value) == "epsilon: 300/255 > 1, in units of [0, 1]"
