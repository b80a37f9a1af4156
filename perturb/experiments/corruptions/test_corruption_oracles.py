"""Noise, weather and digital corruptions against plain code with the same draws."""

import colorsys
import io
import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image

from perturb.experiments.corruptions import digital, draws, frost_textures, noise, spatter, weather
from perturb.experiments.corruptions.corruptions import constants, corrupt, jpeg_pass
from tests.corruption_images import assert_close, make_images, make_keys, planes


@pytest.mark.parametrize("severity", [1, 2, 4])
def test_brightness_against_colorsys(severity: int) -> None:
    image = make_images(1, 32)
    image[0, :, 0, :6] = torch.tensor(
        [[0, 0, 0], [255, 255, 255], [9, 9, 9], [255, 0, 0], [0, 255, 255], [10, 200, 200]]
    ).T.to(torch.uint8)
    (shift,) = constants("brightness", severity, 32, 32)
    ours = digital.brightness(image, (shift,))[0].permute(1, 2, 0).numpy().astype(int)
    for row, column in [(0, i) for i in range(6)] + [(i, 3 * i % 32) for i in range(1, 32)]:
        hue, saturation, value = colorsys.rgb_to_hsv(*planes(image[0])[row, column])
        reference = colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + shift))
        assert np.abs(ours[row, column] - np.array(reference) * 255).max() <= 1 + 1e-6


def test_contrast() -> None:
    image = make_images(1, 40, 24)
    x = planes(image[0])
    means = x.mean(axis=(0, 1), keepdims=True)
    assert_close(digital.contrast(image, (0.3,))[0], (x - means) * 0.3 + means)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (224, 224), (40, 61)])
@pytest.mark.parametrize("ratio", [0.6, 0.25])
def test_pixelate_is_pillows(height: int, width: int, ratio: float) -> None:
    images = make_images(3, height, width)
    ours = digital.pixelate(images, (ratio,))
    for image, changed in zip(images, ours, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        small = picture.resize((int(width * ratio), int(height * ratio)), Image.Resampling.BOX)
        reference = np.asarray(small.resize((width, height), Image.Resampling.BOX))
        assert np.array_equal(changed.permute(1, 2, 0).numpy(), reference)


def test_jpeg_pass_is_pillows_and_not_applied_by_default() -> None:
    images = make_images(2, 48)
    stream = io.BytesIO()
    Image.fromarray(images[1].permute(1, 2, 0).numpy()).save(stream, "JPEG", quality=85)
    reference = np.asarray(Image.open(stream))
    assert np.array_equal(jpeg_pass(images, 85)[1].permute(1, 2, 0).numpy(), reference)
    weakest = corrupt(images, "jpeg_compression", 1, make_keys(2), 0)
    assert torch.equal(weakest, jpeg_pass(images, 25))
    with pytest.raises(ValueError, match="quality is 0; allowed: 1 to 95"):
        jpeg_pass(images, 0)


@pytest.mark.parametrize("rate", [60, 12, 3])
def test_shot_noise_inverts_the_distribution(rate: int) -> None:
    images = torch.arange(256).to(torch.uint8).repeat(3, 16).view(1, 3, 64, 64)
    uniforms = draws.uniforms(make_keys(1), 3, 64, 64)
    uniforms[0, 0, 0, :3] = torch.tensor([0.0, 1 - 2**-24, 0.5])
    ours = noise.shot_noise(images, (rate,), uniforms)
    for value, uniform, byte in zip(
        images.flatten().tolist(), uniforms.flatten().tolist(), ours.flatten().tolist(), strict=True
    ):
        mean, count = value / 255 * rate, 0
        density = cumulative = math.exp(-mean)
        while cumulative <= uniform and count < rate:
            count += 1
            density *= mean / count
            cumulative += density
        assert byte == int(min(count / rate, 1) * 255)


def test_noises_given_their_draws() -> None:
    image, keys = make_images(1, 24), make_keys(1)
    x = planes(image[0])
    normals = draws.normals(keys, 3, 24, 24)
    z = normals[0].permute(1, 2, 0).double().numpy()
    assert_close(noise.gaussian_noise(image, (0.18,), normals)[0], x + z * 0.18)
    assert_close(noise.speckle_noise(image, (0.35,), normals)[0], x + x * z * 0.35)
    uniforms, salt = draws.uniforms_and_signs(keys, 3, 24, 24)
    ours = noise.impulse_noise(image, (0.27,), uniforms, salt)
    hit = uniforms <= 0.27
    assert torch.equal(ours[~hit], image[~hit])
    assert torch.equal(ours[hit], salt[hit].to(torch.uint8) * 255)
    assert hit.double().mean().item() == pytest.approx(0.27, abs=0.03)
    assert salt.double().mean().item() == pytest.approx(0.5, abs=0.04)


def test_draws_are_uniform_and_independent_of_their_number() -> None:
    keys = make_keys(3)
    many = draws.uniforms(keys, 4001)
    assert torch.equal(draws.uniforms(keys, 10), many[:, :10])
    assert 0 <= many.min() < 0.01
    assert 0.99 < many.max() < 1
    assert many.double().mean().item() == pytest.approx(0.5, abs=0.01)
    assert many.double().var().item() == pytest.approx(1 / 12, abs=0.002)


def test_plasma_is_the_sequential_diamond_square() -> None:
    side, decay = 16, 1.7
    uniforms = draws.uniforms(make_keys(2), side * side - 1).double()
    ours = weather.plasma_fractal(uniforms, side, decay)
    assert ours.amin((1, 2)).tolist() == [0, 0]
    assert ours.amax((1, 2)).tolist() == [1, 1]
    for number in range(2):
        stream = iter(uniforms[number].tolist())
        plasma = np.zeros((side, side))
        step, wibble = side, 100.0
        while step >= 2:
            half = step // 2

            def fill(y0: int, x0: int, reach: list[tuple[int, int]], step: int) -> None:
                for y in range(y0, side, step):
                    for x in range(x0, side, step):
                        around = sum(plasma[(y + a) % side, (x + b) % side] for a, b in reach)  # noqa: B023
                        draw = -wibble + 2 * wibble * next(stream)  # noqa: B023
                        plasma[y, x] = around / 4 + wibble * draw  # noqa: B023

            fill(half, half, [(-half, -half), (-half, half), (half, -half), (half, half)], step)
            cross = [(-half, 0), (half, 0), (0, -half), (0, half)]
            fill(0, half, cross, step)
            fill(half, 0, cross, step)
            step, wibble = half, wibble / decay
        plasma -= plasma.min()
        np.testing.assert_allclose(ours[number].numpy(), plasma / plasma.max(), atol=1e-12)


def test_fog_and_frost_given_their_draws() -> None:
    image = make_images(1, 32)
    x = planes(image[0])
    uniforms = draws.uniforms(make_keys(1), 32 * 32 - 1)
    plasma = weather.plasma_fractal(uniforms.double(), 32, 2.0)[0].numpy()[..., None]
    reference = (x + 1.5 * plasma) * x.max() / (x.max() + 1.5)
    assert_close(weather.fog(image, (1.5, 2.0), uniforms)[0], reference)
    texture = make_images(1, 70)[0]
    ours = weather.frost(
        image, (0.8, 0.6), torch.tensor([1]), torch.tensor([[0.5, 0.999]]), [texture, texture]
    )
    crop = texture[:, 19:51, 37:69].permute(1, 2, 0).numpy()
    frosted = 0.8 * image[0].permute(1, 2, 0).numpy() + 0.6 * crop
    assert np.array_equal(
        ours[0].permute(1, 2, 0).numpy(), np.clip(frosted, 0, 255).astype(np.uint8)
    )


def test_frost_textures_are_six_and_cover_the_image() -> None:
    textures = frost_textures.frost_textures(32)
    assert len(textures) == 6
    for texture in textures:
        assert texture.dtype == torch.uint8
        assert min(texture.shape[1:]) > 32
        assert 50 < texture.double().mean() < 150
        assert texture.double().std() > 20
    given = [torch.full((3, 40, 40), 255, dtype=torch.uint8)] * 5
    white = corrupt(make_images(1, 32), "frost", 5, make_keys(1), 0, frost_textures=given)
    assert (
        white.double().mean()
        > corrupt(make_images(1, 32), "frost", 5, make_keys(1), 0).double().mean()
    )


@pytest.mark.parametrize("reach", [20.0, 12.0, 5.5])
def test_spatter_measures_distances_in_steps_of_a_knight_too(reach: float) -> None:
    """Distances equal the relaxation over OpenCV's 5 x 5 mask until convergence."""
    is_edge = draws.uniforms(make_keys(3), 40, 53) < torch.tensor([0.002, 0.01, 0.1]).view(3, 1, 1)
    is_edge[0] = False
    is_edge[0, 3, 50] = True
    steps = {(0, 1): 1.0, (1, 1): 1.4, (1, 2): 2.1969}
    expected = np.where(is_edge.numpy(), 0.0, 1e9)
    while True:
        padded = np.pad(expected, ((0, 0), (2, 2), (2, 2)), constant_values=1e9)
        before = expected
        for y, x in itertools.product(range(-2, 3), repeat=2):
            step = steps.get((min(abs(y), abs(x)), max(abs(y), abs(x))))
            if step is not None:
                shifted = padded[:, 2 + y : 42 + y, 2 + x : 55 + x]
                expected = np.minimum(expected, shifted + step)
        if np.array_equal(before, expected):
            break
    ours = spatter._distance(is_edge, reach).numpy()
    np.testing.assert_allclose(ours, np.minimum(expected, reach), atol=1e-5)
