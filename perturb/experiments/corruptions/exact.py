"""Arithmetic with the same bits on every device, and constants that stay on it.

Small constant tensors are kept: no batch after the first copies one to a GPU. Division is by such
tensors too: on a GPU torch divides by a Python number as a product with its reciprocal, which may
differ in the last bit.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=256)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the values as a tensor (N,). The caller does not change it."""
    return torch.from_numpy(np.array(values, dtype=np.float64)).to(dtype).to(device)


def divisor(value: float, like: Tensor) -> Tensor:
    """Return a number as a tensor () of the dtype and on the device of another."""
    return constant((value,), like.dtype, like.device)[0]


def fractions(images: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return bytes as numbers in [0, 1], divided by 255 and rounded once."""
    return images / constant((255,), dtype, images.device)


def upper_half(numbers: Tensor) -> Tensor:
    """Return int32 numbers divided by 2**16 and rounded down, as a view: their upper 16 bits.

    GPUs, and the CPUs that torch is built for, store the lower bits first.
    """
    return numbers.view(torch.int16)[..., 1::2]
