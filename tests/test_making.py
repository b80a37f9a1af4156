"""Classifiers and cards, from training or from pretrained weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from perturb.datasets.synthetic.generated import generate
from perturb.files import sha256_of
from perturb.models import making
from perturb.models.architectures import build_network
from perturb.models.checkpoints import ModelCard, load_classifier, read_card, save_checkpoint
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.making import import_weights, train_model
from perturb.models.training import Phase
from perturb.models.training_images import LabelledImages
from perturb.models.zoo import Pretrained, build_timm_network

FACTS: dict[str, Any] = {
    "model": "mine",
    "architecture": "vit",
    "family": "vit",
    "size": "S",
    "patch_size": 16,
    "arguments": {"patch_size": 16, "embed_dim": 16, "depth": 1, "num_heads": 1, "mlp_ratio": 1},
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


GIVEN: dict[str, Any] = FACTS | {"timm": None, "preprocessing": None, "num_classes": None}
TIMM: dict[str, Any] = GIVEN | {
    "arguments": {"patch_size": 16, "embed_dim": 64, "depth": 6, "num_heads": 2},
    "timm": "test_vit",
    "preprocessing": {
        **{"side": 48, "mode": "squash", "crop": 1.0, "interpolation": "bicubic"},
        **{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    },
    "num_classes": 12,
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a file of weights as a user brings it."""
    network = build_network("vit", FACTS["arguments"], 12, 32)
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def _import(
    path: Path, sha256: str | None = None, facts: dict[str, Any] = GIVEN, **known: Any
) -> tuple[Classifier, ModelCard]:
    given = {"weights": {"file": str(path), "sha256": sha256 or sha256_of(path)}}
    return import_weights(facts | given, **({"num_classes": 12, "side": 32} | known))


def test_given_weights_become_a_checkpoint(weights: Path, tmp_path: Path) -> None:
    classifier, card = _import(weights, sha256_of(weights).upper())
    assert not classifier.training
    save_checkpoint(tmp_path / "mine", classifier, card)
    state = load_classifier(tmp_path / "mine").network.state_dict()
    for name, tensor in load_file(weights).items():
        assert torch.equal(state[name], tensor)
    card = read_card(tmp_path / "mine")
    assert card.source == {"file": "mine.safetensors", "sha256": sha256_of(weights)}
    assert (card.preprocessing, card.num_classes) == (Preprocessing.of_trained(32), 12)


def test_a_network_of_timms_takes_a_file(tmp_path: Path) -> None:
    network = build_timm_network("test_vit", 12, 48)
    torch.save({"model": network.state_dict()}, tmp_path / "mine.pth")
    classifier, card = _import(tmp_path / "mine.pth", facts=TIMM, num_classes=None, side=None)
    save_checkpoint(tmp_path / "mine", classifier, card)
    loaded = load_classifier(tmp_path / "mine")
    images = _images("validation", 24).images[:3]
    expected = network.eval()(loaded.prepare(torch.from_numpy(images)))
    torch.testing.assert_close(loaded(torch.from_numpy(images)), expected)
    card = read_card(tmp_path / "mine")
    assert (card.timm, card.num_classes) == ("test_vit", 12)
    assert card.preprocessing == Preprocessing(
        48, (0.5,) * 3, (0.5,) * 3, interpolation="bicubic", mode="squash", crop=1.0
    )


def test_weights_of_a_tag_are_preprocessed_as_timm_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = "test_vit.r160_in1k"
    network = build_timm_network(tag, 1000, 160)
    monkeypatch.setattr(
        making, "load_pretrained", lambda *_: Pretrained(network, {"tag": tag, "sha256": "0"})
    )
    facts = TIMM | {"weights": {"timm": tag}, "preprocessing": None, "num_classes": 1000}
    classifier, card = import_weights(facts)
    assert card.preprocessing == Preprocessing(
        160, (0.5,) * 3, (0.5,) * 3, interpolation="bicubic", mode="crop", crop=0.95
    )
    assert (card.timm, card.source["tag"]) == (tag, tag)
    save_checkpoint(tmp_path, classifier, card)
    images = torch.rand(2, 3, 160, 160)
    assert torch.equal(load_classifier(tmp_path)(images), classifier(images))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": {"depth": 7}}, "mine: depth is 7, but 6 in timm's test_vit"),
        ({"arguments": {"layers": [3, 3]}}, r"layers is \[3, 3\], but None in timm's test_vit"),
        ({"patch_size": 14}, "patch_size is 14, but 16 in timm's test_vit"),
        ({"num_classes": 10}, "the file's head has 12 classes, the network's 10"),
        ({"preprocessing": {"size": 48}}, "preprocessing has size; allowed: side"),
        ({"preprocessing": None}, "mine: side is not known"),
        ({"num_classes": None}, "mine: num_classes is not known"),
    ],
)
def test_what_the_configuration_says_of_a_network_must_hold(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    network = build_timm_network("test_vit", 12, 48)
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    with pytest.raises(ValueError, match=message):
        _import(tmp_path / "mine.pt", facts=TIMM | changes, num_classes=None, side=None)


def test_resampled_positions_are_on_the_card(tmp_path: Path) -> None:
    network = build_timm_network("test_vit", 12, 48)
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    facts = TIMM | {"preprocessing": {"side": 64}}
    classifier, card = _import(tmp_path / "mine.pt", facts=facts, num_classes=None, side=None)
    assert card.source["notes"] == [
        "pos_embed is resampled as in timm from 3 x 3 patches, an input of 48 px, to 4 x 4"
    ]
    assert classifier(torch.rand(2, 3, 64, 64)).shape == (2, 12)


def test_random_weights_depend_on_the_seed_and_the_model_alone() -> None:
    def drawn(seed: int, model: str = "mine", torchs: int = 0) -> tuple[Tensor, ModelCard]:
        torch.manual_seed(torchs)
        facts = TIMM | {"model": model, "weights": {"random": seed}}
        classifier, card = import_weights(facts, num_classes=12)
        return classifier(torch.ones(1, 3, 48, 48) * torch.linspace(0, 1, 48)), card

    logits, card = drawn(1)
    assert (card.source, card.timm) == ({"random": 1}, "test_vit")
    assert torch.equal(drawn(1, torchs=5)[0], logits)
    assert not torch.equal(drawn(2)[0], logits)
    assert not torch.equal(drawn(1, model="other")[0], logits)


def test_another_hash_is_refused(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"SHA-256 is .* but the configuration says 0000"):
        _import(weights, "0" * 64)


def test_what_was_chosen_and_assumed_is_on_the_card(weights: Path, tmp_path: Path) -> None:
    state = load_file(weights)
    worse = {name: tensor * 0 for name, tensor in state.items()}
    path = tmp_path / "mine.pth"
    torch.save({"model": worse, "model_ema": {f"module.{n}": t for n, t in state.items()}}, path)
    origin = "mean [0.5, 0.5, 0.5], std [0.5, 0.5, 0.5] (of timm's network)"
    named = {"weights": {"file": str(path), "sha256": sha256_of(path)}}
    classifier, card = import_weights(GIVEN | named, num_classes=12, side=32, assumed=origin)
    save_checkpoint(tmp_path / "mine", classifier, card)
    assert read_card(tmp_path / "mine").source == {
        "file": "mine.pth",
        "sha256": sha256_of(path),
        "entry": "model_ema.module",
        "notes": ["averaged weights are taken, not model; `weights: entry` chooses others"],
        "preprocessing": origin,
    }
    chosen = {"weights": {"file": str(path), "sha256": sha256_of(path), "entry": "model"}}
    classifier, card = import_weights(GIVEN | chosen, num_classes=12, side=32)
    assert card.source["entry"] == "model"
    assert not any(tensor.any() for tensor in classifier.network.state_dict().values())


def test_a_normaliser_in_the_file_is_held_against_the_declared_preprocessing(
    weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.pth"
    values = {"normalize.mean": torch.full((3,), 0.5), "normalize.std": torch.full((3,), 0.25)}
    torch.save(load_file(weights) | values, path)
    named = {"weights": {"file": str(path), "sha256": sha256_of(path)}}
    card = import_weights(GIVEN | named, num_classes=12, side=32)[1]
    assert card.source["notes"] == [
        "normalize.mean is left out: it is the mean of the preprocessing",
        "normalize.std is left out: it is the std of the preprocessing",
    ]
    declared = {"preprocessing": {"side": 32, "std": [0.5, 0.5, 0.5]}}
    with pytest.raises(ValueError, match=r"normalize\.std is \[0\.25, .*has the std \[0\.5, "):
        import_weights(GIVEN | named | declared, num_classes=12)


def test_a_failed_download_is_named_before_its_hash_differs(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match=r"mine\.pt: .* it is a Git LFS pointer"):
        _import(tmp_path / "mine.pt", "0" * 64)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.pt: not found"):
        _import(tmp_path / "none.pt", "0" * 64)
