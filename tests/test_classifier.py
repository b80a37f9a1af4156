"""Networks built from the configuration, and their preprocessing."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.layouts import takes_channels_last
from perturb.models.precision import autocast
from tests.device_counts import counted
from tests.plain_vit import VARIANTS, small_vit

VIT = {"patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 2, "mlp_ratio": 2}
RESNET = {"layers": [2, 2, 2], "channels": [32, 64, 128], "num_groups": 4, "stem_channels": 32}
ARGUMENTS: dict[str, dict[str, Any]] = {"vit": VIT, "resnet": RESNET}


def _classifier(family: str = "resnet", side: int = 32) -> Classifier:
    torch.manual_seed(0)
    network = build_network(family, ARGUMENTS[family], 12, side)
    return Classifier(network, Preprocessing(side=side)).eval()


def _images(side: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (3, 3, side, side), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("family", "num_parameters"), [("vit", 148_300), ("resnet", 62_060)])
def test_networks_have_the_size_and_shape_asked_for(family: str, num_parameters: int) -> None:
    network = build_network(family, ARGUMENTS[family], 12, 32)
    assert sum(parameter.numel() for parameter in network.parameters()) == num_parameters
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 12)


def test_resnets_follow_bit() -> None:
    network = build_network("resnet", RESNET, 12, 32)
    kinds = {type(module).__name__ for module in network.modules()}
    assert {"StdConv2d", "GroupNormAct", "PreActBottleneck"} <= kinds
    assert not kinds & {"BatchNorm2d", "BatchNormAct2d"}
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.num_groups for norm in norms} == {4}


def test_positions_of_neighbours_are_alike_from_the_start() -> None:
    network = build_network("vit", VIT | {"patch_size": 4}, 12, 32)
    positions = network.pos_embed.detach()[0, 1:].reshape(8, 8, -1)  # type: ignore[operator]
    right = torch.cosine_similarity(positions[:, :1], positions, dim=2).mean(dim=0)
    down = torch.cosine_similarity(positions[:1], positions, dim=2).mean(dim=1)
    for similarity in (right, down):
        assert similarity[1] > similarity[2] > similarity[4]
    assert len(positions.reshape(64, -1).unique(dim=0)) == 64


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("vgg", {}, "family is 'vgg'; allowed: vit, resnet"),
        ("vit", {"heads": 2}, "vit has no argument 'heads'; allowed: patch_size"),
        ("vit", {"depth": None}, "depth is None; allowed: positive int"),
        ("vit", {"depth": 0}, "depth is 0; allowed: positive int"),
        ("vit", {"depth": True}, "depth is True; allowed: positive int"),
        ("vit", {"patch_size": 5}, "patch_size is 5; allowed: a divisor of image_side 32"),
        ("vit", {"num_heads": 5}, "num_heads is 5; allowed: a divisor of embed_dim 64"),
        ("resnet", {"layers": [2, 2]}, "one number for each of layers"),
        ("resnet", {"layers": []}, "layers is"),
        ("resnet", {"channels": [32, 64, 12.5]}, "channels is"),
        ("resnet", {"num_groups": 5}, "num_groups is 5; allowed: a divisor of channels 32"),
    ],
)
def test_wrong_arguments_are_named(family: str, changes: dict[str, Any], message: str) -> None:
    arguments = ARGUMENTS.get(family, {}) | changes
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        build_network(family, arguments, 12, 32)


@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_a_missing_argument_is_named(family: str) -> None:
    last = list(ARGUMENTS[family])[-1]
    arguments = {name: value for name, value in ARGUMENTS[family].items() if name != last}
    with pytest.raises(ValueError, match=f"needs the argument {last}"):
        build_network(family, arguments, 12, 32)


@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_uint8_and_floats_give_the_same_logits(family: str) -> None:
    classifier, images = _classifier(family), _images()
    with torch.inference_mode():
        assert torch.equal(classifier(images), classifier(images.float() / 255))


@pytest.mark.parametrize("family", ["vit", "resnet"])
@pytest.mark.parametrize("is_float", [False, True])
def test_pixels_are_written_in_place_with_the_bits_of_the_formula(
    family: str, is_float: bool
) -> None:
    images = _images().float() / 255 if is_float else _images()
    given = images.clone()
    preprocessing = Preprocessing(32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    classifier = Classifier(_classifier(family).network, preprocessing).eval()
    with torch.no_grad(), counted() as counts:
        found = classifier.prepare(images)
    expected = (_images().float() / 255 - classifier.mean) / classifier.std
    assert torch.equal(found, expected)
    assert torch.equal(images, given)
    # Bytes to floats, a division, the mean, the standard deviation; channels last is a copy.
    assert counts.kernels == (2 if is_float else 4) + (family == "resnet")


@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_the_input_is_written_in_bfloat16_where_the_first_layer_reads_that(family: str) -> None:
    classifier, images = _classifier(family), _images()
    with torch.inference_mode(), autocast("bfloat16", torch.device("cpu")):
        prepared, logits = classifier.prepare(images), classifier(images)
        assert torch.equal(logits, classifier.network(prepared.float()))
    assert prepared.dtype == torch.bfloat16
    with torch.inference_mode():
        assert torch.equal(prepared, classifier.prepare(images).bfloat16())
    other = Classifier(nn.Identity(), Preprocessing(32))
    with autocast("bfloat16", torch.device("cpu")):
        assert other.prepare(images).dtype == torch.float32


@torch.inference_mode()
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_memory_format_of_its_input_changes_no_bit_of_a_vit(variant: str) -> None:
    network = small_vit(variant).float().network
    pixels = (_images().float() / 255 - 0.5) / 0.5
    pixels = nn.functional.interpolate(pixels, size=network.patch_embed.img_size)  # type: ignore[union-attr]
    other = pixels.contiguous(memory_format=torch.channels_last)
    assert torch.equal(network(pixels), network(other))


def test_channels_last_is_for_networks_that_it_makes_faster() -> None:
    vit, resnet = (_classifier(family) for family in ("vit", "resnet"))
    for classifier, is_last in ((vit, False), (resnet, True)):
        prepared = classifier.prepare(_images())
        assert prepared.is_contiguous(memory_format=torch.channels_last) == is_last
        assert prepared.is_contiguous() != is_last
    normed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    networks = vit.network, resnet.network, normed
    assert [takes_channels_last(network, "cpu") for network in networks] == [False, True, True]
    assert [takes_channels_last(network, "cuda") for network in networks] == [False, False, True]
    vit.network.num_prefix_tokens = 0  # type: ignore[assignment]
    assert takes_channels_last(vit.network, "cuda")


def test_preprocessing_is_inside() -> None:
    classifier, images = _classifier(), _images()
    pixels = (images.float() / 255 - 0.5) / 0.5
    torch.testing.assert_close(classifier.prepare(images), pixels)
    expected = classifier.network(pixels)
    torch.testing.assert_close(classifier(images), expected, rtol=1e-4, atol=1e-4)
    trained = Classifier(classifier.network, Preprocessing.of_trained(32))
    torch.testing.assert_close(trained.prepare(images), 2 * pixels)


def test_other_sizes_are_resized_with_antialiasing() -> None:
    preprocess = Classifier(nn.Identity(), Preprocessing(side=32))
    # A checkerboard of single pixels shrinks to even gray, which a filter without antialiasing,
    # looking at every third pixel, would miss.
    checker = torch.zeros(1, 3, 96, 96)
    checker[..., ::2, ::2] = checker[..., 1::2, 1::2] = 1.0
    assert preprocess(checker)[..., 1:-1, 1:-1].abs().max() < 0.1 / 0.5
    coarse = _images(4).repeat_interleave(24, dim=2).repeat_interleave(24, dim=3)
    expected = _images(4).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    middles = (..., slice(3, None, 8), slice(3, None, 8))
    torch.testing.assert_close(preprocess(coarse)[middles], preprocess(expected)[middles])
    assert _classifier()(_images(48)[:, :, :20]).shape == (3, 12)


def test_images_are_resized_by_the_filter_that_pillow_has_under_that_name() -> None:
    images = _images(96)
    images[0] = torch.tensor([0, 255]).repeat_interleave(24).repeat(2)  # edges to overshoot at
    for name, pillow in (
        ("bilinear", Image.Resampling.BILINEAR),
        ("bicubic", Image.Resampling.BICUBIC),
    ):
        preprocessing = Preprocessing(side=32, mean=(0, 0, 0), std=(1, 1, 1), interpolation=name)
        found = Classifier(nn.Identity(), preprocessing)(images)
        assert -1e-6 < found.min() <= found.max() < 1 + 1e-6
        for image, resized in zip(images, found, strict=True):
            expected = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((32, 32), pillow)
            levels = torch.from_numpy(np.asarray(expected).copy()).permute(2, 0, 1)
            assert (resized * 255 - levels).abs().max() < 1.01  # Pillow rounds after each direction


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"side": 0}, "side is 0; allowed: 1 px or more"),
        ({"side": 32, "interpolation": "nearest"}, "interpolation is 'nearest'; allowed: bilinear"),
        ({"side": 32, "std": [0.2, 0.0, 0.2]}, "std above 0"),
        ({"side": 32, "mean": [0.5]}, "a number a channel"),
        ({"mean": [0.5, 0.5, 0.5]}, "preprocessing has mean; allowed: side, and of"),
        ({"side": 32, "resize": 36}, "preprocessing has resize, side; allowed"),
    ],
)
def test_wrong_preprocessing_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing.of(values)


def test_gradients_reach_the_pixels() -> None:
    images = (_images(40).float() / 255).requires_grad_()
    (gradient,) = torch.autograd.grad(_classifier()(images).logsumexp(dim=1).sum(), images)
    assert (gradient.abs().sum(dim=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 32, 32), r"shape \(3, 32, 32\); allowed: \(B, 3, H, W\)"),
        (torch.zeros(2, 1, 32, 32), r"shape \(2, 1, 32, 32\)"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.int64), "images are torch.int64"),
    ],
)
def test_what_is_no_image_is_refused(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _classifier()(images)


def test_the_number_of_classes_is_the_networks() -> None:
    assert _classifier().num_classes == 12
