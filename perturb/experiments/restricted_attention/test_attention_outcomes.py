"""Evaluation under restricted attention: masks, their order, shared computation."""

from typing import Any

import pytest
import torch

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Evaluator, Setting
from perturb.experiments.restricted_attention.attention import token_layout, with_attention
from perturb.experiments.restricted_attention.evaluate import (
    distance_outcomes,
    patch_attention_outcomes,
)
from perturb.experiments.restricted_attention.masks import (
    patch_attention_mask,
    permuted_masks,
    window_mask,
)
from tests.plain_vit import DEPTH, VARIANTS, images_of, small_resnet, small_vit


@torch.inference_mode()
@pytest.mark.parametrize("variant", VARIANTS)
def test_outcomes_of_distance_are_the_masked_logits(variant: str) -> None:
    classifier, images = small_vit(variant).float(), images_of()
    layout = token_layout(classifier)
    setting = Setting(("window", "permuted"), 1.0, 9, {"seeds": 2})
    outcomes = list(distance_outcomes(classifier, images, setting))
    names = [(outcome.condition, outcome.sample) for outcome in outcomes]
    assert names == [("window", 0), ("permuted", 1), ("permuted", 2)]
    window = window_mask(layout.grid, 1, layout.num_prefix)
    for outcome in outcomes:
        masks: Any = window
        if outcome.sample:
            sample = outcome.sample
            masks = permuted_masks(window, layout.num_prefix, DEPTH, seed=9, sample=sample)
        with with_attention(classifier, masks):
            assert torch.equal(outcome.logits, classifier(images.pixels))
    differences = torch.pdist(torch.stack([o.logits.flatten() for o in outcomes]))
    assert (differences > 1e-2).all()


@torch.inference_mode()
@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "no_class_token"])
def test_outcomes_of_patch_attention_are_the_masked_logits(variant: str) -> None:
    classifier, images = small_vit(variant).float(), images_of()
    layout = token_layout(classifier)
    alone = patch_attention_mask(layout.num_patches, layout.num_prefix)
    first, last = patch_attention_outcomes(classifier, images, Setting(("first", "last"), 2.0, 9))
    assert (first.condition, last.condition) == ("first", "last")
    assert first.sample == last.sample == 0
    for outcome, masks in ((first, [alone, alone, None]), (last, [None, alone, alone])):
        with with_attention(classifier, masks):
            assert torch.equal(outcome.logits, classifier(images.pixels))
    assert not torch.allclose(first.logits, last.logits, atol=1e-2)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("evaluator", "conditions", "severity"),
    [
        (distance_outcomes, ("window", "permuted"), 3),
        (distance_outcomes, ("window", "permuted"), 24),
        (patch_attention_outcomes, ("first", "last"), 0),
    ],
)
@pytest.mark.parametrize("is_fused", [True, False])
def test_where_nothing_is_cut_off_no_bit_changes(
    evaluator: Evaluator, conditions: tuple[str, ...], severity: float, is_fused: bool
) -> None:
    classifier, images = small_vit(is_fused=is_fused).float(), images_of()
    outcomes = list(evaluator(classifier, images, Setting(conditions, severity, 9)))
    assert len(outcomes) == (6 if evaluator is distance_outcomes else 2)
    assert all(torch.equal(o.logits, classifier(images.pixels)) for o in outcomes)


@torch.inference_mode()
def test_images_are_embedded_once_and_nothing_is_masked_between_outcomes() -> None:
    classifier, images = small_vit().float(), images_of()
    unmasked, calls = classifier(images.pixels), []
    handle = classifier.network.patch_embed.register_forward_hook(lambda *_: calls.append(1))
    for outcome in distance_outcomes(classifier, images, Setting(("window", "permuted"), 1, 9)):
        assert outcome.logits.dtype == torch.float32
        assert not any(module._forward_pre_hooks for module in classifier.modules())
    assert len(calls) == 1
    handle.remove()
    next(patch_attention_outcomes(classifier, images, Setting(("first", "last"), 1, 9)))
    assert torch.equal(classifier(images.pixels), unmasked)


@pytest.mark.parametrize(
    ("evaluator", "conditions", "severity"),
    [
        (distance_outcomes, ("window", "permuted"), 1),
        (patch_attention_outcomes, ("first", "last"), 2),
    ],
)
def test_an_image_is_decided_alike_in_any_batch(
    evaluator: Evaluator, conditions: tuple[str, ...], severity: float
) -> None:
    classifier, images = small_vit(), images_of(6)
    setting = Setting(conditions, severity, 9)
    order = torch.tensor([4, 1, 3])
    some = Images(images.pixels[order], images.keys[order], images.targets[order])
    for whole, part in zip(
        evaluator(classifier, images, setting), evaluator(classifier, some, setting), strict=True
    ):
        torch.testing.assert_close(whole.logits[order], part.logits)


@pytest.mark.parametrize(
    ("evaluator", "severity", "message"),
    [
        (distance_outcomes, 1.5, "distance of .* is 1.5; allowed: a whole number, 0 or"),
        (distance_outcomes, -1, "distance of .* is -1; allowed: a whole number, 0 or"),
        (patch_attention_outcomes, 4, "is 4; allowed: a whole number, 0 to 3"),
    ],
)
def test_wrong_severities_are_named(evaluator: Evaluator, severity: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(evaluator(small_vit(), images_of(), Setting((), severity, 0)))


def test_patches_that_could_exchange_nothing_are_refused() -> None:
    setting = Setting(("first",), 1, 0)
    with pytest.raises(ValueError, match="VisionTransformer has no prefix tokens"):
        list(patch_attention_outcomes(small_vit("no_class_token"), images_of(), setting))


@pytest.mark.parametrize("evaluator", [distance_outcomes, patch_attention_outcomes])
def test_a_network_without_attention_is_refused(evaluator: Evaluator) -> None:
    with pytest.raises(ValueError, match="network is ResNetV2; allowed: ViTs"):
        list(evaluator(small_resnet(), images_of(), Setting((), 1, 0)))
