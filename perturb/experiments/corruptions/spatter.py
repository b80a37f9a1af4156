"""Spatter: drops of water or mud on the lens, given the draws.

Semantics of ImageNet-C's extra corruption, re-derived from its sequence of OpenCV calls. Water
(severities 1-3) is a thresholded smooth noise; a distance transform and an emboss filter turn its
Canny outline into highlights. All steps after the first smoothing use whole numbers or float32 in
the published order, so that the pixels equal the published ones.

B images, H W pixels; all planes are (B, H, W).
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.experiments.corruptions import device_filters, filters
from perturb.experiments.corruptions.connected import grow, grow_by_labels
from perturb.experiments.corruptions.corruption import Corruption, normal_plane
from perturb.experiments.corruptions.exact import constant, divisor, fractions
from perturb.experiments.corruptions.filters import GUARD, to_bytes, unit_to_bytes
from perturb.experiments.corruptions.scaling import Constants, gaussian_taps, scaled_spatter

_WATER = (175 / 255, 238 / 255, 238 / 255)  # pale turquoise
_MUD = (63 / 255, 42 / 255, 20 / 255)
_CANNY_LOW, _CANNY_HIGH = 50, 150
_SOBEL_X = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))
_SOBEL_Y = ((-1, -2, -1), (0, 0, 0), (1, 2, 1))
_BOX = ((1, 1, 1),) * 3
_EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
# Steps of OpenCV's 5 x 5 distance transform: to a neighbour, across a corner, a knight's move.
_STRAIGHT, _DIAGONAL, _KNIGHT = np.float32(1.0), np.float32(1.4), np.float32(2.1969)


def spatter(
    images: Tensor,
    constants: Constants,
    normals: Tensor,
    *,
    blur: Callable[[Tensor, np.ndarray], Tensor] = filters.gaussian_blur,
    grow: Callable[[Tensor, Tensor], Tensor] = grow,
) -> Tensor:
    """Return the image behind drops; ``normals`` float32 (B, H, W) from N(0, 1)."""
    mean, sigma, blur_sigma, threshold, strength, is_mud, reach = constants
    noise = normals.double().mul_(sigma).add_(mean)
    layer = blur(noise[:, None], gaussian_taps(blur_sigma))[:, 0]
    layer = layer.masked_fill(layer < threshold, 0.0)
    pixels = fractions(images, torch.float32)
    if is_mud:
        cover = _smooth((layer > threshold).float(), strength)
        cover = cover.masked_fill_(cover < 0.8, 0.0)[:, None]
        return unit_to_bytes(pixels * (1 - cover) + cover * _colour(_MUD, pixels))
    drops = _water_mask(layer, reach, grow)[:, None] * strength
    return unit_to_bytes(pixels + drops * _colour(_WATER, pixels))


def _colour(colour: tuple[float, ...], like: Tensor) -> Tensor:
    return constant(colour, like.dtype, like.device).view(3, 1, 1)


def _smooth(planes: Tensor, sigma: float) -> Tensor:
    """Return float32 planes blurred, rounded to float32 after each axis as in SciPy."""
    taps = gaussian_taps(sigma)
    radius = len(taps) // 2
    for dim, padding in ((-2, (0, 0, radius, radius)), (-1, (radius, radius, 0, 0))):
        padded = F.pad(planes[:, None], padding, mode="replicate").double()
        planes = filters.filter_along(padded, taps, dim)[:, 0].float()
    return planes


def _water_mask(layer: Tensor, reach: float, grow: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the brightness of the water at each pixel, float32 in [0, 1]."""
    liquid = to_bytes(layer * 255, GUARD).float()
    # The mean of nine float32, rounded to float32 before truncation to a whole number.
    sums = _correlate(_distance(_canny(liquid, grow), reach).double(), _BOX)
    nearby = sums.div_(divisor(9, sums)).float().floor_()
    shaded = _correlate(_equalise(nearby), _EMBOSS).clamp_(0, 255)
    # The mean of nine whole numbers is never half-way between two.
    mask = liquid * _correlate(shaded, _BOX).add_(4.5).div_(divisor(9, shaded)).floor_()
    # An image without a drop does not change; the published code divides zero by zero there.
    return mask / mask.amax(dim=(1, 2), keepdim=True).clamp_min(1.0)


def _correlate(
    planes: Tensor, kernel: tuple[tuple[float, ...], ...], mode: str = "reflect"
) -> Tensor:
    """Return the planes correlated with a 3 x 3 kernel, edges reflected (101) or replicated."""
    H, W = planes.shape[-2:]
    padded = F.pad(planes, (1, 1, 1, 1), mode=mode)
    taps = [(y, x, w) for y, row in enumerate(kernel) for x, w in enumerate(row) if w]
    (y, x, weight), *others = taps
    total = padded[:, y : y + H, x : x + W] * weight
    for y, x, weight in others:
        total.add_(padded[:, y : y + H, x : x + W], alpha=weight)
    return total


def _canny(planes: Tensor, grow: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the edges of gray levels: Sobel, thinning across the gradient, hysteresis."""
    dx = _correlate(planes, _SOBEL_X, "replicate")
    dy = _correlate(planes, _SOBEL_Y, "replicate")
    width, height = dx.abs(), dy.abs()
    size = width + height
    padded = F.pad(size, (1, 1, 1, 1))
    H, W = planes.shape[-2:]

    def neighbour(y: int, x: int) -> Tensor:
        return padded[:, 1 + y : 1 + y + H, 1 + x : 1 + x + W]

    is_flat = height <= width * math.tan(math.pi / 8)
    is_steep = height > width * math.tan(3 * math.pi / 8)
    across = (size > neighbour(0, -1)) & (size >= neighbour(0, 1))
    along = (size > neighbour(-1, 0)) & (size >= neighbour(1, 0))
    falling = size > torch.maximum(neighbour(-1, -1), neighbour(1, 1))
    rising = size > torch.maximum(neighbour(-1, 1), neighbour(1, -1))
    diagonal = torch.where(dx * dy >= 0, falling, rising)
    is_peak = torch.where(is_flat, across, torch.where(is_steep, along, diagonal))
    is_weak = is_peak & (size > _CANNY_LOW)
    return grow(is_weak & (size > _CANNY_HIGH), is_weak)


def _distance(is_edge: Tensor, reach: float) -> Tensor:
    """Return OpenCV's distance to the nearest edge (5 x 5 mask), float32, at most ``reach``.

    Along a row only the nearest edge counts, so the nearest edge is the minimum over all rows
    within reach of the distance to that row's nearest edge. Distances are represented by int16
    ranks.
    """
    ranks, distances = _distance_tables(reach, is_edge.device)
    rows = len(ranks)
    along = _distance_along_rows(is_edge, rows - 1).int().flatten()
    nearest = ranks[0].index_select(0, along).view(is_edge.shape)
    H = is_edge.shape[-2]
    for step in range(1, min(rows, H)):
        away = ranks[step].index_select(0, along).view(is_edge.shape)
        lower, upper = nearest[:, step:], nearest[:, : H - step]
        torch.minimum(lower, away[:, : H - step], out=lower)
        torch.minimum(upper, away[:, step:], out=upper)
    return distances.index_select(0, nearest.flatten().int()).view(is_edge.shape)


def _distance_along_rows(is_edge: Tensor, limit: int) -> Tensor:
    """Return the distance to the row's nearest edge in pixels, int16, at most ``limit``."""
    distance = torch.full_like(is_edge, limit, dtype=torch.int16).masked_fill_(is_edge, 0)
    strides, covered = [], 0
    while covered < limit:  # strides whose sums are every number up to the limit
        strides.append(min(covered + 1, limit - covered))
        covered += strides[-1]
    W = is_edge.shape[-1]
    sides = torch.stack([distance, distance.flip(-1)])  # to the right, and to the left
    for stride in [stride for stride in strides if stride < W]:
        # The sums are complete before the minimum is written: every stride counts once.
        farther, nearest = sides[..., stride:] + stride, sides[..., : W - stride]
        torch.minimum(nearest, farther, out=nearest)
    return torch.minimum(sides[0], sides[1].flip(-1))


@lru_cache(maxsize=16)
def _distance_tables(reach: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the rank of the distance over (rows, columns), and the distance of a rank.

    Distances are sequential float32 sums of steps, straight steps first.
    """
    size = math.ceil(reach) + 1
    table = np.full((size, size), reach, np.float32)
    for rows in range(size):
        for columns in range(size):
            long, short = max(rows, columns), min(rows, columns)
            knights = min(short, long - short)
            moves = [_STRAIGHT] * (long - short - knights) + [_DIAGONAL] * (short - knights)
            away = np.float32(0)
            for move in moves + [_KNIGHT] * knights:
                away += move
            table[rows, columns] = min(away, np.float32(reach))
    # Beyond the last column there may be no edge.
    table[:, -1] = reach
    distances, ranks = np.unique(table, return_inverse=True)
    as_ranks = ranks.reshape(size, size).astype(np.int16)
    return torch.from_numpy(as_ranks).to(device), torch.from_numpy(distances).to(device)


def _equalise(planes: Tensor) -> Tensor:
    """Return each plane of whole levels with its histogram equalised to 0-255, as OpenCV does."""
    B, H, W = planes.shape
    levels = planes.long().view(B, H * W)
    ones = torch.ones_like(levels)
    counts = torch.zeros(B, 256, dtype=torch.int64, device=planes.device)
    cumulative = counts.scatter_add_(1, levels, ones).cumsum(1)
    lowest = counts.gather(1, levels.amin(1, keepdim=True))
    scale = 255.0 / (H * W - lowest).clamp_min(1).float()
    table = ((cumulative - lowest).float() * scale).clamp_min(0).round()
    # A plane of one level does not change.
    table = torch.where(lowest == H * W, torch.arange(256.0, device=planes.device), table)
    return table.gather(1, levels).view(B, H, W)


CORRUPTIONS = {
    "spatter": Corruption(
        spatter,
        # mean, sigma, blur sigma_px, threshold, strength (mud: blur sigma_px), is mud, reach_px
        published=(
            (0.65, 0.3, 4, 0.69, 0.6, 0, 20),
            (0.65, 0.3, 3, 0.68, 0.6, 0, 20),
            (0.65, 0.3, 2, 0.68, 0.5, 0, 20),
            (0.65, 0.3, 1, 0.65, 1.5, 1, 20),
            (0.67, 0.4, 1, 0.65, 1.5, 1, 20),
        ),
        draw=normal_plane,
        scaled=scaled_spatter,
        on_device=partial(spatter, blur=device_filters.blurred, grow=grow_by_labels),
    ),
}
