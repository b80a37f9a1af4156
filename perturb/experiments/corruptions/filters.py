"""Linear filters whose bytes do not depend on the batch, and the rounding to bytes.

The order of the terms of a convolution or matrix product may depend on the batch size. Here sums
are in float64, where orders differ by about 1e-13, and ``to_bytes`` truncates after adding
``GUARD``: a flat region, whose exact value *is* an integer, is rounded to it in every order, and
other values are almost never within 1e-13 of the edge. The published code truncates without a
guard, so in flat regions rounding errors give v or v - 1; this module always gives v.

B images, C channels, H W pixels, R taps to either side.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.experiments.corruptions.scaling import gaussian_taps

# Gray levels: more than the effect of the order of a sum, less than float32 rounding of a published
# kernel.
GUARD = 2.0**-30
_LARGEST_DIRECT_KERNEL = 49  # taps; above it a transform is cheaper


def to_bytes(levels: Tensor, guard: float = 0.0) -> Tensor:
    """Return gray levels as uint8: clipped to [0, 255] and **truncated**, as in the published code.

    ``levels`` is overwritten: large temporaries are most of the cost of these sums.
    """
    if guard:
        levels = levels.add_(guard)
    return levels.clamp_(0, 255).to(torch.uint8)


def unit_to_bytes(pixels: Tensor) -> Tensor:
    """Return pixels in [0, 1] as uint8, clipped and truncated; ``pixels`` is overwritten."""
    return pixels.clamp_(0, 1).mul_(255).to(torch.uint8)


def gaussian_blur(levels: Tensor, taps: np.ndarray) -> Tensor:
    """Return float64 (B, C, H, W) filtered along both axes, edges replicated."""
    radius = len(taps) // 2
    if radius == 0:
        return levels
    padded = F.pad(levels, (radius, radius, radius, radius), mode="replicate")
    return filter_along(filter_along(padded, taps, -2), taps, -1)


def blurred_bytes(images: Tensor, taps: np.ndarray) -> Tensor:
    """Return uint8 (B, C, H, W), bytes filtered along both axes and truncated."""
    return to_bytes(gaussian_blur(images.double(), taps), GUARD)


def filter_along(levels: Tensor, taps: np.ndarray, dim: int) -> Tensor:
    """Return the levels correlated with the taps along one axis, without the padded border."""
    length = levels.shape[dim] - len(taps) + 1
    first, *others = taps.tolist()
    total: Tensor = levels.narrow(dim, 0, length) * first
    for start, weight in enumerate(others, 1):
        total.add_(levels.narrow(dim, start, length), alpha=weight)
    return total


def subpixel_gaussian_taps(sigma: float) -> np.ndarray:
    """Return taps that shift by N(0, sigma) with bilinear interpolation, float64 (2 R + 1,).

    A sampled Gaussian of sigma 0.15 px is the identity to 1e-9; this one moves 12 % of a pixel's
    value to its neighbours, in proportion to sigma.
    """
    radius = math.ceil(4 * sigma) + 1
    offsets = np.arange(-radius, radius + 1)
    shifts = np.linspace(-4 * sigma, 4 * sigma, 2001)
    density = np.exp(-0.5 * (shifts / sigma) ** 2)
    tents = np.clip(1 - np.abs(offsets[:, None] - shifts), 0, None)  # (taps, shifts)
    taps = (tents * density).sum(axis=1) / density.sum()
    # The weight beyond the neighbours is below one gray level.
    kept = np.abs(offsets) <= max(1, int(np.abs(offsets[taps > 1e-6]).max()))
    normalised: np.ndarray = taps[kept] / taps[kept].sum()
    return normalised


def blur_taps(sigma: float, is_published_size: bool) -> np.ndarray:
    """Return the Gaussian of the published code, or at another size its sub-pixel form."""
    return gaussian_taps(sigma) if is_published_size else subpixel_gaussian_taps(sigma)


def convolve(levels: Tensor, kernel: np.ndarray) -> Tensor:
    """Return float64 (B, C, H, W) convolved with a symmetric kernel, edges reflected (101)."""
    radius = kernel.shape[0] // 2
    H, W = levels.shape[-2:]
    padded = F.pad(levels, (radius, radius, radius, radius), mode="reflect")
    if kernel.size <= _LARGEST_DIRECT_KERNEL:
        total = torch.zeros_like(levels)
        for (y, x), weight in np.ndenumerate(kernel):
            total.add_(padded[..., y : y + H, x : x + W], alpha=float(weight))
        return total
    size = (fast_length(H + 2 * radius), fast_length(W + 2 * radius))
    spectrum = torch.fft.rfft2(padded, s=size)
    spectrum *= _spectrum(kernel.shape, kernel.tobytes(), size, levels.device)
    blurred: Tensor = torch.fft.irfft2(spectrum, s=size)
    return blurred[..., 2 * radius : 2 * radius + H, 2 * radius : 2 * radius + W]


@lru_cache(maxsize=16)
def _spectrum(
    shape: tuple[int, int], kernel: bytes, size: tuple[int, int], device: torch.device
) -> Tensor:
    """Return the transform of a float64 kernel, padded to a size."""
    values = np.frombuffer(kernel).reshape(shape).copy()
    spectrum: Tensor = torch.fft.rfft2(torch.from_numpy(values).to(device), s=size)
    return spectrum


def fast_length(length: int) -> int:
    """Return the next length that has no prime factor above 5."""
    rest = length
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    return length if rest == 1 else fast_length(length + 1)


def zoom_positions(length: int, factor: float, is_published_size: bool) -> np.ndarray:
    """Return the source positions of a magnified centre crop along one axis, float64 (length,).

    At the published size the crop is ceil(length / factor) pixels, stretched corner to corner to
    round(crop * factor) pixels and trimmed, as ``scipy.ndimage.zoom`` does. These roundings are a
    thousandth of 224 px but as large as the factors at 32 px: at other sizes the axis is magnified
    about its centre without rounding.
    """
    pixels = np.arange(length, dtype=np.float64)
    if not is_published_size:
        centre = (length - 1) / 2
        return centre + (pixels - centre) / factor
    crop = math.ceil(length / factor)
    stretched = round(crop * factor)
    pixels += (stretched - length) // 2
    return (length - crop) // 2 + pixels * ((crop - 1) / (stretched - 1))


def interpolation(positions: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two pixels around each position and their weights, (N, 2) and (N, 2)."""
    lower = np.clip(np.floor(positions).astype(np.int64), 0, length - 2)
    share = positions - lower
    return np.stack([lower, lower + 1], 1), np.stack([1 - share, share], 1)


def zoomed(levels: Tensor, factor: float, is_published_size: bool) -> Tensor:
    """Return float64 (B, C, H, W) magnified about the centre, bilinearly."""
    for dim in (-2, -1):
        length = levels.shape[dim]
        pixels, weights = _zoom_taps(length, factor, is_published_size, levels.device)
        shape = (-1, 1) if dim == -2 else (-1,)
        lower, upper = (levels.index_select(dim, side) for side in pixels)
        levels = lower.mul_(weights[0].view(shape)).add_(upper.mul_(weights[1].view(shape)))
    return levels


@lru_cache(maxsize=16)
def _zoom_taps(
    length: int, factor: float, is_published_size: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the two pixels of each position, int64 (2, length), and their weights."""
    positions = zoom_positions(length, factor, is_published_size)
    pixels, weights = (array.T.copy() for array in interpolation(positions, length))
    return torch.from_numpy(pixels).to(device), torch.from_numpy(weights).to(device)


@lru_cache(maxsize=32)
def smoothing_matrix(length: int, sigma: float, device: torch.device) -> Tensor:
    """Return ``reflecting_smoother`` cut at 3 sigma, as a tensor."""
    return torch.from_numpy(reflecting_smoother(length, sigma, 3.0)).to(device)


def reflecting_smoother(length: int, sigma: float, truncate: float) -> np.ndarray:
    """Return the Gaussian with reflected edges (d c b a | a b c d) as a matrix (length, length).

    It is a matrix because these kernels are as wide as the image and reflect several times.
    """
    taps = gaussian_taps(sigma, truncate)
    radius = len(taps) // 2
    matrix = np.zeros((length, length))
    rows = np.arange(length)
    for offset, weight in zip(range(-radius, radius + 1), taps, strict=True):
        folded = (rows + offset) % (2 * length)
        np.add.at(matrix, (rows, np.minimum(folded, 2 * length - 1 - folded)), weight)
    return matrix
