"""Preprocessing of a file of weights: configured, of timm's default weights, or refused."""

import copy
from typing import Any

import pytest

from perturb.config import Config, ConfigError, load_config
from perturb.config.preprocessing import assumed_preprocessing, assumed_values
from perturb.models.classifier import Preprocessing
from perturb.models.resizing import Resizing
from perturb.models.timm_table import default_of
from perturb.plan import params
from perturb.records import ModelPreprocessing
from tests.test_config_mistakes import IMAGENET

OF_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FILE = {"file": "w.pt", "sha256": "0" * 64}
RESNET = {"family": "resnet", "size": "18"}
VIT = {"family": "vit", "size": "B", "patch_size": 16}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "resnet18": RESNET | {"timm": "resnet18"},
    # The table's first tag of it is another than timm's default one, with other values.
    "resnet50d": RESNET | {"timm": "resnet50d"},
    # timm's default weights of it have no head of 1000 classes.
    "headless": VIT | {"timm": "vit_base_patch16_224_miil"},
    "vit": VIT | {"timm": "vit_base_patch16_224"},
    "own": VIT | {"arguments": {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}},
}
FULL = {
    **{"side": 64, "mode": "crop", "crop": 0.9, "interpolation": "bilinear"},
    **{"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
}


def _config(architecture: str, preprocessing: dict[str, Any] | None) -> Config:
    raw = copy.deepcopy(IMAGENET)
    raw["architectures"]["new"] = ARCHITECTURES[architecture]
    raw["models"]["mine"] = {"architecture": "new", "pretraining": "web", "weights": FILE}
    if preprocessing is not None:
        raw["models"]["mine"]["preprocessing"] = preprocessing
    return load_config(raw)


def _view(architecture: str, preprocessing: dict[str, Any]) -> ModelPreprocessing:
    view = _config(architecture, preprocessing).models["mine"].own_preprocessing
    assert view is not None
    return view


@pytest.mark.parametrize(
    ("architecture", "given", "view", "normalisation", "taken_from"),
    [
        (
            "resnet18",
            {"side": 224},
            Resizing(224, "crop", 0.95, "bicubic"),
            OF_IMAGENET,
            "mode crop, crop 0.95, interpolation bicubic, mean [0.485, 0.456, 0.406], "
            "std [0.229, 0.224, 0.225] (of timm's resnet18.a1_in1k)",
        ),
        (
            "resnet18",
            {"side": 160, "crop": 0.875, "interpolation": "bilinear"},
            Resizing(160, "crop", 0.875, "bilinear"),
            OF_IMAGENET,
            "mode crop, mean [0.485, 0.456, 0.406], std [0.229, 0.224, 0.225] "
            "(of timm's resnet18.a1_in1k)",
        ),
        (
            "resnet50d",
            {"side": 224, "mode": "squash", "interpolation": "bilinear"},
            Resizing(224, "squash", 1.0, "bilinear"),
            OF_IMAGENET,
            "mean [0.485, 0.456, 0.406], std [0.229, 0.224, 0.225] (of timm's resnet50d.ra2_in1k; "
            "mean and std are others in resnet50d.ra4_e3600_r224_in1k)",
        ),
        (
            "resnet50d",
            {"side": 224, "mean": [0, 0, 0], "std": [1, 1, 1]},
            Resizing(224, "crop", 0.875, "bicubic"),
            ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
            "mode crop, crop 0.875, interpolation bicubic (of timm's resnet50d.ra2_in1k)",
        ),
        (
            "vit",
            {"side": 224, "mode": "crop", "crop": 0.9, "interpolation": "bicubic"},
            Resizing(224, "crop", 0.9, "bicubic"),
            HALF,
            "mean [0.5, 0.5, 0.5], std [0.5, 0.5, 0.5] "
            "(of timm's vit_base_patch16_224.augreg2_in21k_ft_in1k)",
        ),
        (
            "own",
            {"side": 32, "mode": "squash"},
            Resizing(32, "squash", 1.0, "bilinear"),
            HALF,
            "interpolation bilinear, mean [0.5, 0.5, 0.5], std [0.5, 0.5, 0.5] "
            "(default of networks by `arguments`)",
        ),
        *(
            (name, FULL, Resizing(64, "crop", 0.9, "bilinear"), (FULL["mean"], FULL["std"]), None)
            for name in ARCHITECTURES
        ),
    ],
)
def test_what_is_not_given_is_known_of_the_network(
    architecture: str,
    given: dict[str, Any],
    view: Resizing,
    normalisation: tuple[Any, Any],
    taken_from: str | None,
) -> None:
    mean, std = normalisation
    assert _view(architecture, given) == ModelPreprocessing(
        view, tuple(mean), tuple(std), taken_from
    )


@pytest.mark.parametrize(
    ("given", "view"),
    [
        ({}, Resizing(384, "squash", 0.95, "bicubic")),
        ({"interpolation": "bilinear"}, Resizing(384, "squash", 0.95, "bilinear")),
        ({"mode": "squash"}, Resizing(384, "squash", 1.0, "bicubic")),
        ({"mode": "crop", "crop": 0.9}, Resizing(384, "crop", 0.9, "bicubic")),
    ],
)
def test_a_tag_that_squashes_keeps_its_crop(
    imagenet: dict[str, Any], given: dict[str, Any], view: Resizing
) -> None:
    weights = {"timm": "vit_base_patch16_clip_384.openai_ft_in12k_in1k"}
    model = {"architecture": "vit-b16", "pretraining": "web", "weights": weights}
    imagenet["models"]["mine"] = model | ({"preprocessing": given} if given else {})
    found = load_config(imagenet).models["mine"].own_preprocessing
    assert found is not None
    assert found.view == view


@pytest.mark.parametrize(
    ("architecture", "given", "missing"),
    [
        ("resnet18", None, ["side"]),
        ("resnet18", {"mean": [0.5, 0.5, 0.5]}, ["side"]),
        ("headless", {"side": 224}, ["mode", "crop", "interpolation", "mean", "std"]),
        ("headless", {"mode": "squash"}, ["side", "interpolation", "mean", "std"]),
        ("own", {"mean": [0.5, 0.5, 0.5]}, ["side", "mode", "crop"]),
        ("own", {"side": 32}, ["mode", "crop"]),
        ("own", {"side": 32, "mode": "crop"}, ["crop"]),
        ("own", {"mode": "squash"}, ["side"]),
    ],
)
def test_all_that_is_missing_is_in_one_message(
    architecture: str, given: dict[str, Any] | None, missing: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        _config(architecture, given)
    message = str(caught.value)
    key = "models.mine.preprocessing"
    named = [name for name in FULL if f"{key}.{name}: missing; " in message]
    assert named == missing
    if architecture == "resnet18":
        assert "what else is not given is mode crop, crop 0.95, " in message


def test_a_file_says_nothing_of_real_images() -> None:
    """Also if a dataset has one preprocessing for all models: their normalisation is unknown."""
    with pytest.raises(ConfigError, match=r"models\.mine\.preprocessing: missing; datasets\."):
        _config("own", None)


def test_the_library_has_the_default_of_configurations() -> None:
    view, default = _view("own", {"side": 32, "mode": "squash"}), Preprocessing(32)
    assert (default.mean, default.std) == (view.mean, view.std)
    assert default.interpolation == view.view.interpolation


def test_what_is_assumed_is_shown_and_goes_to_the_card() -> None:
    config = _config("resnet18", {"side": 224, "mean": [0, 0, 0], "std": [1, 1, 1]})
    assumed = "mode crop, crop 0.95, interpolation bicubic (of timm's resnet18.a1_in1k)"
    assert assumed_values(config.models.values()) == [
        f"models.mine.preprocessing: not given, and taken as {assumed}"
    ]
    assert assumed_preprocessing(config.models["mine"]) == assumed
    assert assumed_values(_config("resnet18", FULL).models.values()) == []
    # Given as it is assumed, it changes nothing that results depend on.
    given = {"mode": "crop", "crop": 0.95, "interpolation": "bicubic"}
    config = _config("resnet18", {"side": 224, "mean": [0, 0, 0], "std": [1, 1, 1]})
    same = _config("resnet18", {"side": 224, "mean": [0, 0, 0], "std": [1, 1, 1], **given})
    assert params.given_facts(config, "mine") == params.given_facts(same, "mine")


def test_timms_default_weights_are_found_in_the_table() -> None:
    found = default_of("resnet50d")
    assert found is not None
    assert found.tag == "resnet50d.ra2_in1k"
    assert default_of("vit_base_patch16_224_miil") is None
