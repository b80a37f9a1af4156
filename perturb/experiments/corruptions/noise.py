"""Noise corruptions: Gaussian, shot, impulse and speckle noise, each given its draws.

Semantics of ImageNet-C: x in [0, 1], each value (pixel and channel) independent, clipped,
truncated. Gaussian and speckle noise are computed in float64 in the published order, to the last
bit.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from perturb.experiments.corruptions import draws
from perturb.experiments.corruptions.corruption import Corruption, normals, uniforms
from perturb.experiments.corruptions.filters import unit_to_bytes
from perturb.experiments.corruptions.scaling import Constants

_GUIDE_BINS = 4096
# A byte that no photon count maps to: at most 60 counts share 255 levels, so 1 is free.
_UNDECIDED = 1


def gaussian_noise(images: Tensor, constants: Constants, normals: Tensor) -> Tensor:
    """Return x + sigma z; ``normals`` float32 (B, 3, H, W) from N(0, 1)."""
    (sigma,) = constants
    return unit_to_bytes((normals.double() * sigma).add_(images.double().div_(255)))


def speckle_noise(images: Tensor, constants: Constants, normals: Tensor) -> Tensor:
    """Return x + x sigma z; ``normals`` float32 (B, 3, H, W) from N(0, 1)."""
    (sigma,) = constants
    pixels = images.double().div_(255)
    return unit_to_bytes((normals.double() * sigma).mul_(pixels).add_(pixels))


def impulse_noise(
    images: Tensor, constants: Constants, uniforms: Tensor, is_salt: Tensor
) -> Tensor:
    """Return x, or 1 (salt) or 0 (pepper) where ``uniforms`` <= amount; draws (B, 3, H, W)."""
    (amount,) = constants
    return torch.where(uniforms <= amount, is_salt.to(torch.uint8) * 255, images)


def shot_noise(images: Tensor, constants: Constants, uniforms: Tensor) -> Tensor:
    """Return Poisson(rate x) / rate, exact by inversion; ``uniforms`` (B, 3, H, W) in [0, 1).

    The count is the number of values of the distribution function that do not exceed the uniform.
    The first 12 bits of the uniform determine all but a few per cent of the counts; the others are
    computed in full.
    """
    (rate,) = constants
    guide, cumulative, bytes_of_count = _poisson_tables(int(rate), images.device)
    row = images.to(torch.int32).mul_(_GUIDE_BINS)
    index = row.add_((uniforms * _GUIDE_BINS).to(torch.int32)).flatten()
    noisy = guide.index_select(0, index)
    undecided = (noisy == _UNDECIDED).nonzero()[:, 0]
    pixels = images.flatten()[undecided].long()
    draws = uniforms.flatten()[undecided].double()
    counts = (cumulative[pixels] <= draws[:, None]).sum(1)
    noisy[undecided] = bytes_of_count[counts]
    return noisy.view_as(images)


@lru_cache(maxsize=16)
def _poisson_tables(rate: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return guide (256 * bins,), distribution function (256, rate) and byte of a count.

    Counts from ``rate`` on are white, so the distribution function ends at rate - 1.
    """
    counts = np.arange(rate)
    means = np.arange(256)[:, None] / 255.0 * rate
    log_factorials = np.array([math.lgamma(count + 1) for count in counts])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_density = counts * np.log(means) - means - log_factorials
    density = np.exp(log_density)
    density[0] = counts == 0  # black stays black; 0 * log(0) is not a number
    cumulative = np.cumsum(density, axis=1)  # (256, rate)
    edges = np.arange(_GUIDE_BINS + 1) / _GUIDE_BINS
    levels = (np.arange(rate + 1) / rate * 255).astype(np.uint8)
    guide = np.empty((256, _GUIDE_BINS), np.uint8)
    for value in range(256):
        # A bin has one count if no step is in (start, end): its uniforms are below its end.
        first = np.searchsorted(cumulative[value], edges[:-1], side="right")
        last = np.searchsorted(cumulative[value], edges[1:], side="left")
        guide[value] = np.where(first == last, levels[first], _UNDECIDED)
    tables = (guide.reshape(-1), cumulative, levels)
    on_device = [torch.from_numpy(table).to(device) for table in tables]
    return on_device[0], on_device[1], on_device[2]


def _salt(keys: Tensor, _: Constants, H: int, W: int) -> tuple[Tensor, ...]:
    return draws.uniforms_and_signs(keys, 3, H, W)


CORRUPTIONS = {
    "gaussian_noise": Corruption(
        gaussian_noise,
        # sigma
        published=((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
        draw=normals,
    ),
    "shot_noise": Corruption(
        shot_noise,
        # photons of a white pixel
        published=((60,), (25,), (12,), (5,), (3,)),
        draw=uniforms,
    ),
    "impulse_noise": Corruption(
        impulse_noise,
        # fraction of replaced values
        published=((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),
        draw=_salt,
    ),
    "speckle_noise": Corruption(
        speckle_noise,
        # sigma
        published=((0.15,), (0.2,), (0.35,), (0.45,), (0.6,)),
        draw=normals,
    ),
}
