"""Changes of networks that are no plain ViT or BiT, against the same networks in plain torch."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Setting
from perturb.experiments.layer_correlations.features import block_outputs
from perturb.experiments.lesions.evaluate import lesion_outcomes
from perturb.experiments.lesions.surgery import without
from perturb.experiments.restricted_attention.attention import token_layout, with_attention
from perturb.experiments.restricted_attention.evaluate import (
    distance_outcomes,
    patch_attention_outcomes,
)
from perturb.experiments.restricted_attention.masks import patch_attention_mask, window_mask
from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.timm_modules import find_maker, load_timm_zoo
from tests import plain_families

NUM_CLASSES, SIDE, HEADS = 7, 48, 3


def _convnext() -> nn.Module:
    maker = find_maker("convnext_tiny")
    assert maker is not None
    network: nn.Module = maker(
        num_classes=NUM_CLASSES, depths=(2, 1, 2, 1), dims=(16, 16, 24, 24), ls_init_value=0.5
    )
    return network


def _mixer() -> nn.Module:
    load_timm_zoo()
    network: nn.Module = sys.modules["timm.models.mlp_mixer"].MlpMixer(
        num_classes=NUM_CLASSES, img_size=SIDE, patch_size=16, num_blocks=4, embed_dim=24
    )
    return network


def _beit() -> nn.Module:
    maker = find_maker("beit_base_patch16_224")
    assert maker is not None
    network: nn.Module = maker(
        num_classes=NUM_CLASSES, img_size=SIDE, embed_dim=24, depth=4, num_heads=HEADS
    )
    return network


def _plain_beit(state: Any, pixels: Tensor, removed: Any = ()) -> plain_families.Run:
    mask = torch.ones(10, 10, dtype=torch.bool)
    return plain_families.beit(state, pixels, removed, heads=HEADS, mask=mask)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[..., plain_families.Run]]] = {
    "ConvNeXt": (_convnext, plain_families.convnext),
    "MLP-Mixer": (_mixer, plain_families.mixer),
    "BEiT": (_beit, _plain_beit),
}


def classifier_of(build: Callable[[], nn.Module]) -> Classifier:
    """Return a classifier in double precision whose every parameter is random."""
    torch.manual_seed(0)
    network = build()
    for parameter in network.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape) / max(parameter.ndim, 1)
    return Classifier(network.double(), Preprocessing(SIDE)).double().eval()


def some_images(count: int = 4) -> Images:
    """Return noise of the networks' size."""
    pixels = torch.randint(0, 256, (count, 3, SIDE, SIDE), dtype=torch.uint8)
    return Images(pixels, torch.arange(count), torch.zeros(count, dtype=torch.long))


@pytest.mark.parametrize("name", NETWORKS)
def test_block_outputs_are_those_of_plain_torch(name: str) -> None:
    build, plain = NETWORKS[name]
    classifier, images = classifier_of(build), some_images().pixels
    with torch.inference_mode():
        _, expected = plain(classifier.network.state_dict(), classifier.prepare(images))
        found = block_outputs(classifier, anatomy(classifier.network), images, at_once=3)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_cell_of_lesions_has_the_logits_of_plain_torch(name: str) -> None:
    build, plain = NETWORKS[name]
    classifier, images = classifier_of(build), some_images()
    state, pixels = classifier.network.state_dict(), classifier.prepare(images.pixels)
    with torch.inference_mode():
        whole, _ = plain(state, pixels)
    for count in (0, 1, 2):
        setting = Setting(("block",), float(count), 7, {"samples": 2} if count > 1 else {})
        outcomes = list(lesion_outcomes(classifier, images, setting))
        assert len(outcomes) == {0: 1, 1: anatomy(classifier.network).num_blocks, 2: 2}[count]
        for outcome in outcomes:
            removed = tuple(map(int, filter(None, str(outcome.added["removed"]).split(","))))
            with torch.inference_mode():
                expected, _ = plain(state, pixels, removed)
            torch.testing.assert_close(outcome.logits, expected.float())
            assert torch.allclose(expected, whole) == (not removed)
    with torch.inference_mode():
        torch.testing.assert_close(classifier(images.pixels), whole)


@pytest.mark.parametrize("is_fused", [True, False])
def test_masks_of_a_beit_are_those_of_plain_torch(is_fused: bool) -> None:
    classifier, images = classifier_of(_beit), some_images()
    for block in classifier.network.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = is_fused
    layout = token_layout(classifier)
    assert (layout.grid, layout.num_prefix, layout.has_class_token) == ((3, 3), 1, True)
    state, pixels = classifier.network.state_dict(), classifier.prepare(images.pixels)
    cells = {
        window_mask((3, 3), 1, 1): distance_outcomes(
            classifier, images, Setting(("window",), 1.0, 7, {"seeds": 1})
        ),
        patch_attention_mask(9, 1): patch_attention_outcomes(
            classifier, images, Setting(("first",), 4.0, 7, {})
        ),
    }
    for mask, outcomes in cells.items():
        with torch.inference_mode():
            expected, _ = plain_families.beit(state, pixels, heads=HEADS, mask=mask)
            whole, _ = _plain_beit(state, pixels)
        [outcome] = outcomes
        torch.testing.assert_close(outcome.logits, expected.float())
        assert not torch.allclose(outcome.logits, whole.float())
    with torch.inference_mode(), with_attention(classifier, torch.ones(10, 10).bool()):
        torch.testing.assert_close(classifier(images.pixels), whole)


@pytest.mark.parametrize("part", ["mlp", "attention"])
def test_parts_of_blocks_are_removed_only_where_stages_are_known(part: str) -> None:
    classifier = classifier_of(_beit)
    with (
        pytest.raises(ValueError, match=f"without a separate {part}"),
        without(classifier, [1], part),
    ):
        pass
