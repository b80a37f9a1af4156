"""Each blur against a plain implementation with the same draws, at 224 px and smaller."""

import math

import numpy as np
import pytest
import torch

from perturb.experiments.corruptions import blur, filters, glass
from perturb.experiments.corruptions.corruptions import constants
from tests.corruption_images import assert_close, make_images, make_keys, planes


def test_glass_sweep_is_the_sequential_one() -> None:
    H, W = 23, 19
    for max_delta, iterations in ((1, 2), (2, 3), (4, 2)):
        offsets = torch.from_numpy(
            np.random.default_rng(max_delta).integers(
                -max_delta, max_delta, (4, iterations, 2, H, W), dtype=np.int8
            )
        )
        sources = glass.sweep_sources(offsets, max_delta)
        for image in range(4):
            x = np.arange(H * W).reshape(H, W)
            for step in range(iterations):
                dy, dx = offsets[image, step].numpy().astype(int)
                for h in range(H - max_delta, max_delta, -1):
                    for w in range(W - max_delta, max_delta, -1):
                        x[h, w] = x[h + dy[h, w], w + dx[h, w]]
            assert np.array_equal(sources[image].view(H, W).numpy(), x)


def test_glass_offsets_cover_their_range_evenly() -> None:
    offsets = glass.draw_offsets(make_keys(4), (1.1, 3, 2, 1.0), 64, 64)
    values, counts = offsets.unique(return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2]
    assert (counts / offsets.numel() - 1 / 6).abs().max() < 0.01
    rarely = glass.draw_offsets(make_keys(4), (0.2, 1, 2, 0.25), 64, 64)
    assert (rarely != 0).any(dim=2).double().mean().item() == pytest.approx(0.75 / 4, abs=0.01)


def naive_gaussian(x: np.ndarray, sigma: float) -> np.ndarray:
    """Return a separable sum, one tap at a time, with replicated edges, cut at 4 sigma."""
    radius = int(4 * sigma + 0.5)
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(-radius, radius + 1)]
    for axis in (0, 1):
        length = x.shape[axis]
        total = np.zeros_like(x)
        for i, weight in zip(range(-radius, radius + 1), weights, strict=True):
            rows = np.clip(np.arange(length) + i, 0, length - 1)
            total += weight / sum(weights) * np.take(x, rows, axis)
        x = total
    return x


@pytest.mark.parametrize("severity", [1, 5])
def test_gaussian_blur_at_224(severity: int) -> None:
    image = make_images(1, 224)
    values = constants("gaussian_blur", severity, 224, 224)
    ours = blur.gaussian_blur(image, values)[0]
    assert_close(ours, naive_gaussian(planes(image[0]), values[0]), share=0.01)


def test_glass_blur_at_224() -> None:
    image = make_images(1, 224)
    values = constants("glass_blur", 2, 224, 224)
    offsets = glass.draw_offsets(make_keys(1), values, 224, 224)
    dy, dx = offsets[0, 0].numpy().astype(int)
    x = np.uint8(naive_gaussian(planes(image[0]), 0.9) * 255 + 1e-9)
    for h in range(222, 2, -1):
        for w in range(222, 2, -1):
            x[h, w] = x[h + dy[h, w], w + dx[h, w]]
    ours = glass.glass_blur(image, values, offsets)[0]
    assert_close(ours, naive_gaussian(x / 255, 0.9), share=0.01)


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_defocus_blur_at_224(severity: int) -> None:
    radius, alias = [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)][severity - 1]
    reach, border = (8, 1) if radius <= 8 else (10, 2)
    size = 2 * reach + 1
    disk = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            disk[y, x] = (y - reach) ** 2 + (x - reach) ** 2 <= radius**2
    disk /= disk.sum()
    weights = np.array([math.exp(-0.5 * (i / alias) ** 2) for i in range(-border, border + 1)])
    weights /= weights.sum()
    kernel = np.zeros_like(disk)
    for y in range(-border, border + 1):
        for x in range(-border, border + 1):
            rows = [reflect_101(r + y, size) for r in range(size)]
            columns = [reflect_101(c + x, size) for c in range(size)]
            kernel += weights[y + border] * weights[x + border] * disk[rows][:, columns]
    image = make_images(1, 224)
    padded = np.pad(planes(image[0]), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    blurred = np.zeros((224, 224, 3))
    for (y, x), weight in np.ndenumerate(kernel.astype(np.float32)):
        blurred += float(weight) * padded[y : y + 224, x : x + 224]
    ours = blur.defocus_blur(image, constants("defocus_blur", severity, 224, 224))[0]
    assert_close(ours, blurred)


def reflect_101(index: int, size: int) -> int:
    return -index if index < 0 else 2 * (size - 1) - index if index >= size else index


def test_small_disks_grow_without_steps() -> None:
    """A radius below half a pixel has an effect, with the spread of the disk."""
    spreads = []
    for radius in (0.1, 0.43, 0.57, 0.86, 1.14, 1.43, 5.0):
        kernel = blur._subpixel_disk(radius, 0.0)
        assert kernel.sum() == pytest.approx(1)
        offsets = np.arange(len(kernel)) - len(kernel) // 2
        spreads.append(float((kernel * offsets**2).sum()))
    assert spreads == sorted(spreads)
    assert spreads[0] == pytest.approx(0.1 * 4 / (3 * math.pi), rel=0.02)  # linear in the radius
    assert spreads[-1] == pytest.approx(5.0**2 / 4 + 1 / 6, rel=0.02)


@pytest.mark.parametrize("severity", [1, 5])
def test_motion_blur_at_224(severity: int) -> None:
    radius, sigma = constants("motion_blur", severity, 224, 224)
    image, angles = make_images(2, 224), torch.tensor([-37.5, 12.25], dtype=torch.float64)
    ours = blur.motion_blur(image, (radius, sigma), angles)
    count = 2 * math.ceil(radius) + 1
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(count)]
    for number, angle in enumerate(np.deg2rad(angles.numpy())):
        x = image[number].numpy().astype(float)
        total = np.zeros_like(x)
        for i, weight in enumerate(weights):
            rows = np.clip(np.arange(224) + math.ceil(i * math.sin(angle) - 0.5), 0, 223)
            columns = np.clip(np.arange(224) + math.ceil(i * math.cos(angle) - 0.5), 0, 223)
            total += weight / sum(weights) * x[:, rows][:, :, columns]
        reference = np.floor(np.floor(257 * total + 0.5 + 1e-9) / 257)
        assert np.array_equal(ours[number].numpy(), reference)


@pytest.mark.parametrize("severity", [1, 5])
def test_zoom_blur_at_224(severity: int) -> None:
    start, stop, step = 1, *[(1.11, 0.01), (1.31, 0.03)][severity == 5]
    factors = np.arange(start, stop, step)
    image = make_images(1, 224)
    x = planes(image[0]).astype(np.float32)
    total = np.zeros_like(x)
    for factor in factors:
        crop = math.ceil(224 / factor)
        size = round(crop * factor)
        top, trim = (224 - crop) // 2, (size - 224) // 2
        part = x[top : top + crop, top : top + crop].astype(float)
        for axis in (0, 1):
            at = np.arange(size) * (crop - 1) / (size - 1)
            below = np.minimum(np.floor(at).astype(int), crop - 2)
            share = (at - below).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
            part = np.take(part, below, axis) * (1 - share) + np.take(part, below + 1, axis) * share
        total += part.astype(np.float32)[trim : trim + 224, trim : trim + 224]
    ours = blur.zoom_blur(image, constants("zoom_blur", severity, 224, 224))[0]
    assert_close(ours, (x + total) / (len(factors) + 1))


def test_smoother_reflects_and_keeps_the_mean() -> None:
    for length, sigma in ((16, 12.0), (32, 2.8), (20, 0.3)):
        matrix = filters.reflecting_smoother(length, sigma, 3.0)
        np.testing.assert_allclose(matrix.sum(1), 1)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-15)
        radius = int(3 * sigma + 0.5)
        x = np.random.default_rng(0).random(length)
        padded = np.pad(x, radius, mode="symmetric")
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        expected = np.convolve(padded, weights / weights.sum(), mode="valid")
        np.testing.assert_allclose(matrix @ x, expected, atol=1e-12)
