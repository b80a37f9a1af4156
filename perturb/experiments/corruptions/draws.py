"""Random draws of each image from ``perturb.random``, with two draws per 64-bit hash."""

import math

import torch
from torch import Tensor

from perturb import random


def uniforms(keys: Tensor, *shape: int) -> Tensor:
    """Return float32 (B, *shape) draws from U[0, 1), multiples of 2**-24.

    The two halves of a 64-bit hash are two draws: hashing is most of the cost of noise.
    """
    num_slots = math.prod(shape)
    words = random.bits(keys, (num_slots + 1) // 2).view(torch.int32)[:, :num_slots]
    # Shift and mask: torch's shift is arithmetic and would keep the sign.
    return ((words >> 8) & 0xFFFFFF).float().mul_(2.0**-24).view(-1, *shape)


def uniforms_and_signs(keys: Tensor, *shape: int) -> tuple[Tensor, Tensor]:
    """Return U[0, 1) as float32 and fair coins as bool, both (B, *shape), independent."""
    num_slots = math.prod(shape)
    words = random.bits(keys, (num_slots + 1) // 2).view(torch.int32)[:, :num_slots]
    signs = (words & 1).bool()
    draws = ((words >> 8) & 0xFFFFFF).float().mul_(2.0**-24)
    return draws.view(-1, *shape), signs.view(-1, *shape)


def normals(keys: Tensor, *shape: int) -> Tensor:
    """Return float32 (B, *shape) draws from N(0, 1)."""
    return random.normal(keys, math.prod(shape)).view(-1, *shape)


def angles_deg(keys: Tensor, low: float, high: float) -> Tensor:
    """Return float64 (B,) draws from U[low, high) degrees."""
    return low + (high - low) * random.uniform(keys, 1, torch.float64)[:, 0]
