"""Pillow's BOX filter as tensor operations, to the byte: whole numbers with weights of 22 bits.

Pillow resizes along the rows first, rounds to bytes, then along the columns.

B images, C channels, H W pixels, N pixels of the result along an axis, T taps.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_BITS = 22  # of a weight; sums of bytes times weights stay below 2**31


def resize_box(images: Tensor, height: int, width: int) -> Tensor:
    """Return uint8 (B, C, height, width)."""
    for dim, length in ((-1, width), (-2, height)):
        images = _resized(images, dim, length)
    return images


def _resized(images: Tensor, dim: int, length: int) -> Tensor:
    indices, weights = _taps(images.shape[dim], length, images.device)
    if weights is None:
        return images.index_select(dim, indices[0])
    shape = (-1,) if dim == -1 else (-1, 1)
    read = [images.index_select(dim, index) for index in indices]
    total = read[0] * weights[0].view(shape)
    for pixels, weight in zip(read[1:], weights[1:], strict=True):
        total.add_(pixels * weight.view(shape))
    return total.add_(1 << (_BITS - 1)).bitwise_right_shift_(_BITS).to(torch.uint8)


@lru_cache(maxsize=64)
def _taps(length: int, resized: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Return indices int64 (T, N) and weights int32 (T, N), None if all pixels are copies."""
    scale = length / resized
    support, shrinking = 0.5 * max(scale, 1.0), 1.0 / max(scale, 1.0)
    centres = (np.arange(resized) + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centres + support + 0.5).astype(np.int64), length)
    indices = first + np.arange(math.ceil(support) * 2 + 1)[:, None]  # (T, N)
    distances = (indices - centres + 0.5) * shrinking
    is_in = (indices < end) & (distances > -0.5) & (distances <= 0.5)
    weights = is_in / is_in.sum(axis=0)
    # Taps of weight 0 come last, and those that no pixel needs are left out.
    order = np.argsort(~is_in, axis=0, kind="stable")[: is_in.sum(axis=0).max()]
    weights = np.take_along_axis(weights, order, axis=0)
    indices = np.minimum(np.take_along_axis(indices, order, axis=0), length - 1)
    on_device = torch.from_numpy(indices).to(device)
    if len(weights) == 1:
        return on_device, None
    fixed = (weights * (1 << _BITS) + 0.5).astype(np.int32)
    return on_device, torch.from_numpy(fixed).to(device)
