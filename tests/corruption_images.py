"""What the tests of the corruptions share: pictures, keys and a comparison of pixels."""

import numpy as np
import torch
from torch import Tensor

from perturb import random


def make_images(count: int, height: int, width: int | None = None) -> Tensor:
    """Discs over gradients with some grain: edges, flat parts and detail, made of integers."""
    width = height if width is None else width
    index = torch.arange(count).view(-1, 1, 1, 1)
    channel = torch.arange(3).view(1, 3, 1, 1)
    y = torch.arange(height).view(1, 1, -1, 1) * 224 // height
    x = torch.arange(width).view(1, 1, 1, -1) * 224 // width
    ground = (y * (1 + channel) + x * (3 - channel) + 37 * index) // 4
    inside = (y - 100 - 7 * index) ** 2 + (x - 90 - 11 * (index % 9)) ** 2 < 60**2
    disc = 30 + (60 * channel + 50 * index) % 200
    grain = random.integers(torch.arange(count), 3 * height * width, 25)
    levels = torch.where(inside, disc, ground % 230) + grain.view(count, 3, height, width)
    return levels.clamp(0, 255).to(torch.uint8)


def make_keys(count: int) -> Tensor:
    return torch.tensor([random.image_key(f"test/{i}") for i in range(count)])


def planes(image: Tensor) -> np.ndarray:
    """(3, H, W) bytes to (H, W, 3) float64 in [0, 1], as the published code holds them."""
    return image.permute(1, 2, 0).numpy() / 255.0


def assert_close(ours: Tensor, reference: np.ndarray, share: float = 0.001) -> None:
    """At most this share of values off, and by one."""
    truncated = np.uint8(np.clip(reference, 0, 1) * 255).astype(int)
    error = np.abs(ours.permute(1, 2, 0).numpy().astype(int) - truncated)
    assert error.max() <= 1
    assert (error > 0).mean() <= share
