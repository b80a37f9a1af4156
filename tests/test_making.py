"""Classifiers and cards: trained here, or taken from a given file that must fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from perturb.files import sha256_of
from perturb.images.generated import generate
from perturb.models.architectures import build_network
from perturb.models.checkpoints import load_classifier, read_card, save_checkpoint
from perturb.models.making import import_weights, train_model
from perturb.models.training import LabelledImages, Phase

FACTS: dict[str, Any] = {
    "model": "mine",
    "architecture": "vit",
    "family": "vit",
    "size": "S",
    "patch_size": 16,
    "arguments": {
        "patch_size": 16,
        "embed_dim": 16,
        "depth": 1,
        "num_heads": 1,
        "mlp_ratio": 1,
    },
    "pretraining": "small",
}


def _images(split: str, num_images: int) -> LabelledImages:
    batch = generate("target", split, 0, torch.arange(num_images))
    return LabelledImages(batch.images.numpy(), batch.targets)


def test_card_of_a_trained_model_says_how_it_came_about(tmp_path: Path) -> None:
    train, validation = _images("train", 48), _images("validation", 24)
    phases = {"pretraining": Phase(train, 128), "finetuning": Phase(train, 64)}
    device = torch.device("cpu")
    classifier, card = train_model(FACTS, phases, validation, seed=3, device=device)
    save_checkpoint(tmp_path, classifier, card)
    card = read_card(tmp_path)
    assert card.data == {"pretraining": 48, "finetuning": 48, "validation": 24}
    assert card.seed == 3
    assert {point["phase"] for point in card.curve} == {"pretraining", "finetuning"}
    assert card.validation_accuracy == card.curve[-1]["validation_accuracy"]
    assert card.recipe["batch_size"] > 0
    loaded = load_classifier(tmp_path)
    pixels = torch.from_numpy(validation.images)
    assert torch.equal(loaded(pixels), classifier(pixels))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a file of weights as a user brings it."""
    network = build_network("vit", FACTS["arguments"], 12, 32)
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def _import(path: Path, sha256: str | None = None) -> None:
    import_weights(path, sha256 or sha256_of(path), FACTS, num_classes=12, side=32)


def test_given_weights_become_a_checkpoint(weights: Path, tmp_path: Path) -> None:
    digest = sha256_of(weights)
    classifier, card = import_weights(weights, digest, FACTS, num_classes=12, side=32)
    save_checkpoint(tmp_path / "mine", classifier, card)
    state = load_classifier(tmp_path / "mine").network.state_dict()
    for name, tensor in load_file(weights).items():
        assert torch.equal(state[name], tensor)


def _without_head(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name != "head.bias"}


def _with_surplus(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"extra": torch.zeros(1)}


def _with_other_classes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"head.weight": torch.zeros(10, 16), "head.bias": torch.zeros(10)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_head, r"missing tensors head\.bias"),
        (_with_surplus, "unexpected tensors extra"),
        (_with_other_classes, r"head\.\w+ has shape \(10"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], message: str, weights: Path
) -> None:
    save_file(change(load_file(weights)), weights)
    with pytest.raises(ValueError, match=message) as caught:
        _import(weights)
    assert str(weights) in str(caught.value)


def test_another_hash_is_refused(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"SHA-256 is .* but the configuration says 0000"):
        _import(weights, "0" * 64)


def test_a_file_of_another_kind_is_refused(weights: Path) -> None:
    weights.write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match="not a safetensors file"):
        _import(weights)
