"""Checkpoints: loaded as saved, and refused if weights and card disagree."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from perturb.evaluation import loading
from perturb.files import sha256_of
from perturb.models.checkpoints import (
    ModelCard,
    build_classifier,
    load_classifier,
    read_card,
    save_checkpoint,
)
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.empty_networks import without_initial_values
from perturb.models.precision import exact_values, holds_bfloat16
from tests.workspace import told_by

CARD = ModelCard(
    model="vit-tiny-small",
    architecture="vit-tiny",
    family="vit",
    size="S",
    patch_size=16,
    arguments={"embed_dim": 16, "depth": 1, "num_heads": 1, "mlp_ratio": 1},
    num_classes=12,
    preprocessing=Preprocessing(side=32, mean=(0.4, 0.5, 0.6)),
    pretraining="small",
    data={"finetuning": 48, "validation": 24},
    seed=2021,
    curve=({"phase": "finetuning", "step": 3, "loss": 2.5, "validation_accuracy": None},),
    validation_accuracy=0.25,
)
TIMM = replace(  # timm's smallest ViT, for another input and task than its own
    CARD,
    patch_size=16,
    arguments={"patch_size": 16, "embed_dim": 64, "depth": 6, "num_heads": 2},
    preprocessing=Preprocessing(
        side=48, std=(0.2, 0.25, 0.3), interpolation="bicubic", mode="squash", crop=1.0
    ),
    timm="test_vit.r160_in1k",
    source={"tag": "test_vit.r160_in1k", "sha256": "0" * 64},
)
# Some of its tensors are in no state dict, so it cannot be built without weights of its own.
OTHER = replace(
    TIMM,
    family="resnet",
    patch_size=None,
    arguments={},
    preprocessing=Preprocessing(side=224),
    timm="efficientformerv2_s0",
)
RESNET = replace(
    CARD,
    family="resnet",
    patch_size=None,
    arguments={"layers": [1], "channels": [16], "num_groups": 4, "stem_channels": 8},
)


def _saved(directory: Path, card: ModelCard = CARD) -> tuple[Classifier, ModelCard]:
    torch.manual_seed(0)
    classifier = build_classifier(card).eval()
    return classifier, save_checkpoint(directory, classifier, card)


@pytest.mark.parametrize(
    "card", [CARD, RESNET, TIMM, OTHER], ids=["vit", "resnet", "timm", "other of timm"]
)
def test_a_loaded_classifier_is_the_saved_one(card: ModelCard, tmp_path: Path) -> None:
    classifier, saved = _saved(tmp_path / "model", card)
    loaded = load_classifier(tmp_path / "model")
    images = torch.rand(2, 3, 40, 40)
    assert torch.equal(loaded(images), classifier(images))
    assert not loaded.training
    assert loaded.preprocessing == card.preprocessing
    assert read_card(tmp_path / "model") == saved


def test_the_card_of_another_model_is_refused(tmp_path: Path) -> None:
    _, card = _saved(tmp_path)
    assert read_card(tmp_path, of=card.model) == card
    with pytest.raises(ValueError, match=r"card\.json: is the card of model .*, expected 'other'"):
        read_card(tmp_path, of="other")


def test_saving_fills_in_what_only_the_weights_tell(tmp_path: Path) -> None:
    classifier, card = _saved(tmp_path)
    assert card.num_parameters == sum(p.numel() for p in classifier.parameters())
    assert card.weights_sha256 == sha256_of(tmp_path / "weights.safetensors")
    assert {"torch", "timm"} <= card.versions.keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "weights.safetensors"]


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = (_saved(tmp_path / name)[1] for name in "ab")
    assert first == second


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    _saved(tmp_path)
    state = torch.get_rng_state()
    load_classifier(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_loading_imports_no_compiler(tmp_path: Path) -> None:
    cards = {"vit": CARD, "resnet": RESNET, "timm": TIMM}
    for name, card in cards.items():
        _saved(tmp_path / name, card)
    code = """
import sys
from perturb.models.checkpoints import load_classifier
for folder in sys.argv[1:]:
    load_classifier(folder)
    print(sorted({"torch._dynamo", "sympy", "torchvision"} & set(sys.modules)))
"""
    folders = [str(tmp_path / name) for name in cards]
    assert told_by([sys.executable, "-W", "ignore", "-c", code, *folders]).split() == ["[]"] * 3


def test_models_of_a_job_are_loaded_in_their_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Compiled(Classifier):  # a real one imports the compiler
        def __init__(self, classifier: Classifier) -> None:
            super().__init__(classifier.network, classifier.preprocessing)

    monkeypatch.setattr(loading, "CompiledClassifier", Compiled)
    saved = {}
    for name, card in (("vit", CARD), ("resnet", RESNET)):
        saved[name] = _saved(tmp_path / name, replace(card, model=name))[0]
    files = [tmp_path / name / "weights.safetensors" for name in saved]
    precisions = {"vit": "pure_bfloat16", "resnet": "bfloat16"}
    load = loading.loader(files, "cpu", compiled={"resnet"}, precision=precisions.__getitem__)
    subjects = {name: load(name) for name in saved}
    found = {name: subject.classifier for name, subject in subjects.items()}
    assert holds_bfloat16(found["vit"].network)
    for name, value in exact_values(found["vit"].network).items():
        assert torch.equal(value, saved["vit"].network.state_dict()[name])
    assert not holds_bfloat16(found["resnet"].network)
    is_compiled = {name: isinstance(one, Compiled) for name, one in found.items()}
    assert is_compiled == {"vit": False, "resnet": True}


def test_parameters_are_left_as_allocated_and_other_tensors_are_set() -> None:
    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.full((3, 3), 7.0))
            self.register_buffer("positions", torch.zeros(3).add_(2))
            torch.nn.init.kaiming_uniform_(self.weight)
            torch.nn.init.zeros_(self.weight)

    with without_initial_values():
        module = Module()
    assert module.weight.tolist() == [[7.0] * 3] * 3
    assert module.get_buffer("positions").tolist() == [2.0] * 3
    assert Module().weight.tolist() == [[0.0] * 3] * 3


def _edit_card(**changes: Any) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        path = directory / "card.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def _edit_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    """Change the tensors, and the hash in the card with them."""

    def edit(directory: Path) -> None:
        path = directory / "weights.safetensors"
        state = load_file(path)
        change(state)
        save_file(state, path)
        _edit_card(weights_sha256=sha256_of(path))(directory)

    return edit


def _no_safetensors(directory: Path) -> None:
    path = directory / "weights.safetensors"
    path.write_bytes(b"weights")
    _edit_card(weights_sha256=sha256_of(path))(directory)


def _flip_a_bit(directory: Path) -> None:
    path = directory / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "card.json").unlink(), "card.json: not found"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "safetensors: not found"),
        (lambda folder: (folder / "card.json").write_text("{"), "card.json: not JSON"),
        (
            lambda folder: (folder / "card.json").write_text("[]"),
            r"card.json: holds \[\]; allowed: exactly",
        ),
        (_edit_card(colour="red"), "holds .*colour.*; allowed: exactly"),
        (_edit_card(family="vgg"), "family is 'vgg'"),
        (
            _edit_card(preprocessing={"side": 32}),
            r"holds \['side'\]; allowed: exactly crop, interpolation, mean, mode, side, std",
        ),
        (_edit_card(num_classes=10), r"head.* has shape \(12.*; the network has \(10.*12 classes"),
        (_edit_weights(lambda state: state.pop("head.weight")), "missing tensors head.weight"),
        (
            _edit_weights(lambda state: state.update(tail=torch.zeros(1))),
            "unexpected tensors tail",
        ),
        (_flip_a_bit, "SHA-256 is .* but its card says"),
        (_no_safetensors, "not a safetensors file"),
    ],
)
def test_a_damaged_checkpoint_is_refused(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    _saved(tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=message):
        load_classifier(tmp_path)


def test_a_failed_save_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, card = _saved(tmp_path)

    def fail(_: dict[str, torch.Tensor], path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("perturb.models.checkpoints.save_file", fail)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(tmp_path, classifier, card)
    monkeypatch.undo()
    load_classifier(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "weights.safetensors"]
