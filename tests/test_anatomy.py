"""Stages of a network: run one after another they equal the classifier, bit for bit."""

import copy
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.models.anatomy import anatomy
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.timm_modules import (
    GroupNormAct,
    ResNetV2,
    VisionTransformer,
    load_timm_zoo,
)
from tests.family_walk import FAMILIES, Family

load_timm_zoo()
ConvNeXtBlock = sys.modules["timm.models.convnext"].ConvNeXtBlock
TIMM_VITS = sys.modules[VisionTransformer.__module__]
NUM_CLASSES = 7
SIDE = 16


def vit(kind: type[nn.Module] = VisionTransformer, **arguments: Any) -> nn.Module:
    """Return a ViT of 4 patches, width 24, 3 blocks, and what else timm can give it."""
    defaults = {"img_size": SIDE, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}
    defaults |= {"mlp_ratio": 2, "num_classes": NUM_CLASSES}
    return kind(**(defaults | arguments))


def resnet(channels: tuple[int, ...] = (16, 32), **arguments: Any) -> nn.Module:
    """Return a ResNet of two stages, built as those of the study or by timm's own arguments."""
    sizes: dict[str, Any] = {"layers": [2, 3], "channels": list(channels)}
    if not arguments:
        sizes |= {"num_groups": 4, "stem_channels": 16}
        return build_network("resnet", sizes, NUM_CLASSES, 32)
    sizes |= {"num_classes": NUM_CLASSES, "norm_layer": partial(GroupNormAct, num_groups=4)}
    network: nn.Module = ResNetV2(stem_chs=32, **sizes, **arguments)
    return network


class Distilled(VisionTransformer):  # type: ignore[misc]
    """As DeiT: a second token after the class token, and a second head that reads it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(reg_tokens=1, **arguments)
        self.head_dist = nn.Linear(self.embed_dim, self.num_classes)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: ARG002
        logits: Tensor = (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2
        return logits


class Averaged(VisionTransformer):  # type: ignore[misc]
    """A ViT that reads all tokens with any pooling."""

    def pool(self, x: Tensor, pool_type: str | None = None) -> Tensor:  # noqa: ARG002
        return x.mean(dim=1)


VITS: dict[str, Callable[[], nn.Module]] = {
    "plain": vit,
    "study": lambda: build_network(
        "vit",
        {"patch_size": 4, "embed_dim": 32, "depth": 4, "num_heads": 2, "mlp_ratio": 2},
        NUM_CLASSES,
        SIDE,
    ),
    "registers": lambda: vit(reg_tokens=4, no_embed_class=True, init_values=0.1),
    "no class token": lambda: vit(class_token=False, global_pool="avg", drop_path_rate=0.3),
    "clip": lambda: vit(pre_norm=True, qk_norm=True, drop_rate=0.2, patch_drop_rate=0.2),
    "any size": lambda: vit(dynamic_img_size=True, global_pool="map"),
    "distilled": lambda: vit(Distilled, depth=2, mlp_ratio=4),
    "averaged": lambda: vit(Averaged, depth=2, num_heads=2, mlp_ratio=4),
}
RESNETS: dict[str, Callable[[], nn.Module]] = {
    "projection first": resnet,
    "wider first": lambda: resnet((24, 48)),
    "basic": lambda: resnet((32, 64), basic=True, bottle_ratio=1.0),
    "avg down": lambda: resnet((64, 64), avg_down=True, output_stride=4),
    "post-activation": lambda: resnet((32, 64), preact=False),
}
NETWORKS = VITS | RESNETS


def classifier_of(network: nn.Module) -> Classifier:
    """Return a classifier whose every parameter is random, so that every layer has an effect."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.data = noise / parameter[0].numel() ** 0.5
        else:
            parameter.data += 0.2 * noise
    side = SIDE if isinstance(network, VisionTransformer) else 32
    return Classifier(network, Preprocessing.of_trained(side)).eval()


def some_images(count: int = 5, side: int = 20) -> Tensor:
    """Return uint8 noise of another size than the networks take."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stages_in_order_are_the_classifier_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    classifier = classifier_of(NETWORKS[name]()).to(dtype)
    body = anatomy(classifier.network)
    with torch.inference_mode():
        logits = classifier(some_images())
        activations = body.embed(classifier, some_images())
        whole = body.run(activations)
        assert torch.equal(body.head(whole), logits)
        for cut in range(body.num_blocks + 1):
            assert torch.equal(body.run(body.run(activations, 0, cut), cut), whole)
        for block in body.blocks:
            activations = block(activations)
        assert torch.equal(body.head(activations), logits)
    assert logits.std(dim=0).min() > 1e-3  # or equality would mean little


@pytest.mark.parametrize("name", NETWORKS)
def test_without_its_branch_a_removable_block_hands_on_its_input(name: str) -> None:
    classifier = classifier_of(NETWORKS[name]())
    body = anatomy(classifier.network)
    handed_on = []
    with torch.inference_mode():
        activations = body.embed(classifier, some_images())
        for index, block in enumerate(body.blocks):
            before, activations = activations, block(activations)
            silent = copy.deepcopy(block)
            for parameter in silent.parameters():
                parameter.zero_()
            after = silent(before)
            is_same = after.shape == before.shape and torch.equal(after, before)
            handed_on += [index] if is_same else []
    assert body.removable == tuple(handed_on)


def test_family_and_number_of_heads() -> None:
    found = {name: anatomy(build()) for name, build in NETWORKS.items()}
    assert {found[name].family for name in VITS} == {"vit"}
    assert {found[name].family for name in RESNETS} == {"resnet"}
    assert {found[name].num_heads for name in VITS} == {2, 3}
    assert {found[name].num_heads for name in RESNETS} == {0}
    assert found["wider first"].removable == (1, 3, 4)
    assert found["projection first"].removable == (1, 3, 4)


def test_gradients_pass_through_the_stages() -> None:
    classifier = classifier_of(vit())
    body = anatomy(classifier.network)
    pixels = (some_images().float() / 255).requires_grad_()
    (staged,) = torch.autograd.grad(
        body.head(body.run(body.embed(classifier, pixels))).sum(), pixels
    )
    (direct,) = torch.autograd.grad(classifier(pixels).sum(), pixels)
    assert torch.equal(staged, direct)


class _Reversed(VisionTransformer):  # type: ignore[misc]
    def forward_features(self, x: Tensor, **_: Any) -> Tensor:
        for block in reversed(self.blocks):
            x = block(x)
        return x


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Linear(2, 2), "network is Linear; allowed: timm's VisionTransformer and Res"),
        (lambda: nn.Sequential(ConvNeXtBlock(8)), "network is Sequential; allowed: timm's"),
        (lambda: _Reversed(depth=1, embed_dim=12), "_Reversed overrides forward_features"),
    ],
)
def test_other_networks_are_refused(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anatomy(build())


def test_of_other_networks_only_the_blocks_are_known() -> None:
    classifier = classifier_of(nn.Sequential(*[ConvNeXtBlock(8) for _ in range(3)]))
    body = anatomy(classifier.network)
    assert (body.family, body.num_blocks, body.removable) == ("other", 3, (0, 1, 2))
    assert (body.is_staged, body.attention, body.num_heads) == (False, None, 0)
    with pytest.raises(ValueError, match="stages of Sequential do not run one by one"):
        body.embed(classifier, some_images())


# A small network of each kind of residual block.
OTHERS = {family.name: family for family in FAMILIES} | {
    "efficientnet_lite0": Family("", "efficientnet_lite0"),
    "gmlp_s16_224": Family("", "gmlp_s16_224", {"img_size": 48}, 48),
    "resnet18": Family("", "resnet18", {"layers": (2, 2, 1, 1), "channels": (16, 16, 32, 32)}),
}


@pytest.mark.parametrize(
    "name",
    [
        *("beit_base_patch16_224", "cait_xxs24_224", "convnext_tiny", "efficientnet_lite0"),
        *("eva02_tiny_patch14_336", "gmlp_s16_224", "maxvit_tiny_tf_224", "mixer_b16_224"),
        *("regnety_002", "resmlp_12_224", "resnet18", "resnet50d", "seresnet50"),
        *("swin_tiny_patch4_window7_224", "xcit_nano_12_p16_224"),
    ],
)
def test_removable_blocks_return_their_input_when_their_weights_are_zero(name: str) -> None:
    """Blocks run once each, in order; with weights of zero the removable ones are the identity."""
    family = OTHERS[name]
    zoo = load_timm_zoo()
    network = zoo.create_model(name, num_classes=NUM_CLASSES, **family.arguments).eval()
    body = anatomy(network)
    handed_on: list[int] = []
    run: list[int] = []

    def record(index: int, _: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
        run.append(index)
        if output.shape == given[0].shape and torch.equal(output, given[0]):
            handed_on.append(index)

    for index, block in enumerate(body.blocks):
        for parameter in block.parameters():
            parameter.data.zero_()
        block.register_forward_hook(partial(record, index))
    with torch.inference_mode():
        network(torch.rand(2, 3, family.side, family.side))
    assert run == list(range(body.num_blocks))
    assert body.removable == tuple(handed_on)
