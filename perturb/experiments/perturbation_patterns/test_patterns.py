"""Patterns of perturbations: ratios known in closed form, masks of the object, and the picture."""

import math
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.datasets.synthetic.family import GENERATED_SETS
from perturb.datasets.synthetic.generated import draw, generate
from perturb.datasets.synthetic.masks import object_masks
from perturb.datasets.synthetic.rendering import photograph, pixel_grid
from perturb.experiments.perturbation_patterns.measures import (
    SCHEMA,
    pattern_statistics,
    perturbations_of,
    tabulated,
)
from perturb.experiments.perturbation_patterns.sheet import pattern_sheet
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing


def make_classifier() -> Classifier:
    torch.manual_seed(0)
    arguments = {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2}
    network = build_network("vit", arguments, 12, 32)
    for name, weights in network.named_parameters():
        if "head" in name:  # it is initialised with zeros, and so is the gradient
            torch.nn.init.normal_(weights)
    return Classifier(network, Preprocessing(side=32)).eval()


def make_images(count: int) -> Images:
    batch = generate("target", "test", 5, torch.arange(count))
    return Images(batch.images, torch.arange(count), batch.targets)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


# --- borders ---


def sawtooth(patch_px: int) -> Tensor:
    """Steps of 1 inside patches, a fall of patch_px - 1 between them, in both directions."""
    line = (torch.arange(24) % patch_px).float()
    return (line + line[:, None]).expand(1, 3, 24, 24)


@pytest.mark.parametrize(
    ("delta", "patch_px", "expected"),
    [
        (sawtooth(4), 4, 9.0),
        (sawtooth(8), 8, 49.0),
        (-0.5 * sawtooth(8), 8, 49.0),  # the strength does not matter
        (sawtooth(24), 8, 1.0),  # a ramp through all patches
        (sawtooth(8), 4, (2 * 49 + 3 * 1) / 5),  # three of the five borders are inside a rise
        (sawtooth(4)[..., :1].expand(1, 3, 24, 24), 4, 9.0),  # flat along x: halves both means
        (sawtooth(4)[..., :3, :3].repeat_interleave(8, 2).repeat_interleave(8, 3), 8, math.inf),
        (torch.zeros(1, 3, 24, 24), 8, math.nan),
        (torch.full((1, 3, 24, 24), 0.3), 8, math.nan),
        (sawtooth(8), 24, math.nan),  # one patch, no border
        (sawtooth(8), 100, math.nan),
        (sawtooth(8), 1, math.nan),  # nothing inside
        (torch.ones(1, 3, 1, 1), 8, math.nan),
    ],
)
def test_border_ratio_is_that_of_the_formula(delta: Tensor, patch_px: int, expected: float) -> None:
    ratio = pattern_statistics(delta, patch_px).border_ratio
    assert ratio.shape == (1,)
    assert ratio.item() == pytest.approx(expected, nan_ok=True)


def test_border_ratio_counts_what_a_loop_counts() -> None:
    delta = noise(2, 3, 9, 14)
    at, inside = [], []
    for y in range(9):
        for x in range(14):
            for down, right in ((1, 0), (0, 1)):
                if y + down < 9 and x + right < 14:
                    energy = (delta[:, :, y + down, x + right] - delta[:, :, y, x]).square().mean(1)
                    is_border = (y + down) % 4 == 0 if down else (x + right) % 4 == 0
                    (at if is_border else inside).append(energy)
    expected = torch.stack(at).mean(0) / torch.stack(inside).mean(0)
    torch.testing.assert_close(pattern_statistics(delta, 4).border_ratio.float(), expected)


@pytest.mark.parametrize("patch_px", [2, 4, 7, 8])
def test_white_noise_has_no_pattern(patch_px: int) -> None:
    masks = object_masks("target", "test", 5, torch.arange(300))
    ratios = pattern_statistics(noise(300, 3, 32, 32), patch_px, masks)
    for ratio in ratios:
        error = ratio.std() / 300**0.5
        # A ratio of means is biased by less than a hundredth here.
        assert abs(ratio.mean() - 1) < 4 * error + 0.01
        assert error < 0.02


# --- the object ---


def half_mask() -> Tensor:
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    mask[..., :4, :] = 255
    return mask


@pytest.mark.parametrize(
    ("on", "off", "mask", "expected"),
    [
        (2.0, 0.5, half_mask(), 16.0),
        (-0.5, 0.5, half_mask(), 1.0),
        (1.0, 0.0, half_mask(), math.inf),
        (0.0, 1.0, half_mask(), 0.0),
        (0.0, 0.0, half_mask(), math.nan),
        # A pixel that is covered by a fifth counts a fifth: 2 of 10 parts are above.
        (2.0, 1.0, half_mask() // 5, 4 / ((0.8 * 4 + 1) / 1.8)),
        (2.0, 1.0, torch.zeros_like(half_mask()), math.nan),
        (2.0, 1.0, torch.full_like(half_mask(), 255), math.nan),
    ],
)
def test_foreground_ratio_is_that_of_the_formula(
    on: float, off: float, mask: Tensor, expected: float
) -> None:
    delta = torch.full((1, 3, 8, 8), off)
    delta[:, :, :4] = on
    ratio = pattern_statistics(delta, 4, mask).foreground_ratio
    assert ratio.item() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delta": torch.zeros(3, 8, 8)}, r"delta is torch.float32 \(3, 8, 8\); allowed"),
        ({"delta": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "delta is torch.uint8"),
        ({"patch_px": 0}, "patch_px is 0; allowed: numbers from 1 on"),
        ({"patch_px": 0.5}, "patch_px is 0.5; allowed"),
        ({"masks": half_mask()[0]}, r"masks are torch.uint8 \(1, 8, 8\); allowed"),
        ({"masks": half_mask().float()}, "masks are torch.float32"),
    ],
)
def test_statistics_refuse(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"delta": torch.zeros(1, 3, 8, 8), "patch_px": 4, "masks": None}
    with pytest.raises(ValueError, match=message):
        pattern_statistics(**{**arguments, **change})


@pytest.mark.parametrize("set_name", GENERATED_SETS)
def test_masks_are_where_the_object_is_painted(set_name: str) -> None:
    """Two scenes that differ in the object's colours differ exactly where the mask is not 0."""
    indices = torch.arange(40)
    scene, _, _ = draw(set_name, "test", 3, indices)
    scene = replace(scene, bar=torch.tensor([[1.0, 0.0, 0.0, -1.0]]).expand(40, -1))
    painted = replace(scene.sprite, colours=1.5 - scene.sprite.colours)
    with_object = photograph(scene, pixel_grid())
    repainted = photograph(replace(scene, sprite=painted), pixel_grid())
    difference = (with_object - repainted).abs().amax(dim=1)
    masks = object_masks(set_name, "test", 3, indices)
    assert masks.shape == (40, 1, 32, 32)
    assert masks.dtype == torch.uint8
    # A pixel that is covered by less than half a level may differ by one level.
    assert difference[masks[:, 0] == 0].max() < 0.005
    assert difference[masks[:, 0] == 255].min() > 0.0
    coverage = (masks > 127).double().mean(dim=(1, 2, 3))
    assert coverage.min() > 0.02
    assert coverage.max() < 0.7


def test_masks_are_of_the_images_that_are_generated() -> None:
    options: dict[str, Any] = {"num_classes": 48, "texture_correlation": 0.5}
    indices = torch.tensor([700, 3, 12])
    scene, targets, texture = draw("upstream", "train", 3, indices, **options)
    batch = generate("upstream", "train", 3, indices, **options)
    assert torch.equal(targets, batch.targets)
    assert torch.equal(texture, batch.attributes["texture"])
    levels = photograph(scene, pixel_grid()).mul(255).add(0.5).clamp(0, 255).to(torch.uint8)
    assert torch.equal(levels, batch.images)
    masks = object_masks("upstream", "train", 3, indices, **options)
    for row, index in enumerate(indices.tolist()):
        alone = object_masks("upstream", "train", 3, torch.tensor([index]), **options)
        assert torch.equal(alone[0], masks[row])
    with pytest.raises(ValueError, match="set is 'targets'"):
        object_masks("targets", "train", 3, indices)


# --- perturbations of a network ---


def test_perturbations_fill_the_ball_also_of_images_that_are_wrong() -> None:
    classifier, images = make_classifier(), make_images(24)
    is_correct = classifier(images.pixels).argmax(dim=1) == images.targets
    assert not is_correct.all()
    delta = perturbations_of(classifier, images, 2 / 255)
    assert delta.shape == (24, 3, 32, 32)
    assert delta.abs().amax(dim=(1, 2, 3)).tolist() == pytest.approx([1.0] * 24, abs=1e-3)
    # Steps of an eighth, except where black and white limit them.
    inner = (images.pixels > 2) & (images.pixels < 253)
    eighths = delta[inner] * 8
    assert (eighths - eighths.round()).abs().max() < 1e-3
    again = perturbations_of(classifier, make_images(24), 2 / 255, steps=1)
    assert set((again[inner] * 8).round().unique().tolist()) <= {-1, 0, 1}


@pytest.mark.parametrize(
    ("epsilon", "message"), [(0.0, "epsilon is 0; allowed: more than 0"), (-1.0, "epsilon is -1")]
)
def test_perturbations_refuse(epsilon: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        perturbations_of(make_classifier(), make_images(2), epsilon)


def _patterns(
    classifier: Classifier,
    images: Images,
    masks: Tensor | None,
    *,
    epsilon: float,
    steps: int = 8,
    **rows: Any,
) -> pa.Table:
    """Return the ratios of an attack's perturbations, as the workflow makes them."""
    delta = perturbations_of(classifier, images, epsilon, steps=steps)
    return tabulated(delta, masks, **rows)


def test_patterns_are_a_table_of_images_and_patch_sizes() -> None:
    classifier, images = make_classifier(), make_images(6)
    masks = object_masks("target", "test", 5, torch.arange(6))
    ids = [f"target/test/{index:06d}" for index in range(6)]
    options: dict[str, Any] = {"model": "m", "patch_sizes": [4, 8, 32], "epsilon": 1 / 255}
    table = _patterns(classifier, images, masks, image_ids=ids, **options)
    assert table.schema == SCHEMA
    assert table["model"].unique().to_pylist() == ["m"]
    assert table["image_id"].to_pylist() == ids * 3
    assert table["patch_px"].to_pylist() == [4] * 6 + [8] * 6 + [32] * 6
    ratios = pattern_statistics(perturbations_of(classifier, images, 1 / 255), 8, masks)
    for name, values in ratios._asdict().items():
        assert table[name].to_pylist()[6:12] == pytest.approx(values.tolist(), rel=1e-5)
    assert table["border_ratio"].to_pylist()[12:] == [None] * 6  # one patch has no border
    unknown = _patterns(classifier, images, None, image_ids=ids, **options)
    assert unknown["foreground_ratio"].null_count == 18
    assert unknown["border_ratio"].equals(table["border_ratio"])


def test_ratios_that_are_no_number_are_null() -> None:
    in_patches = noise(1, 3, 3, 3).repeat_interleave(8, 2).repeat_interleave(8, 3)
    delta = torch.cat([torch.zeros(1, 3, 24, 24), in_patches, sawtooth(8)])
    table = tabulated(delta, None, model="m", image_ids=["a", "b", "c"], patch_sizes=[8])
    assert table["border_ratio"].to_pylist() == [None, None, 49.0]
    assert isinstance(table, pa.Table)


# --- the picture ---


def test_sheet_shows_images_and_perturbations_enlarged() -> None:
    images = make_images(3).pixels
    deltas = {"ViT-S/8": noise(3, 3, 32, 32).clamp(-1, 1), "ResNet-S": torch.zeros(3, 3, 32, 32)}
    deltas["ViT-S/8"][1, :, 0, 0] = torch.tensor([-1.0, 0.0, 1.0])
    sheet = pattern_sheet(images, deltas, ["a", "b", "c"])
    bare = pattern_sheet(images, deltas, ["", "", ""])
    assert sheet.width == bare.width
    assert sheet.height > bare.height
    # Tiles of 128 px with gaps of 6 px and margins of 16: the second of three rows.
    top, left = bare.height - 16 - 128 - 134, bare.width - 16 - 128
    assert bare.getpixel((left, top)) == bare.getpixel((left + 127, top + 127)) == (128, 128, 128)
    assert bare.getpixel((left - 1, top)) == bare.getpixel((left, top - 1)) == (255, 255, 255)
    assert bare.getpixel((left - 134 + 3, top + 3)) == (0, 128, 255)
    expected = tuple(images[1, :, 0, 0].tolist())
    assert bare.getpixel((left - 2 * 134 + 3, top + 3)) == expected


def test_long_labels_are_broken_into_lines() -> None:
    images = make_images(1).pixels
    one = pattern_sheet(images, {"short": torch.zeros(images.shape)}, [""])
    label = "a label of many words that fill some lines " + "x" * 60
    many = pattern_sheet(images, {label: torch.zeros(images.shape)}, [""])
    assert many.width == one.width
    assert many.height > one.height + 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"captions": ["a"]}, "captions are 1 for 2 images"),
        ({"images": make_images(0).pixels, "captions": []}, "captions are 0 for 0 images"),
        ({"deltas": {"m": torch.zeros(2, 3, 8, 8)}}, r"'m' has shape \(2, 3, 8, 8\); allowed"),
        ({"deltas": {"m": torch.full((2, 3, 32, 32), 1.01)}}, "'m' has values outside"),
        ({"deltas": {"m": torch.full((2, 3, 32, 32), math.nan)}}, "'m' has values outside"),
    ],
)
def test_sheet_refuses(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "images": make_images(2).pixels,
        "deltas": {"m": torch.zeros(2, 3, 32, 32)},
        "captions": ["a", "b"],
    }
    with pytest.raises(ValueError, match=message):
        pattern_sheet(**{**arguments, **change})


def test_borders_are_those_of_the_networks_input() -> None:
    """Patches of 16 px of a 384 px input are 9.33 px of the 224 px images."""
    patches = torch.randn((1, 3, 24, 24), generator=torch.Generator().manual_seed(0))
    delta = torch.nn.functional.interpolate(patches, size=(224, 224), mode="nearest")
    right = tabulated(
        delta, None, model="a", image_ids=["x"], patch_sizes=[16], scale=224 / 384
    ).to_pylist()[0]
    wrong = tabulated(delta, None, model="a", image_ids=["x"], patch_sizes=[16]).to_pylist()[0]
    assert right["border_ratio"] > 20 * wrong["border_ratio"]
    assert right["patch_px"] == 16
