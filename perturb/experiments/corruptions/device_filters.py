"""Blurs for a GPU: a few large operations whatever the batch and the number of taps.

They equal the tap-by-tap sums of ``filters.py`` and ``blur.py`` but for float64 rounding, some
1e-13 of a gray level, which the guard of ``filters.py`` keeps away from whole levels.

B images, C channels, H W pixels, T taps.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from perturb.experiments.corruptions.exact import constant
from perturb.experiments.corruptions.filters import GUARD, fast_length


def blurred(levels: Tensor, taps: np.ndarray) -> Tensor:
    """Return float64 (B, C, H, W) filtered along both axes, edges replicated.

    A matrix for each axis: 13 to 49 taps would each read and write the whole batch.
    """
    if len(taps) == 1:
        return levels
    weights = tuple(taps.tolist())
    down, right = (_blur_matrix(weights, n, levels.device) for n in levels.shape[-2:])
    return down @ (levels @ right.T)


def blurred_bytes(images: Tensor, taps: np.ndarray) -> Tensor:
    """Return uint8 (B, C, H, W), bytes filtered and truncated.

    Weights are not negative and their sum is 1: the guard may be added first, and no level leaves
    the range of bytes.
    """
    guard = constant((GUARD,), torch.float64, images.device)
    return blurred(images + guard, taps).to(torch.uint8)


@lru_cache(maxsize=32)
def _blur_matrix(taps: tuple[float, ...], length: int, device: torch.device) -> Tensor:
    """Return the filter along an axis as a matrix (length, length), edges replicated."""
    radius = len(taps) // 2
    matrix = np.zeros((length, length))
    rows = np.arange(length)
    for offset, weight in enumerate(taps, -radius):
        np.add.at(matrix, (rows, np.clip(rows + offset, 0, length - 1)), weight)
    return torch.from_numpy(matrix).to(device)


def along_paths(images: Tensor, paths: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Return float64 (B, C, H, W), sums over pixels along a path, edges replicated.

    A transform: one kernel a tap would move ten times as many bytes.

    Parameters
    ----------
    images : uint8 (B, C, H, W).
    paths : int64 (B, T, 2), the (y, x) offsets of each image, shorter than T px.
    weights : of the T taps.
    """
    H, W = images.shape[-2:]
    reach = len(weights) - 1
    size = (fast_length(H + 2 * reach), fast_length(W + 2 * reach))
    padded = images
    for dim, length in zip((-2, -1), size, strict=True):
        places = torch.arange(-reach, length - reach, device=images.device)
        padded = padded.index_select(dim, places.clamp_(0, images.shape[dim] - 1))
    spectrum = torch.fft.rfft2(padded.double())
    spectrum.mul_(torch.fft.rfft2(_path_kernels(paths, weights, size))[:, None])
    summed: Tensor = torch.fft.irfft2(spectrum, s=size)
    return summed[..., reach : reach + H, reach : reach + W]


def _path_kernels(paths: Tensor, weights: tuple[float, ...], size: tuple[int, int]) -> Tensor:
    """Return float64 (B, *size): the weight of each offset, at its negative, cyclically."""
    y, x = (-paths).unbind(2)
    index = y.remainder(size[0]).mul_(size[1]).add_(x.remainder(size[1]))
    kernels = torch.zeros((len(paths), size[0] * size[1]), dtype=torch.float64, device=paths.device)
    taps = constant(weights, torch.float64, paths.device).expand(index.shape)
    return kernels.scatter_add_(1, index, taps).view(-1, *size)
