"""Lesions: exactly the named layer is removed, and it is restored afterwards.

All comparisons with the independent networks are in float64, where agreement to 1e-9 excludes a
wrong layer.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.experiments.lesions.plans import PARTS, head_sets
from perturb.experiments.lesions.surgery import without, without_heads
from perturb.experiments.restricted_attention.attention import token_layout, with_attention
from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier
from perturb.models.timm_modules import VisionTransformer
from tests.plain_networks import PlainResNet, plain_logits
from tests.plain_vit import vit_logits
from tests.test_anatomy import NETWORKS, RESNETS, VITS, classifier_of, some_images, vit

ORACLE_VITS = {
    name: VITS[name] for name in ("plain", "study", "registers", "no class token", "distilled")
}
BLOCKS = sys.modules[VisionTransformer.__module__]


def logits_of(classifier: Classifier) -> Tensor:
    with torch.inference_mode():
        return classifier(some_images()).clone()


def set_fused(classifier: Classifier, is_fused: bool) -> None:
    for module in classifier.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = is_fused  # type: ignore[assignment]


def assert_lesion(damaged: Tensor, expected: Tensor, intact: Tensor) -> None:
    torch.testing.assert_close(damaged, expected, rtol=0, atol=1e-9)
    # For every image, and by a million times the tolerance.
    assert (damaged - intact).abs().amax(dim=1).min() > 1e-3


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("name", ORACLE_VITS)
def test_every_layer_of_a_vit_is_the_one_that_is_missing(name: str, is_fused: bool) -> None:
    classifier = classifier_of(ORACLE_VITS[name]()).double()
    set_fused(classifier, is_fused)
    network = classifier.network
    intact = logits_of(classifier)
    whole = plain_logits(partial(vit_logits, network), classifier)
    torch.testing.assert_close(intact, whole, rtol=0, atol=1e-9)
    depth = anatomy(network).num_blocks
    for index, part in itertools.product(range(depth), PARTS["vit"]):
        with without(classifier, [index], part):
            damaged = logits_of(classifier)
        assert_lesion(
            damaged,
            plain_logits(partial(vit_logits, network, removed=[(index, part)]), classifier),
            intact,
        )
    for part in PARTS["vit"]:
        every = [(index, part) for index in range(depth)]
        with without(classifier, range(depth), part):
            damaged = logits_of(classifier)
        assert_lesion(
            damaged, plain_logits(partial(vit_logits, network, removed=every), classifier), intact
        )


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("name", ORACLE_VITS)
def test_every_head_is_the_one_that_is_missing(name: str, is_fused: bool) -> None:
    classifier = classifier_of(ORACLE_VITS[name]()).double()
    set_fused(classifier, is_fused)
    network, body = classifier.network, anatomy(classifier.network)
    intact = logits_of(classifier)
    heads = list(itertools.product(range(body.num_blocks), range(body.num_heads)))
    for removed in [[head] for head in heads] + [heads[:2], heads]:
        with without_heads(classifier, removed):
            damaged = logits_of(classifier)
        assert_lesion(
            damaged, plain_logits(partial(vit_logits, network, heads=removed), classifier), intact
        )


@pytest.mark.parametrize("name", ["projection first", "wider first"])
def test_every_block_of_a_resnet_is_the_one_that_is_missing(name: str) -> None:
    classifier = classifier_of(RESNETS[name]()).double()
    network, body = classifier.network, anatomy(classifier.network)
    intact = logits_of(classifier)
    plain = plain_logits(PlainResNet(network, []), classifier)
    torch.testing.assert_close(intact, plain, rtol=0, atol=1e-9)
    for removed in [[index] for index in body.removable] + [body.removable[1:], body.removable]:
        with without(classifier, removed):
            damaged = logits_of(classifier)
        missing = [(index, "block") for index in removed]
        assert_lesion(damaged, plain_logits(PlainResNet(network, missing), classifier), intact)


def all_lesions(classifier: Classifier) -> Iterator[Any]:
    """Yield a context manager for each single lesion of a classifier."""
    body = anatomy(classifier.network)
    for part, index in itertools.product(PARTS[body.family], body.removable):
        yield without(classifier, [index], part)
    if body.family == "vit":
        for head in head_sets(body.num_blocks, body.num_heads).values():
            yield without_heads(classifier, [head])


def traces_of(classifier: Classifier) -> list[Any]:
    """Return the parts of a module that a lesion could change permanently."""
    return [
        (dict(vars(module)), len(module._forward_pre_hooks), len(module._forward_hooks))
        for module in classifier.modules()
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_lesion_changes_the_logits_and_leaves_nothing_behind(name: str) -> None:
    classifier = classifier_of(NETWORKS[name]())
    intact, traces = logits_of(classifier), traces_of(classifier)
    weights = {name: value.clone() for name, value in classifier.state_dict().items()}
    for lesion in all_lesions(classifier):
        with lesion as changed:
            assert changed is classifier
            assert classifier.state_dict().keys() == weights.keys()
            damaged = logits_of(classifier)
            with pytest.raises(ValueError, match="images have shape"):
                classifier(torch.zeros(3))
        assert (damaged - intact).abs().amax(dim=1).min() > 1e-4
        assert torch.equal(logits_of(classifier), intact)
    assert traces_of(classifier) == traces
    assert all(torch.equal(value, weights[name]) for name, value in classifier.state_dict().items())


@pytest.mark.parametrize("name", NETWORKS)
def test_an_exception_undoes_every_lesion(name: str) -> None:
    classifier = classifier_of(NETWORKS[name]())
    intact, traces = logits_of(classifier), traces_of(classifier)
    for lesion in all_lesions(classifier):
        with pytest.raises(RuntimeError, match="in the midst"), lesion:  # noqa: PT012
            logits_of(classifier)
            raise RuntimeError("in the midst")
        assert torch.equal(logits_of(classifier), intact)
    with pytest.raises(KeyboardInterrupt), without(classifier, [1]), without(classifier, [1]):
        raise KeyboardInterrupt
    assert torch.equal(logits_of(classifier), intact)
    assert traces_of(classifier) == traces


@pytest.mark.parametrize("name", NETWORKS)
def test_no_blocks_are_no_lesion_bit_for_bit(name: str) -> None:
    classifier = classifier_of(NETWORKS[name]())
    intact = logits_of(classifier)
    with without(classifier, []), without_heads(classifier, []):
        assert torch.equal(logits_of(classifier), intact)


@pytest.mark.parametrize("name", VITS)
def test_nested_lesions_compose(name: str) -> None:
    classifier = classifier_of(VITS[name]())
    intact = logits_of(classifier)

    def removed(*lesions: Any) -> Tensor:
        if not lesions:
            return logits_of(classifier)
        with lesions[0]:
            return removed(*lesions[1:])

    def lose(*blocks: int, part: str = "block") -> Any:
        return without(classifier, blocks, part)

    def heads(*pairs: tuple[int, int]) -> Any:
        return without_heads(classifier, pairs)

    mask = torch.eye(token_layout(classifier).num_tokens, dtype=torch.bool)

    def masked() -> Any:
        return with_attention(classifier, mask)

    same = [
        [(lose(0), lose(1)), (lose(1), lose(0)), (lose(0, 1),), (lose(1, 0, 1),)],
        [(lose(0),), (lose(0), lose(0)), (lose(0), lose(0, part="mlp"))],
        [(lose(0, part="mlp"), lose(0, part="attention")), (lose(0, part="attention"), lose(0))],
        [(lose(1, part="attention"),), (heads((1, 0)), lose(1, part="attention"))],
        [(heads((0, 1)), heads((0, 0))), (heads((0, 0), (0, 1)),)],
        [(lose(1, part="mlp"), heads((0, 1))), (heads((0, 1)), lose(1, part="mlp"))],
        [(lose(1, part="attention"), masked()), (masked(), lose(1, part="attention"))],
        [(heads((1, 1)), masked()), (masked(), heads((1, 1)))],
    ]
    results = [[removed(*lesions) for lesions in group] for group in same]
    for first, *others in results:
        assert all(torch.equal(first, other) for other in others)
        assert not torch.equal(first, intact)
    assert torch.equal(results[1][0], results[2][0])  # MLP and attention make up a block
    assert torch.equal(logits_of(classifier), intact)


@pytest.mark.parametrize("kind", ["Block", "ResPostBlock", "ParallelThingsBlock"])
def test_a_block_is_its_attention_and_its_mlp_whatever_its_kind(kind: str) -> None:
    classifier = classifier_of(vit(block_fn=getattr(BLOCKS, kind), init_values=0.5))
    intact = logits_of(classifier)
    for index in range(3):
        with without(classifier, [index], "attention"):
            damaged = logits_of(classifier)
            with without(classifier, [index], "mlp"):
                both = logits_of(classifier)
        with without(classifier, [index]):
            assert torch.equal(logits_of(classifier), both)
        assert not torch.equal(damaged, both)
        assert not torch.equal(damaged, intact)
    assert torch.equal(logits_of(classifier), intact)


def test_lesions_act_on_gradients_too() -> None:
    classifier = classifier_of(vit())
    pixels = (some_images().float() / 255).requires_grad_()

    def gradient() -> Tensor:
        return torch.autograd.grad(classifier(pixels).square().sum(), pixels)[0]

    intact = gradient()
    for lesion in all_lesions(classifier):
        with lesion:
            damaged = gradient()
        assert damaged.isfinite().all()
        assert not torch.equal(damaged, intact)
    assert torch.equal(gradient(), intact)


@pytest.mark.parametrize(
    ("name", "blocks", "part", "message"),
    [
        ("plain", [0], "heads", "part is 'heads'; allowed: block, mlp, attention"),
        ("plain", [], "MLP", "part is 'MLP'; allowed: block, mlp, attention"),
        ("plain", [3], "block", "block is 3; allowed: 0 to 2"),
        ("plain", [0, -1], "mlp", "block is -1; allowed: 0 to 2"),
        (
            "wider first",
            [0],
            "block",
            "block 0 has no skip of its input as it is; allowed: 1, 3, 4",
        ),
        (
            "wider first",
            [1, 2],
            "block",
            "block 2 has no skip of its input as it is; allowed: 1, 3",
        ),
        ("wider first", [5], "block", "block is 5; allowed: 0 to 4"),
        (
            "wider first",
            [1],
            "attention",
            "block 1 is a PreActBottleneck, without a separate attention; allowed: block",
        ),
        ("basic", [0], "mlp", "PreActBasic, without a separate mlp; allowed: block"),
    ],
)
def test_what_cannot_be_removed_is_named(
    name: str, blocks: list[int], part: str, message: str
) -> None:
    classifier = classifier_of(NETWORKS[name]())
    intact = logits_of(classifier)
    with pytest.raises(ValueError, match=message), without(classifier, blocks, part):
        pass
    assert torch.equal(logits_of(classifier), intact)


@pytest.mark.parametrize(
    ("build", "heads", "message"),
    [
        (vit, [(3, 0)], "block is 3; allowed: 0 to 2"),
        (vit, [(0, 0), (0, 3)], "head is 3; allowed: 0 to 2"),
        (vit, [(0, -1)], "head is -1; allowed: 0 to 2"),
        (RESNETS["basic"], [(0, 0)], "head is 0; allowed: none, as it has no separate"),
        (
            lambda: vit(block_fn=BLOCKS.ParallelScalingBlock),
            [(1, 0)],
            "block 1 is a ParallelScalingBlock; allowed: blocks with one attention module",
        ),
        (lambda: vit(block_fn=BLOCKS.ParallelThingsBlock), [(0, 0)], "head is 0; allowed: none"),
    ],
)
def test_heads_that_cannot_be_removed_are_named(
    build: Callable[[], nn.Module], heads: list[tuple[int, int]], message: str
) -> None:
    classifier = classifier_of(build())
    with pytest.raises(ValueError, match=message), without_heads(classifier, heads):
        pass


def test_a_block_of_one_projection_goes_only_as_a_whole() -> None:
    classifier = classifier_of(vit(block_fn=BLOCKS.ParallelScalingBlock))
    intact = logits_of(classifier)
    with without(classifier, [1]):
        assert not torch.equal(logits_of(classifier), intact)
    with (
        pytest.raises(ValueError, match="ParallelScalingBlock, without a separate mlp"),
        without(classifier, [1], "mlp"),
    ):
        pass
