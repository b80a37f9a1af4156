"""timm's networks by name, and weights by tag from a cache of the hub that the test fills."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor, nn

from perturb.experiments.lesions.surgery import without, without_heads
from perturb.experiments.restricted_attention.attention import token_layout, with_attention
from perturb.experiments.restricted_attention.masks import window_mask
from perturb.files import sha256_of
from perturb.models import timm_table, zoo
from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.timm_modules import find_config, load_timm_zoo
from perturb.models.zoo import (
    build_timm_network,
    check_table,
    describe_config,
    describe_network,
    load_pretrained,
)

TAG = "test_vit.r160_in1k"  # timm's smallest ViT
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("name", "side"),
    [
        (TAG, 160),
        (TAG, 64),
        ("test_vit", 64),
        ("resnetv2_18", 64),
        ("test_resnet.r160_in1k", 64),
        ("test_vit3.r160_in1k", 64),
    ],
)
def test_networks_are_timms_own_at_any_side(name: str, side: int) -> None:
    torch.manual_seed(0)
    network = build_timm_network(name, 12, side).eval()
    timm = load_timm_zoo()
    size = {} if "resnet" in name else {"img_size": side}
    torch.manual_seed(0)
    expected = timm.create_model(name, num_classes=12, **size).eval()
    assert type(network) is type(expected)
    pixels = torch.rand(2, 3, side, side)
    with torch.inference_mode():
        assert torch.equal(network(pixels), expected(pixels))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "vit_base_patch16_385",
            "'vit_base_patch16_385' is not an architecture of the installed timm",
        ),
        ("vit_base_patch16_384.best", "is not a tag of the installed timm"),
    ],
)
def test_unknown_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_timm_network(name, 12, 64)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a tag's weights in a hub's cache without network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / f"models--timm--{TAG}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(REVISION)
    (folder / "snapshots" / REVISION).mkdir(parents=True)
    return folder / "snapshots" / REVISION / "model.safetensors"


def _weights() -> dict[str, Tensor]:
    torch.manual_seed(3)
    network = build_timm_network(TAG, 1000, 160)
    return {name: torch.randn_like(tensor) for name, tensor in network.state_dict().items()}


def test_weights_of_a_tag_come_from_the_cache_without_network(cache: Path) -> None:
    state = _weights()
    save_file(state, cache)
    pretrained = load_pretrained(TAG, 1000, 160)
    for name, tensor in pretrained.network.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert pretrained.source == {
        "tag": TAG,
        "timm": load_timm_zoo().__version__,
        "hub": f"timm/{TAG}",
        "revision": REVISION,
        "file": "model.safetensors",
        "sha256": sha256_of(cache),
    }


def test_positions_of_a_tag_are_resized_to_another_side(cache: Path) -> None:
    save_file(_weights(), cache)
    network = load_pretrained(TAG, 1000, 64).network
    assert network.pos_embed.shape[1] == 1 + 4 * 4  # type: ignore[index]
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_files_of_torch_are_read_where_there_is_no_other(cache: Path) -> None:
    state = _weights()
    path = cache.with_name("pytorch_model.bin")
    torch.save(state, path)
    source = load_pretrained(TAG, 1000, 160).source
    assert (source["file"], source["sha256"]) == ("pytorch_model.bin", sha256_of(path))


def test_missing_weights_say_how_to_get_them(cache: Path) -> None:
    assert not cache.exists()
    with pytest.raises(
        ValueError, match=rf"no weights of {TAG}: .*`hf download timm/{TAG} model.safetensors`"
    ):
        load_pretrained(TAG, 1000, 160)


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _another_head(path: Path) -> None:
    save_file(_weights() | {"head.bias": torch.zeros(10)}, path)


@pytest.mark.parametrize("damage", [_half, _another_head])
def test_damaged_weights_are_refused(damage: Any, cache: Path) -> None:
    save_file(_weights(), cache)
    damage(cache)
    with pytest.raises(ValueError, match=f"the weights of {TAG} cannot be read"):
        load_pretrained(TAG, 1000, 160)


def test_weights_of_another_task_are_refused() -> None:
    with pytest.raises(ValueError, match="has 1000 classes; the task has 12"):
        load_pretrained(TAG, 12, 384)


@pytest.mark.parametrize(
    ("column", "value"), [("side", 224), ("mean", (0.0, 0.0, 0.0)), ("mode", "squash")]
)
def test_a_table_of_another_timm_is_refused(
    column: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(timm_table.model_of(TAG), **{column: value})
    monkeypatch.setattr(zoo, "model_of", {TAG: wrong}.get)
    with pytest.raises(ValueError, match=rf"timm_models.csv: {column} of {TAG} is .*, but "):
        check_table(TAG)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        # timm scales the longest edge and fills the square up: no view of ours does that.
        ({"crop_mode": "border"}, "crop mode 'border'.*; allowed: .*center, squash"),
        ({"interpolation": "lanczos"}, "interpolation 'lanczos'; allowed: .*bilinear, bicubic"),
        ({"input_size": (3, 224, 160)}, r"input \(3, 224, 160\).*; allowed: squares"),
    ],
)
def test_what_no_view_can_show_is_refused(setting: dict[str, Any], message: str) -> None:
    check_table(TAG)
    config = replace(find_config(TAG), **setting)
    with pytest.raises(ValueError, match=message):
        describe_config(TAG, config)


# Full size, random weights, one image: name, side, kind, blocks.
FULL = [
    ("vit_base_patch16_384.orig_in21k_ft_in1k", 224, 12),
    ("vit_base_patch32_384.augreg_in21k_ft_in1k", 384, 12),
    ("resnetv2_50x1_bit.goog_in21k_ft_in1k", 224, 16),
    ("resnetv2_50x1_bit.goog_in21k_ft_in1k", 448, 16),
]


def _full(name: str, side: int) -> tuple[Classifier, Tensor]:
    torch.manual_seed(0)
    network = build_timm_network(name, 1000, side)
    for parameter in network.parameters():  # timm starts heads and last norms at zero
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    images = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8)
    return Classifier(network, Preprocessing(side)).eval(), images


@torch.inference_mode()
@pytest.mark.parametrize(("name", "side", "num_blocks"), FULL)
def test_full_size_networks_can_be_cut_and_lesioned(name: str, side: int, num_blocks: int) -> None:
    classifier, images = _full(name, side)
    logits = classifier(images)
    assert logits.shape == (1, 1000)
    assert logits.std() > 1e-3
    body = anatomy(classifier.network)
    assert body.num_blocks == num_blocks
    activations = body.embed(classifier, images)
    assert torch.equal(body.head(body.run(activations)), logits)
    for block in (body.removable[0], body.removable[-1]):
        with without(classifier, [block]):
            assert (classifier(images) - logits).abs().max() > 1e-4
    assert torch.equal(classifier(images), logits)


@torch.inference_mode()
def test_full_size_attention_is_restricted() -> None:
    classifier, images = _full("vit_base_patch16_384.orig_in21k_ft_in1k", 224)
    logits, layout = classifier(images), token_layout(classifier)
    assert (layout.grid, layout.num_tokens) == ((14, 14), 197)
    assert describe_network(classifier.network)["num_heads"] == 12
    with with_attention(classifier, window_mask(layout.grid, 2, layout.num_prefix)):
        assert (classifier(images) - logits).abs().max() > 1e-4
    with without_heads(classifier, [(11, 11)]):
        assert (classifier(images) - logits).abs().max() > 1e-4
    assert torch.equal(classifier(images), logits)
