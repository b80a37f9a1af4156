"""The L-infinity ball around an image, and random points in it.

B images, C channels, H W pixels.
"""

import numpy as np
import torch
from torch import Tensor

from perturb import random


def noise(keys: Tensor, images: Tensor) -> Tensor:
    """Return draws from U[-1, 1) in the shape of the images, each from its image's key alone."""
    return random.uniform(keys, images[0].numel()).mul_(2).sub_(1).reshape(images.shape)


def ball(images: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest float32 in [0, 1] that are no further than epsilon away.

    A sum s of a >= b >= 0, rounded, is above a + b exactly if s - a, which is exact (Dekker's
    Fast2Sum), is above b; then the float below s is the bound. As for differences.
    """
    nearest = np.float32(epsilon)
    if float(nearest) > epsilon:  # so that distances rounded to float32 do not exceed it either
        nearest = np.nextafter(nearest, np.float32(0))
    radius = float(nearest)
    highest = images + radius
    is_above = highest - images.clamp(min=radius) > images.clamp(max=radius)
    # The bits of a positive float, read as an integer, count the floats up to it.
    highest.view(torch.int32).sub_(is_above.int())
    lowest = images - radius
    is_below = images - lowest > radius
    lowest.view(torch.int32).add_(is_below.int())
    return lowest.clamp_(min=0), highest.clamp_(max=1)
