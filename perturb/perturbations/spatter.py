"""Spatter: drops of water or mud on the lens, given the draws.

Semantics of ImageNet-C's extra corruption, re-derived from its sequence of OpenCV calls. Water
(severities 1-3) is a thresholded smooth noise whose outline, found by Canny, is turned by a
distance transform and an emboss filter into highlights. Water is not OpenCV's to the bit (2-5 % of
the pixels differ, 0.04-0.22 levels on average): distances are Euclidean where OpenCV's 5 x 5 masks
approximate them to 2 %, and blurs of bytes round half up. Mud is, but for 1 in 10,000 pixels.

B images, H W pixels; all planes are (B, H, W).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.perturbations import filters
from perturb.perturbations.corruption_constants import Constants, gaussian_taps
from perturb.perturbations.filters import GUARD, to_bytes

_WATER = (175 / 255, 238 / 255, 238 / 255)  # pale turquoise
_MUD = (63 / 255, 42 / 255, 20 / 255)
_CANNY_LOW, _CANNY_HIGH = 50, 150
_EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


def spatter(images: Tensor, constants: Constants, normals: Tensor) -> Tensor:
    """Return the image behind drops; ``normals`` float32 (B, H, W) from N(0, 1)."""
    mean, sigma, blur_sigma, threshold, strength, is_mud, reach = constants
    noise = normals.double() * sigma + mean
    layer = _smooth(noise, blur_sigma)
    layer = torch.where(layer < threshold, 0.0, layer)
    pixels = images.double() / 255
    if is_mud:
        cover = _smooth((layer > threshold).double(), strength)
        cover = torch.where(cover < 0.8 - GUARD, 0.0, cover)[:, None]
        return to_bytes((pixels * (1 - cover) + cover * _colour(_MUD, pixels)) * 255, GUARD)
    drops = _water_mask(layer, reach)[:, None] * strength
    return to_bytes((pixels + drops * _colour(_WATER, pixels)) * 255, GUARD)


def _colour(colour: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(colour, dtype=like.dtype, device=like.device).view(3, 1, 1)


def _smooth(planes: Tensor, sigma: float) -> Tensor:
    return filters.gaussian_blur(planes[:, None], gaussian_taps(sigma))[:, 0]


def _water_mask(layer: Tensor, reach: float) -> Tensor:
    """Return how bright the water is at each pixel, in [0, 1]."""
    liquid = to_bytes(layer * 255, GUARD).double()
    distance = _box_blur(_distance(_canny(liquid), reach)).floor()
    shaded = _correlate(_equalise(distance), _EMBOSS).clamp(0, 255)
    mask = liquid * _box_blur(shaded).add(0.5 + GUARD).floor()
    # A picture without a drop stays as it is; the published code divides zero by zero there.
    return mask / mask.amax(dim=(1, 2), keepdim=True).clamp_min(1.0)


def _correlate(planes: Tensor, kernel: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return the planes correlated with a 3 x 3 kernel, edges reflected (101)."""
    H, W = planes.shape[-2:]
    padded = F.pad(planes, (1, 1, 1, 1), mode="reflect")
    total = torch.zeros_like(planes)
    for y, row in enumerate(kernel):
        for x, weight in enumerate(row):
            total.add_(padded[:, y : y + H, x : x + W], alpha=weight)
    return total


def _box_blur(planes: Tensor) -> Tensor:
    return _correlate(planes, ((1, 1, 1),) * 3) / 9 + GUARD


def _canny(planes: Tensor) -> Tensor:
    """Return the edges of gray levels: Sobel, thinning across the gradient, hysteresis."""
    dx = _correlate(planes, ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)))
    dy = _correlate(planes, ((-1, -2, -1), (0, 0, 0), (1, 2, 1)))
    size = dx.abs() + dy.abs()
    padded = F.pad(size, (1, 1, 1, 1))
    H, W = planes.shape[-2:]

    def neighbour(y: int, x: int) -> Tensor:
        return padded[:, 1 + y : 1 + y + H, 1 + x : 1 + x + W]

    is_flat = dy.abs() <= dx.abs() * math.tan(math.pi / 8)
    is_steep = dy.abs() > dx.abs() * math.tan(3 * math.pi / 8)
    across = (size > neighbour(0, -1)) & (size >= neighbour(0, 1))
    along = (size > neighbour(-1, 0)) & (size >= neighbour(1, 0))
    falling = (size > neighbour(-1, -1)) & (size > neighbour(1, 1))
    rising = (size > neighbour(-1, 1)) & (size > neighbour(1, -1))
    diagonal = torch.where(dx * dy >= 0, falling, rising)
    is_peak = torch.where(is_flat, across, torch.where(is_steep, along, diagonal))
    is_weak = is_peak & (size > _CANNY_LOW)
    return _grow(is_weak & (size > _CANNY_HIGH), is_weak)


def _grow(strong: Tensor, weak: Tensor) -> Tensor:
    """Return the weak pixels that are connected to a strong one, over eight neighbours."""
    while True:
        grown = strong.clone()
        for dim in (-2, -1):  # first up and down, then what that gave left and right
            kept, source = grown.shape[dim] - 1, grown.clone()
            grown.narrow(dim, 0, kept).logical_or_(source.narrow(dim, 1, kept))
            grown.narrow(dim, 1, kept).logical_or_(source.narrow(dim, 0, kept))
        grown &= weak
        if torch.equal(grown, strong):
            return strong
        strong = grown


def _distance(is_edge: Tensor, reach: float) -> Tensor:
    """Return the distance to the nearest edge in pixels, at most ``reach``, exact."""
    far = float(reach) ** 2
    squares = torch.where(is_edge, 0.0, far).double()
    for dim in (-2, -1):
        nearest = squares.clone()
        for step in range(1, min(math.ceil(reach), squares.shape[dim] - 1) + 1):
            kept = squares.shape[dim] - step
            ahead = squares.narrow(dim, step, kept) + step * step
            behind = squares.narrow(dim, 0, kept) + step * step
            view = nearest.narrow(dim, 0, kept)
            view.copy_(torch.minimum(view, ahead))
            view = nearest.narrow(dim, step, kept)
            view.copy_(torch.minimum(view, behind))
        squares = nearest
    return squares.clamp_max(far).sqrt()


def _equalise(planes: Tensor) -> Tensor:
    """Return each plane of whole levels with its histogram equalised to 0-255, as OpenCV does."""
    B, H, W = planes.shape
    levels = planes.long().view(B, H * W)
    ones = torch.ones_like(levels)
    counts = torch.zeros(B, 256, dtype=torch.int64, device=planes.device)
    cumulative = counts.scatter_add_(1, levels, ones).cumsum(1)
    lowest = counts.gather(1, levels.amin(1, keepdim=True))
    scale = 255.0 / (H * W - lowest).clamp_min(1).double()
    table = ((cumulative - lowest) * scale).clamp_min(0).round()
    # A plane of one level has nothing to spread.
    table = torch.where(lowest == H * W, torch.arange(256.0, device=planes.device).double(), table)
    return table.gather(1, levels).view(B, H, W)
