"""Noise corruptions: Gaussian, impulse and speckle noise, each given its draws; and shot noise.

Semantics of ImageNet-C: x in [0, 1], each value (pixel and channel) independent, clipped,
truncated. Gaussian and speckle noise are computed in float64 in the published order, to the last
bit.
"""

import torch
from torch import Tensor

from perturb.experiments.corruptions import draws
from perturb.experiments.corruptions.corruption import Corruption, normals, uniforms
from perturb.experiments.corruptions.exact import divisor, fractions
from perturb.experiments.corruptions.filters import unit_to_bytes
from perturb.experiments.corruptions.scaling import Constants
from perturb.experiments.corruptions.shot import shot_noise, shot_noise_on_device


def gaussian_noise(images: Tensor, constants: Constants, normals: Tensor) -> Tensor:
    """Return x + sigma z; ``normals`` float32 (B, 3, H, W) from N(0, 1)."""
    (sigma,) = constants
    noise, levels = _scaled(normals, sigma), images.double()
    return unit_to_bytes(noise.addcdiv_(levels, divisor(255, levels)))


def speckle_noise(images: Tensor, constants: Constants, normals: Tensor) -> Tensor:
    """Return x + x sigma z; ``normals`` float32 (B, 3, H, W) from N(0, 1)."""
    (sigma,) = constants
    pixels = fractions(images)
    return unit_to_bytes(_scaled(normals, sigma).mul_(pixels).add_(pixels))


def _scaled(normals: Tensor, sigma: float) -> Tensor:
    """Return float32 draws times sigma in float64."""
    return normals.double().mul_(sigma)


def impulse_noise(
    images: Tensor, constants: Constants, uniforms: Tensor, is_salt: Tensor
) -> Tensor:
    """Return x, or 1 (salt) or 0 (pepper) where ``uniforms`` <= amount; draws (B, 3, H, W)."""
    (amount,) = constants
    return torch.where(uniforms <= amount, is_salt.to(torch.uint8) * 255, images)


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
        on_device=shot_noise_on_device,
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
