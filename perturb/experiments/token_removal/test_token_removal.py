"""Token removal, against known attention and a ViT of plain torch."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.restricted_attention.attention import token_layout
from perturb.experiments.token_removal.evaluate import class_attention, keep_tokens, token_outcomes
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from tests.plain_vit import (
    SIDE,
    VARIANTS,
    WITH_CLASS_TOKEN,
    images_of,
    plain_logits,
    small_resnet,
    small_vit,
    some_images,
)

BOTH = ("random", "low_attention")


def _seen_by_block(classifier: Classifier, index: int) -> list[Tensor]:
    """Return a list that records the inputs of a block from now on."""
    seen: list[Tensor] = []
    block = classifier.network.blocks[index]  # type: ignore[index]
    block.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    return seen


def _outcomes(
    classifier: Classifier,
    images: Images,
    conditions: tuple[str, ...],
    share: float,
    **options: Any,
) -> list[Outcome]:
    return list(token_outcomes(classifier, images, Setting(conditions, share, 9, options)))


@torch.inference_mode()
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("is_fused", [True, False])
def test_without_removal_no_bit_changes(variant: str, is_fused: bool) -> None:
    classifier, images = small_vit(variant, is_fused=is_fused).float(), images_of()
    conditions = BOTH if token_layout(classifier).has_class_token else ("random",)
    for after in (None, 2, 3):
        outcomes = _outcomes(classifier, images, conditions, 0.0, seeds=2, after_block=after)
        assert [(o.condition, o.sample) for o in outcomes][:2] == [("random", 1), ("random", 2)]
        assert len(outcomes) == len(conditions) + 1
        for outcome in outcomes:
            assert torch.equal(outcome.logits, classifier(images.pixels))
            assert outcome.added["flops_kept"].tolist() == [1.0] * 4


@torch.inference_mode()
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("is_fused", [True, False])
def test_logits_are_those_of_a_plain_vit_without_the_tokens(variant: str, is_fused: bool) -> None:
    classifier, images = small_vit(variant, is_fused=is_fused), images_of()
    layout = token_layout(classifier)
    before, after = _seen_by_block(classifier, 1), _seen_by_block(classifier, 2)
    conditions = BOTH if layout.has_class_token else ("random",)
    outcomes = _outcomes(classifier, images, conditions, 0.5, seeds=2, after_block=2)
    assert len(before) == 1  # the blocks before the cut are shared
    assert len(after) == len(outcomes)
    unchanged = classifier(images.pixels)
    whole = after.pop()
    for outcome, tokens in zip(outcomes, after, strict=True):
        assert tokens.shape[1] == layout.num_prefix + layout.num_patches // 2
        is_same = (tokens[:, :, None] == whole[:, None]).all(dim=3)  # (B, N', N)
        assert (is_same.sum(dim=2) == 1).all()
        kept = is_same.int().argmax(dim=2)
        assert (kept.diff(dim=1) > 0).all()
        assert (kept[:, : layout.num_prefix] == torch.arange(layout.num_prefix)).all()
        expected = plain_logits(classifier, images.pixels, kept={2: kept})
        torch.testing.assert_close(outcome.logits, expected.float(), rtol=1e-5, atol=1e-5)
        change = (outcome.logits - unchanged).abs().amax(dim=1)
        assert (change > 1e-2).all()


@torch.inference_mode()
@pytest.mark.parametrize("variant", WITH_CLASS_TOKEN)
def test_class_attention_is_the_softmax_of_the_network(variant: str) -> None:
    classifier, images = small_vit(variant, is_fused=False), some_images()
    layout, block = token_layout(classifier), classifier.network.blocks[1]  # type: ignore[index]
    weights: list[Tensor] = []
    taken: list[Tensor] = []
    block.attn.attn_drop.register_forward_pre_hook(lambda _, args: weights.append(args[0]))
    block.attn.register_forward_pre_hook(lambda _, args: taken.append(args[0]))
    classifier(images)
    expected = weights[0].mean(dim=1)[:, 0, layout.num_prefix :]
    torch.testing.assert_close(class_attention(block, taken[0], layout), expected)
    assert (expected.sum(dim=1) < 1).all()


def _brightness_vit() -> Classifier:
    """Return a classifier whose class token attends more to brighter patches.

    The first feature of a patch is its brightness, that of the prefix is 0; queries are 1 there,
    keys copy it. In one head only, and the other head's attention is even.
    """
    arguments = {"patch_size": 4, "embed_dim": 8, "depth": 3, "num_heads": 2, "mlp_ratio": 1}
    classifier = Classifier(
        build_network("vit", arguments, 7, SIDE), Preprocessing.of_trained(SIDE)
    )
    network: Any = classifier.eval().network
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.patch_embed.proj.weight[0] = 1 / (3 * 4 * 4)
        for block in network.blocks:
            block.norm1 = nn.Identity()
            block.attn.qkv.bias[0] = 4.0  # the query
            block.attn.qkv.weight[8, 0] = 1.0  # the key
    return classifier


@torch.inference_mode()
def test_tokens_of_least_attention_leave() -> None:
    classifier = _brightness_vit()
    generator = torch.Generator().manual_seed(0)
    ranks = torch.stack([torch.randperm(16, generator=generator) for _ in range(5)])
    levels = (ranks * 15 + 10).to(torch.uint8).view(5, 1, 4, 4).expand(-1, 3, -1, -1)
    pixels = levels.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3).contiguous()
    images = Images(pixels, torch.arange(5), torch.zeros(5).long())
    seen = _seen_by_block(classifier, 1)  # the default cut of three blocks is after the first
    for num_dropped in (4, 11, 15):
        _outcomes(classifier, images, ("low_attention",), num_dropped / 16)
        brightness = seen.pop()[:, 1:, 0]
        brightest = torch.stack(
            [
                row[rank >= num_dropped]
                for row, rank in zip(
                    (levels[:, 0].flatten(1).float() / 255 - 0.5) / 0.25, ranks, strict=True
                )
            ]
        )
        torch.testing.assert_close(brightness, brightest)


def test_known_attention_is_returned() -> None:
    classifier = _brightness_vit()
    tokens = torch.zeros(1, 17, 8)
    tokens[0, 1:, 0] = torch.linspace(-1, 1, 16)
    block = classifier.network.blocks[0]  # type: ignore[index]
    found = class_attention(block, tokens, token_layout(classifier))
    one_head = (tokens[0, :, 0] * 4.0 / 2).softmax(dim=0)[1:]  # heads are four wide
    torch.testing.assert_close(found[0], (one_head + 1 / 17) / 2)


def test_equal_ranks_leave_from_the_end() -> None:
    tokens = torch.arange(14.0).reshape(2, 7, 1)
    ranks = torch.tensor([[1.0, 3.0, 1.0, 3.0, 0.0]] * 2)
    kept = keep_tokens(tokens, ranks, 3)
    assert kept[:, :, 0].tolist() == [[0, 1, 2, 3, 5], [7, 8, 9, 10, 12]]
    assert keep_tokens(tokens, ranks, 0)[:, :, 0].tolist() == [[0, 1], [7, 8]]
    assert keep_tokens(tokens, ranks, 5) is tokens


def _random_choice(keys: Tensor, share: float, **options: Any) -> list[list[list[float]]]:
    """Return the patches kept, for each sample and image with a key; all images are equal."""
    classifier = _brightness_vit()
    places = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4) * 10
    pixels = places.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    pixels = pixels.expand(len(keys), 3, -1, -1)
    seen = _seen_by_block(classifier, 1)
    _outcomes(classifier, Images(pixels, keys, keys * 0), ("random",), share, **options)
    patches = [((tokens[:, 1:, 0] * 0.25 + 0.5) * 25.5).round().int() for tokens in seen]
    return [sample.tolist() for sample in patches]


def test_random_choices_depend_on_seed_sample_and_image_alone() -> None:
    keys = torch.tensor([5, 17, 900, 2**40])
    whole = _random_choice(keys, 0.5, seeds=3)
    assert len(whole) == 3
    assert len({tuple(kept) for sample in whole for kept in sample}) == 12
    for image, key in enumerate(keys):
        alone = _random_choice(key[None], 0.5, seeds=3)
        assert [sample[0] for sample in alone] == [sample[image] for sample in whole]
    order = torch.tensor([2, 0])
    shuffled = _random_choice(keys[order], 0.5, seeds=3)
    assert [[sample[2], sample[0]] for sample in whole] == shuffled


def test_a_larger_share_takes_more_of_the_same_order() -> None:
    keys = torch.arange(6)
    fewer, more = (_random_choice(keys, share, seeds=1)[0] for share in (0.25, 0.75))
    assert {len(kept) for kept in fewer} == {12}
    assert {len(kept) for kept in more} == {4}
    assert all(set(small) < set(large) for small, large in zip(more, fewer, strict=True))


def test_every_patch_is_as_likely_to_stay() -> None:
    kept = torch.tensor(_random_choice(torch.arange(2000), 0.75, seeds=1)[0])
    counts = kept.flatten().bincount(minlength=16).double()
    assert (counts / 2000 - 0.25).abs().max() < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_an_image_is_decided_alike_in_any_batch() -> None:
    classifier, images = small_vit(), images_of(6)
    order = torch.tensor([4, 1, 3])
    some = Images(images.pixels[order], images.keys[order], images.targets[order])
    for whole, part in zip(
        _outcomes(classifier, images, BOTH, 0.4),
        _outcomes(classifier, some, BOTH, 0.4),
        strict=True,
    ):
        torch.testing.assert_close(whole.logits[order], part.logits)


@pytest.mark.parametrize(("depth", "cut"), [(1, 1), (2, 1), (3, 1), (5, 1), (6, 2), (12, 4)])
def test_tokens_leave_after_a_third_of_the_blocks(depth: int, cut: int) -> None:
    classifier = small_vit(depth=depth).float()
    lengths: list[int] = []
    for block in classifier.network.blocks:  # type: ignore[union-attr]
        block.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    _outcomes(classifier, images_of(1), ("random",), 0.5, seeds=1)
    assert lengths == [17] * cut + [9] * (depth - cut)


@pytest.mark.parametrize(("share", "kept"), [(0.03, 16), (0.04, 15), (0.9, 2), (1.0, 0)])
def test_the_nearest_number_of_tokens_leaves(share: float, kept: int) -> None:
    classifier = small_vit().float()
    seen = _seen_by_block(classifier, 1)
    outcomes = _outcomes(classifier, images_of(), BOTH, share)
    assert {tokens.shape[1] for tokens in seen} == {1 + kept}
    assert all(torch.isfinite(outcome.logits).all() for outcome in outcomes)


@pytest.mark.parametrize(
    ("variant", "conditions", "share", "options", "message"),
    [
        ("class_token", (), -0.1, {}, "fraction of removed tokens is -0.1; allowed: 0 to 1"),
        ("class_token", (), 1.1, {}, "fraction of removed tokens is 1.1; allowed: 0 to 1"),
        ("average", (), 1.0, {}, "leaves none of 16 to pool by 'avg'; allowed: less"),
        (
            "class_token",
            (),
            0.5,
            {"after_block": 0},
            "after_block of token_removal is 0; allowed: a whole number, 1 to 3",
        ),
        (
            "class_token",
            (),
            0.5,
            {"after_block": 4},
            "after_block of token_removal is 4; allowed: a whole number, 1 to 3",
        ),
        ("no_class_token", BOTH, 0.5, {}, "network has no class token; low_attention ranks"),
        ("only_registers", BOTH, 0.5, {}, "network has no class token; low_attention ranks"),
    ],
)
def test_wrong_settings_are_named(
    variant: str, conditions: tuple[str, ...], share: float, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _outcomes(small_vit(variant), images_of(), conditions, share, **options)


def test_attention_of_another_kind_is_refused() -> None:
    classifier = small_vit(attn_layer="diff")
    assert len(_outcomes(classifier, images_of(), ("random",), 0.5, seeds=1)) == 1
    with pytest.raises(ValueError, match=r"attention of Block is DiffAttention; allowed for low_"):
        _outcomes(classifier, images_of(), ("low_attention",), 0.5)


def test_a_network_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="network is ResNetV2; allowed: ViTs, which have tokens"):
        _outcomes(small_resnet(), images_of(), ("random",), 0.5)
