"""Classifiers of restricted attention, against a ViT of plain torch."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.experiments.lesions.surgery import without, without_heads
from perturb.experiments.restricted_attention.attention import Masks, token_layout, with_attention
from perturb.experiments.restricted_attention.masks import (
    patch_attention_mask,
    permuted_masks,
    window_mask,
)
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.timm_modules import VisionTransformer
from tests.plain_vit import DEPTH, VARIANTS, plain_logits, small_resnet, small_vit, some_images


def _all_masks(classifier: Classifier) -> Iterator[tuple[str, list[Tensor | None]]]:
    """Yield every mask of the study that excludes a pair, for each block."""
    layout = token_layout(classifier)
    for distance in range(max(layout.grid) - 1):
        window = window_mask(layout.grid, distance, layout.num_prefix)
        yield f"window {distance}", [window] * DEPTH
        masks = permuted_masks(window, layout.num_prefix, DEPTH, seed=1, sample=1)
        yield f"permuted {distance}", list(masks)
    if layout.num_prefix:
        alone = patch_attention_mask(layout.num_patches, layout.num_prefix)
        for count in range(1, DEPTH + 1):
            yield f"first {count}", [alone] * count + [None] * (DEPTH - count)
            yield f"last {count}", [None] * (DEPTH - count) + [alone] * count


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_masked_logits_are_those_of_a_plain_vit(variant: str, is_fused: bool) -> None:
    classifier, images = small_vit(variant, is_fused=is_fused), some_images()
    torch.testing.assert_close(classifier(images), plain_logits(classifier, images))
    for name, masks in _all_masks(classifier):
        with with_attention(classifier, masks):
            found = classifier(images)
        expected = plain_logits(classifier, images, masks)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9, msg=name)


@torch.inference_mode()
@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_mask_changes_the_logits_of_every_image(variant: str, is_fused: bool) -> None:
    classifier, images = small_vit(variant, is_fused=is_fused).float(), some_images()
    unmasked = classifier(images)
    for name, masks in _all_masks(classifier):
        with with_attention(classifier, masks):
            change = (classifier(images) - unmasked).abs().amax(dim=1)
        # A head on prefix tokens does not depend on attention between patches in the last block.
        is_unheard = name == "last 1" and classifier.network.global_pool == "token"
        assert (change < 1e-4).all() if is_unheard else (change > 1e-2).all(), name


@torch.inference_mode()
@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_stays_behind(variant: str) -> None:
    classifier, images = small_vit(variant).float(), some_images()
    unmasked = classifier(images)
    state = {name: value.clone() for name, value in classifier.state_dict().items()}
    _, masks = next(_all_masks(classifier))
    with with_attention(classifier, masks) as changed:
        assert changed is classifier
        assert not torch.equal(classifier(images), unmasked)
    assert torch.equal(classifier(images), unmasked)
    with pytest.raises(RuntimeError, match="stop"), with_attention(classifier, masks):
        raise RuntimeError("stop")
    assert torch.equal(classifier(images), unmasked)
    # Also when the setup fails at the second block.
    with (
        pytest.raises(ValueError, match="allowed"),
        with_attention(classifier, [masks[0], unmasked, None]),
    ):
        pass
    assert torch.equal(classifier(images), unmasked)
    assert all(torch.equal(state[name], value) for name, value in classifier.state_dict().items())
    assert not any(module._forward_pre_hooks for module in classifier.modules())


@torch.inference_mode()
@pytest.mark.parametrize("is_fused", [True, False])
def test_masks_of_ones_change_no_bit(is_fused: bool) -> None:
    classifier, images = small_vit(is_fused=is_fused).float(), some_images()
    unmasked = classifier(images)
    ones = torch.ones(17, 17, dtype=torch.bool)
    for masks in (ones, ones.repeat(DEPTH, 1, 1), [None, ones, None], [None] * DEPTH):
        with with_attention(classifier, masks):
            assert torch.equal(classifier(images), unmasked)
            # On every machine: the kernels receive no mask.
            assert not any(module._forward_pre_hooks for module in classifier.modules())


@torch.inference_mode()
def test_one_mask_stands_for_all_blocks() -> None:
    classifier, images = small_vit(), some_images()
    window = window_mask((4, 4), 1, 1)
    results = []
    for masks in (window, [window] * DEPTH, window.repeat(DEPTH, 1, 1)):
        with with_attention(classifier, masks):
            results.append(classifier(images))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@torch.inference_mode()
@pytest.mark.parametrize("is_fused", [True, False])
def test_nested_masks_leave_what_both_leave(is_fused: bool) -> None:
    classifier, images = small_vit(is_fused=is_fused), some_images()
    one = window_mask((4, 4), 1, 1)
    other = permuted_masks(one, 1, DEPTH, seed=1, sample=1)
    with with_attention(classifier, one), with_attention(classifier, other):
        found = classifier(images)
    expected = plain_logits(classifier, images, list(other & one))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@torch.inference_mode()
@pytest.mark.parametrize("is_fused", [True, False])
def test_masks_and_lesions_compose_in_either_order(is_fused: bool) -> None:
    classifier, images = small_vit(is_fused=is_fused), some_images()
    window = window_mask((4, 4), 1, 1)
    with with_attention(classifier, window), without(classifier, [1], "attention"):
        inside = classifier(images)
    with without(classifier, [1], "attention"), with_attention(classifier, window):
        outside = classifier(images)
    expected = plain_logits(classifier, images, [window] * DEPTH, removed=[(1, "attention")])
    torch.testing.assert_close(inside, expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(inside, outside)
    with without(classifier, [1]), with_attention(classifier, window):
        without_block = classifier(images)
    with with_attention(classifier, [window, None, window]), without(classifier, [1]):
        assert torch.equal(classifier(images), without_block)
    with without_heads(classifier, [(0, 1)]), with_attention(classifier, window):
        without_head = classifier(images)
    with with_attention(classifier, window), without_heads(classifier, [(0, 1)]):
        assert torch.equal(classifier(images), without_head)
    assert not torch.allclose(without_head, without_block)
    torch.testing.assert_close(classifier(images), plain_logits(classifier, images))


@torch.inference_mode()
def test_the_mask_follows_the_type_of_the_tokens() -> None:
    classifier, images = small_vit().float(), some_images()
    window = window_mask((4, 4), 1, 1)
    with with_attention(classifier, window):
        exact = classifier(images)
        with torch.autocast("cpu", torch.bfloat16):
            rough = classifier(images)
    assert not torch.equal(rough, exact)  # the tokens were bfloat16; logits are float32 either way
    assert (rough.float() - exact).abs().max() < 0.2
    assert (classifier(images) - exact).abs().max() > 0.2


BLOCKS = sys.modules[VisionTransformer.__module__]


@torch.inference_mode()
@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {"attn_layer": "diff"},
        {"block_fn": BLOCKS.ResPostBlock},
        {"block_fn": BLOCKS.ParallelScalingBlock},
        {"block_fn": BLOCKS.DiffParallelScalingBlock},
        {"block_fn": BLOCKS.ParallelThingsBlock},
    ],
)
def test_other_blocks_of_timms_are_masked_as_timm_does(
    changes: dict[str, Any], is_fused: bool
) -> None:
    classifier, images = small_vit(is_fused=is_fused, **changes), some_images()
    window = window_mask((4, 4), 1, 1)
    unmasked = classifier(images)
    preprocessed = (images.double() / 255 - 0.5) / 0.25
    expected = classifier.network(preprocessed, attn_mask=window)
    with with_attention(classifier, window):
        torch.testing.assert_close(classifier(images), expected)
    assert ((expected - unmasked).abs().amax(dim=1) > 1e-2).all()
    assert torch.equal(classifier(images), unmasked)


MASK = torch.ones(17, 17, dtype=torch.bool)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (MASK.float(), r"mask is torch.float32 \(17, 17\); allowed: torch.bool \(17, 17\)"),
        (MASK[1:, 1:], r"mask is torch.bool \(16, 16\); allowed: torch.bool \(17, 17\)"),
        ([MASK] * 2, "number of masks is 2; allowed: 3, one a block"),
        (MASK.tril(-1), "mask leaves token 0 nothing to attend to"),
    ],
)
def test_masks_that_do_not_fit_are_named(masks: Masks, message: str) -> None:
    with pytest.raises(ValueError, match=message), with_attention(small_vit(), masks):
        pass


def test_another_number_of_tokens_is_noticed_where_it_happens() -> None:
    classifier = small_vit()
    with with_attention(classifier, window_mask((4, 4), 1, 1)):
        block = classifier.network.blocks[1]
        with pytest.raises(ValueError, match="masks are for 17 tokens, but Attention got 9"):
            block(torch.zeros(2, 9, 24).double())


class Windowed(nn.Module):
    """Attention without a mask argument for all tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens


def _windowed_vit() -> nn.Module:
    classifier = small_vit().float()
    classifier.network.blocks[1] = Windowed()
    return classifier.network


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            _windowed_vit(),
            "block 1 of VisionTransformer is Windowed, whose attention takes no mask",
        ),
        (small_resnet().network, "network is ResNetV2; allowed: ViTs, as it has no attention"),
        (nn.Sequential(Windowed()), "network is Sequential; allowed: timm's VisionTransformer"),
    ],
)
def test_what_cannot_be_restricted_is_refused(network: nn.Module, message: str) -> None:
    classifier = Classifier(network, Preprocessing(side=16))
    with pytest.raises(ValueError, match=message), with_attention(classifier, MASK):
        pass


def test_the_layout_is_the_networks() -> None:
    layout = token_layout(small_vit("registers"))
    assert (layout.grid, layout.num_prefix, layout.num_tokens) == ((4, 4), 4, 20)
    assert token_layout(small_vit("wide_grid")).grid == (4, 8)
    assert not token_layout(small_vit("no_class_token")).has_class_token
    arguments = {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 1, "num_heads": 1}
    network = VisionTransformer(**arguments, dynamic_img_size=True)
    assert token_layout(Classifier(network, Preprocessing(side=16))).grid == (4, 4)
