"""Corruptions in the form for a GPU: the same bytes, and as many kernels for any batch."""

import functools
import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from perturb import random
from perturb.experiments.corruptions import box_filter, connected, digital, glass, jpeg, shot
from perturb.experiments.corruptions.corruptions import (
    CORRUPTIONS,
    constants,
    corrupt,
    draws_nothing,
    jpeg_pass,
)
from tests.corruption_images import make_images, make_keys
from tests.device_counts import Counts, counted

MAX_KERNELS = 320
SEVERITIES = range(1, 6)


def pictures(count: int, height: int, width: int) -> Tensor:
    """Return pictures, noise of any level, noise of black and white, and flat images."""
    noise = random.integers(torch.arange(count) + 99, 3 * height * width, 256)
    noise = noise.view(count, 3, height, width).to(torch.uint8)
    extreme = (noise > 127).to(torch.uint8) * 255
    flat = torch.tensor([0, 77, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    flat = flat.expand(3, 3, height, width)
    return torch.cat([make_images(count, height, width), noise, extreme, flat])


@pytest.mark.parametrize("size", [(32, 32), (37, 53), (16, 41)])
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_bytes_are_those_of_the_other_form(corruption: str, size: tuple[int, int]) -> None:
    images = pictures(3, *size)
    keys = make_keys(len(images))
    before = images.clone()
    for severity in SEVERITIES:
        expected = corrupt(images, corruption, severity, keys, 7)
        changed = corrupt(images, corruption, severity, keys, 7, on_device=True)
        assert torch.equal(changed, expected), severity
        assert changed.is_contiguous()
        assert torch.equal(images, before)


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_bytes_are_those_of_the_other_form_at_224(corruption: str, severity: int) -> None:
    images, keys = pictures(1, 224, 224)[:3], make_keys(3)
    expected = corrupt(images, corruption, severity, keys, 3, jpeg_quality=85)
    changed = corrupt(images, corruption, severity, keys, 3, jpeg_quality=85, on_device=True)
    assert torch.equal(changed, expected)


@pytest.mark.parametrize("size", [(32, 32), (37, 53), (224, 224)])
@pytest.mark.parametrize("corruption", [name for name in CORRUPTIONS if name != "zoom_blur"])
def test_the_host_reads_no_value(corruption: str, size: tuple[int, int]) -> None:
    """Tensors without values go through, and none of the host's meets them.

    torch has no sparse product of such tensors, which zoom_blur is.
    """
    images = torch.empty((4, 3, *size), dtype=torch.uint8, device="meta")
    keys = torch.empty(4, dtype=torch.int64, device="meta")
    for severity in SEVERITIES:
        changed = corrupt(images, corruption, severity, keys, 0, jpeg_quality=85)
        assert (changed.device, changed.dtype) == (images.device, torch.uint8)
        assert changed.shape == images.shape


def counts_of(corruption: str, severity: int, images: Tensor, quality: int | None) -> Counts:
    keys = make_keys(len(images))
    change = functools.partial(
        corrupt, images, corruption, severity, keys, 0, jpeg_quality=quality, on_device=True
    )
    change()  # tables are made once
    with counted() as counts:
        change()
    return counts


@pytest.mark.parametrize(("side", "batches"), [(32, (8, 256)), (224, (2, 4))])
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_kernels_do_not_grow_with_the_batch(
    corruption: str, side: int, batches: tuple[int, int]
) -> None:
    images = make_images(batches[1], side)
    for severity in (1, 3, 5):
        few, many = (counts_of(corruption, severity, images[:n], None) for n in batches)
        assert few.operations == many.operations, severity
        assert many.kernels <= MAX_KERNELS, severity
        for counts in (few, many):
            assert (counts.syncs, counts.uploads) == (0, 0), severity


@pytest.mark.parametrize("side", [32, 45, 224])
def test_kernels_of_the_jpeg_pass_do_not_grow_with_the_batch(side: int) -> None:
    batches = (8, 256) if side < 224 else (2, 4)
    images = make_images(batches[1], side)
    jpeg_pass(images, 85, on_device=True)
    counts = []
    for batch in batches:
        with counted() as found:
            jpeg_pass(images[:batch], 85, on_device=True)
        counts.append(found)
    assert counts[0].operations == counts[1].operations
    assert counts[1].kernels <= MAX_KERNELS // 4
    assert (counts[1].syncs, counts[1].uploads) == (0, 0)


@pytest.mark.parametrize("size", [(32, 32), (17, 50), (30, 31), (24, 63)])
def test_jpeg_is_pillows_at_every_quality(size: tuple[int, int]) -> None:
    images = pictures(1, *size)
    for quality in range(1, 96):
        assert torch.equal(
            jpeg.jpeg_pass(images, quality), digital.pillow_jpeg_pass(images, quality)
        )


def test_jpeg_is_pillows_at_every_side() -> None:
    for height, width in zip(range(16, 49), [*range(40, 16, -1), *range(16, 25)], strict=True):
        images = pictures(1, height, width)
        for quality in (5, 50, 90):
            ours = jpeg.jpeg_pass(images, quality)
            assert torch.equal(ours, digital.pillow_jpeg_pass(images, quality)), (
                height,
                width,
                quality,
            )


def pillow_pixelate(image: Tensor, ratio: float) -> Tensor:
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    small = (int(picture.width * ratio), int(picture.height * ratio))
    box = Image.Resampling.BOX
    return torch.from_numpy(np.array(picture.resize(small, box).resize(picture.size, box)))


def test_pixelate_is_pillows_at_every_side() -> None:
    ratios = [ratio for (ratio,) in (constants("pixelate", s, 32, 32) for s in SEVERITIES)]
    for side, ratio in itertools.product([*range(16, 66), 99, 224, 301, 384], ratios):
        images = pictures(1, side, 17 + side // 2)
        ours = digital.pixelate(images, (ratio,)).permute(0, 2, 3, 1)
        expected = torch.stack([pillow_pixelate(image, ratio) for image in images])
        assert torch.equal(ours, expected), (side, ratio)


def test_box_filter_keeps_an_image_of_the_same_size() -> None:
    images = pictures(1, 19, 23)
    assert torch.equal(box_filter.resize_box(images, 19, 23), images)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_shot_noise_at_both_sides_of_every_step(severity: int) -> None:
    """Draws just below, at and above each step of the distribution functions of all bytes."""
    (rate,) = constants("shot_noise", severity, 224, 224)
    cumulative, _ = shot._distribution(int(rate))
    steps = np.ceil(cumulative * 2**24)[:, :, None] + np.array([-1, 0, 1])
    uniforms = torch.from_numpy(np.clip(steps, 0, 2**24 - 1) * 2.0**-24).float()
    images = torch.arange(256).to(torch.uint8).view(256, 1, 1).expand(uniforms.shape)
    expected = shot.shot_noise(images, (rate,), uniforms)
    assert torch.equal(shot.shot_noise_on_device(images, (rate,), uniforms), expected)


def test_glass_follows_chains_of_128_jumps() -> None:
    jumps = torch.arange(1, 130, dtype=torch.int32).clamp_(max=128)
    assert glass.follow_far(jumps).tolist() == [128] * 129


def winding(side: int) -> dict[str, Tensor]:
    """Return lines that wind through a whole image, bool (side, side) each, one pixel apart."""
    spiral = torch.zeros(side, side, dtype=torch.bool)
    for ring in range(0, (side + 1) // 2, 2):
        low, high = ring, side - 1 - ring
        spiral[low, max(0, low - 2) : high + 1] = True
        spiral[low : high + 1, high] = True
        spiral[high, low : high + 1] = True
        spiral[low + 2 : high + 1, low] = True
    snake = torch.zeros(side, side, dtype=torch.bool)
    snake[::2] = True
    snake[1::4, -1] = snake[3::4, 0] = True
    return {"spiral": spiral, "snake": snake}


@pytest.mark.parametrize("side", [16, 32, 100, 224])
def test_outlines_grow_along_any_component(side: int) -> None:
    lines = [
        turned
        for line in winding(side).values()
        for turned in (line, line.flip(0), line.flip(1), line.T.contiguous())
    ]
    shares = torch.tensor([0.3, 0.4, 0.42, 0.5]).view(4, 1, 1)  # 0.4: components without a scale
    chance = random.uniform(torch.arange(4), side * side).view(4, side, side) < shares
    weak = torch.cat([torch.stack(lines), chance])
    strong = weak & (random.uniform(torch.arange(12) + 50, side * side) < 0.001).view_as(weak)
    strong[:8, 0, 0] = weak[:8, 0, 0]
    expected = connected.grow(strong, weak)
    assert torch.equal(connected.grow_by_labels(strong, weak), expected)
    assert torch.equal(connected.grow_by_labels(expected & False, weak), expected & False)


def test_frost_takes_textures_of_any_sizes() -> None:
    images, keys = make_images(12, 20, 26), make_keys(12)
    textures = [make_images(1, 27 + 5 * i, 40 - 3 * i)[0] for i in range(5)]
    for severity in SEVERITIES:
        change = functools.partial(
            corrupt, images, "frost", severity, keys, 1, frost_textures=textures
        )
        assert torch.equal(change(on_device=True), change())


def test_tables_made_in_inference_mode_serve_outside_of_it() -> None:
    images, keys = make_images(2, 34), make_keys(2)
    for corruption in CORRUPTIONS:
        with torch.inference_mode():
            inside = corrupt(images, corruption, 2, keys, 0, jpeg_quality=61, on_device=True)
        outside = corrupt(images, corruption, 2, keys, 0, jpeg_quality=61, on_device=True)
        assert torch.equal(inside, outside)


def test_corruptions_without_draws_hash_no_key() -> None:
    images = make_images(2, 32)
    for corruption in filter(draws_nothing, CORRUPTIONS):
        operations = counts_of(corruption, 1, images, None).operations
        assert "bitwise_xor" not in operations, corruption
