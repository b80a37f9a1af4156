"""Weather corruptions: snow, frost and fog, each given its draws.

Semantics of ImageNet-C. The frost textures are procedural (``frost_textures.py``): the published
six are photographs of undocumented origin, and may be passed instead.

B images, H W pixels, S side of the plasma.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from perturb import random
from perturb.experiments.corruptions import draws, filters
from perturb.experiments.corruptions.blur import is_published_size, motion_blur
from perturb.experiments.corruptions.corruption import Corruption
from perturb.experiments.corruptions.filters import unit_to_bytes
from perturb.experiments.corruptions.scaling import Constants, scaled_snow

# The published code draws from the first five of its six files.
NUM_DRAWN_TEXTURES = 5
_GRAY_WEIGHTS = (0.299, 0.587, 0.114)


def snow(images: Tensor, constants: Constants, normals: Tensor, angles_deg: Tensor) -> Tensor:
    """Return the whitened image with streaks of snow, added upright and rotated by 180 degrees.

    Parameters
    ----------
    images : uint8 (B, 3, H, W).
    constants : mean, sigma, zoom, threshold, radius_px, sigma_px, weight of the image.
    normals : float32 (B, H, W) from N(0, 1).
    angles_deg : float64 (B,), the direction of the fall, from U(-135, -45).
    """
    mean, sigma, zoom, threshold, radius, blur_sigma, weight = constants
    H, W = images.shape[-2:]
    layer = (normals.double() * sigma + mean)[:, None]
    is_published = is_published_size(images)
    rows = filters.zoom_positions(H, zoom, is_published)
    columns = filters.zoom_positions(W, zoom, is_published)
    layer = filters.resample(layer, rows, columns)
    layer = unit_to_bytes(layer.masked_fill_(layer < threshold, 0.0))
    flakes = motion_blur(layer, (radius, blur_sigma), angles_deg).double() / 255
    pixels = images.float() / 255  # the published code blends in float32
    red, green, blue = (pixels[:, c : c + 1] * w for c, w in enumerate(_GRAY_WEIGHTS))
    whitened = torch.maximum(pixels, (red + green + blue) * 1.5 + 0.5)
    blended = pixels * weight + whitened * (1 - weight)
    snowy = blended.double().add_(flakes).add_(flakes.flip(-2, -1))
    return unit_to_bytes(snowy)


def frost(
    images: Tensor,
    constants: Constants,
    files: Tensor,
    corners: Tensor,
    textures: Sequence[Tensor],
) -> Tensor:
    """Return a weighted sum of the image and a crop of a frost texture.

    Parameters
    ----------
    images : uint8 (B, 3, H, W).
    constants : weight of the image, weight of the frost.
    files : int64 (B,), indices of the textures.
    corners : float (B, 2) in [0, 1), the crop's corner (y, x) as a fraction of its range.
    textures : uint8 (3, height, width) each, larger than the images.
    """
    H, W = images.shape[-2:]
    crops = []
    for file, (down, right) in zip(files.tolist(), corners.tolist(), strict=True):
        texture = textures[file]
        # The upper end is exclusive, as in the published randint.
        top = int(down * (texture.shape[-2] - H))
        left = int(right * (texture.shape[-1] - W))
        crops.append(texture[:, top : top + H, left : left + W])
    crop = torch.stack(crops).to(images.device)
    table = _blend_table(constants, images.device)
    index = images.to(torch.int32).mul_(256).add_(crop)
    return table.index_select(0, index.flatten()).view_as(images)


@lru_cache(maxsize=16)
def _blend_table(constants: Constants, device: torch.device) -> Tensor:
    """Return the blend of every pair of bytes, uint8 (65536,).

    Both inputs are bytes; float64 rounding matters where the exact sum is a whole number.
    """
    image_weight, frost_weight = constants
    levels = np.arange(256, dtype=np.float64)
    blend = image_weight * levels[:, None] + frost_weight * levels
    return torch.from_numpy(np.clip(blend, 0, 255).astype(np.uint8).ravel()).to(device)


def fog(images: Tensor, constants: Constants, uniforms: Tensor) -> Tensor:
    """Return the image with a plasma added, rescaled to its original maximum.

    Parameters
    ----------
    images : uint8 (B, 3, H, W).
    constants : weight of the fog, decay of the plasma's wibble from one scale to the next.
    uniforms : (B, S * S - 1) in [0, 1) with S = ``plasma_side(H, W)``.
    """
    weight, decay = constants
    H, W = images.shape[-2:]
    plasma = plasma_fractal(uniforms.double(), plasma_side(H, W), decay)
    pixels = images.double() / 255
    brightest = pixels.amax(dim=(1, 2, 3), keepdim=True)
    foggy = pixels.add_(weight * plasma[:, None, :H, :W])
    return unit_to_bytes(foggy.mul_(brightest).div_(brightest + weight))


def plasma_side(height: int, width: int) -> int:
    """Return the side of the plasma: the smallest power of two that covers the image."""
    return 1 << (max(height, width) - 1).bit_length()


def plasma_fractal(uniforms: Tensor, side: int, decay: float) -> Tensor:
    """Return float64 (B, S, S) in [0, 1]: the diamond-square algorithm on a torus, batched.

    Points of a level are the mean of four older ones plus w U(-w, w), where the wibble w is 100
    and divided by ``decay`` from level to level: the square of w is the published amplitude.
    The draws are used in the order squares, upper diamonds, left diamonds, coarse to fine.
    """
    B = len(uniforms)
    plasma = torch.zeros(B, side, side, dtype=torch.float64, device=uniforms.device)
    step, wibble, used = side, 100.0, 0

    def wibbled_mean(total: Tensor) -> Tensor:
        nonlocal used
        draws = uniforms[:, used : used + total[0].numel()].view_as(total)
        used += total[0].numel()
        return (total / 4).add_(wibble * (-wibble + 2 * wibble * draws))

    while step >= 2:
        half = step // 2
        old = plasma[:, ::step, ::step]
        pairs = old + old.roll(-1, 1)
        plasma[:, half::step, half::step] = wibbled_mean(pairs + pairs.roll(-1, 2))
        centres = plasma[:, half::step, half::step]
        above = (centres + centres.roll(1, 1)) + (old + old.roll(-1, 2))
        plasma[:, ::step, half::step] = wibbled_mean(above)
        beside = (centres + centres.roll(1, 2)) + (old + old.roll(-1, 1))
        plasma[:, half::step, ::step] = wibbled_mean(beside)
        step, wibble = half, wibble / decay
    plasma -= plasma.amin(dim=(1, 2), keepdim=True)
    return plasma.div_(plasma.amax(dim=(1, 2), keepdim=True))


def _snow_draws(keys: Tensor, _: Constants, H: int, W: int) -> tuple[Tensor, ...]:
    direction = random.stream_keys(0, "direction", keys)
    return draws.normals(keys, H, W), draws.angles_deg(direction, -135, -45)


def _frost_draws(keys: Tensor, *_: object) -> tuple[Tensor, ...]:
    place = draws.uniforms(keys, 3)
    return (place[:, 0] * NUM_DRAWN_TEXTURES).long(), place[:, 1:]


def _fog_draws(keys: Tensor, _: Constants, H: int, W: int) -> tuple[Tensor, ...]:
    return (draws.uniforms(keys, plasma_side(H, W) ** 2 - 1),)


CORRUPTIONS = {
    "snow": Corruption(
        snow,
        # mean, sigma, zoom, threshold, radius_px, sigma_px, weight of the image
        published=(
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
        draw=_snow_draws,
        scaled=scaled_snow,
        num_values=1 << 20,
    ),
    "frost": Corruption(
        frost,
        # image, frost
        published=((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        draw=_frost_draws,
    ),
    "fog": Corruption(
        fog,
        # weight, decay of the wibble
        published=((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        draw=_fog_draws,
    ),
}
