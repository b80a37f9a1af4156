"""Weather corruptions: snow, frost and fog, each given its draws.

Semantics of ImageNet-C. The frost textures are procedural (``frost_textures.py``): the published
six are photographs of undocumented origin, and may be passed instead.

B images, H W pixels, S side of the plasma.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from perturb import random
from perturb.experiments.corruptions import draws, filters
from perturb.experiments.corruptions.blur import (
    is_published_size,
    motion_blur,
    motion_blur_on_device,
)
from perturb.experiments.corruptions.corruption import Corruption
from perturb.experiments.corruptions.exact import fractions
from perturb.experiments.corruptions.filters import unit_to_bytes
from perturb.experiments.corruptions.frost_textures import Panes
from perturb.experiments.corruptions.scaling import Constants, scaled_snow

# The published code draws from the first five of its six files.
NUM_DRAWN_TEXTURES = 5
_GRAY_WEIGHTS = (0.299, 0.587, 0.114)


def snow(
    images: Tensor,
    constants: Constants,
    normals: Tensor,
    angles_deg: Tensor,
    *,
    motion: Callable[[Tensor, Constants, Tensor], Tensor] = motion_blur,
) -> Tensor:
    """Return the whitened image with streaks of snow, added upright and rotated by 180 degrees.

    Parameters
    ----------
    images : uint8 (B, 3, H, W).
    constants : mean, sigma, zoom, threshold, radius_px, sigma_px, weight of the image.
    normals : float32 (B, H, W) from N(0, 1).
    angles_deg : float64 (B,), the direction of the fall, from U(-135, -45).
    motion : the form of motion blur.
    """
    mean, sigma, zoom, threshold, radius, blur_sigma, weight = constants
    layer = normals[:, None].double().mul_(sigma).add_(mean)
    layer = filters.zoomed(layer, zoom, is_published_size(images))
    layer = unit_to_bytes(layer.masked_fill_(layer < threshold, 0.0))
    flakes = fractions(motion(layer, (radius, blur_sigma), angles_deg))
    pixels = fractions(images, torch.float32)  # the published code blends in float32
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
    return _blended(images, torch.stack(crops).to(images.device), constants)


def frost_on_device(
    images: Tensor, constants: Constants, files: Tensor, corners: Tensor, textures: Panes
) -> Tensor:
    """Return ``frost`` with all crops in one read of the textures."""
    H, W = images.shape[-2:]
    heights, widths = textures.heights[files], textures.widths[files]
    top = (corners[:, 0].double() * (heights - H)).long()
    left = (corners[:, 1].double() * (widths - W)).long()
    first = textures.starts[files] + top * widths + left
    channels = _steps(3, images.device) * (heights * widths).view(-1, 1, 1, 1)
    rows = _steps(H, images.device) * widths.view(-1, 1, 1, 1)
    lines = first.view(-1, 1, 1, 1) + channels.view(-1, 3, 1, 1) + rows.view(-1, 1, H, 1)
    index = lines.int() + _steps(W, images.device).int()
    crops = textures.pixels.index_select(0, index.flatten()).view_as(images)
    return _blended(images, crops, constants)


def _steps(length: int, device: torch.device) -> Tensor:
    return torch.arange(length, device=device)


def _blended(images: Tensor, crops: Tensor, constants: Constants) -> Tensor:
    table = _blend_table(constants, images.device)
    index = images.to(torch.int32).mul_(256).add_(crops)
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
    pixels = fractions(images)
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
    wibbles = _wibbles(side, decay, uniforms.device)
    draws = (2 * wibbles * uniforms).sub_(wibbles).mul_(wibbles)
    step, used = side, 0

    def set_to_mean(points: Tensor, total: Tensor) -> None:
        nonlocal used
        moves = draws[:, used : used + total[0].numel()].view_as(total)
        used += total[0].numel()
        torch.add(moves, total, alpha=0.25, out=points)  # a quarter is exact in every order

    while step >= 2:
        half = step // 2
        old, centres = plasma[:, ::step, ::step], plasma[:, half::step, half::step]
        pairs = old + old.roll(-1, 1)
        set_to_mean(centres, pairs + pairs.roll(-1, 2))
        above = (centres + centres.roll(1, 1)) + (old + old.roll(-1, 2))
        set_to_mean(plasma[:, ::step, half::step], above)
        beside = (centres + centres.roll(1, 2)) + pairs
        set_to_mean(plasma[:, half::step, ::step], beside)
        step = half
    plasma -= plasma.amin(dim=(1, 2), keepdim=True)
    return plasma.div_(plasma.amax(dim=(1, 2), keepdim=True))


@lru_cache(maxsize=16)
def _wibbles(side: int, decay: float, device: torch.device) -> Tensor:
    """Return the wibble of each draw of a plasma, float64 (S * S - 1,)."""
    wibbles, wibble = [], 100.0
    for level in range(side.bit_length() - 1):
        wibbles.append(np.full(3 * 4**level, wibble))
        wibble /= decay
    return torch.from_numpy(np.concatenate(wibbles)).to(device)


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
        on_device=partial(snow, motion=motion_blur_on_device),
    ),
    "frost": Corruption(
        frost,
        # image, frost
        published=((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        draw=_frost_draws,
        on_device=frost_on_device,
    ),
    "fog": Corruption(
        fog,
        # weight, decay of the wibble
        published=((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        draw=_fog_draws,
    ),
}
