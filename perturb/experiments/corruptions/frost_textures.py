"""Six procedural textures of frost on a dark pane: feathery crystals over a haze.

The published textures are photographs of undocumented origin, so these replace them. A crystal is a
curved stem with side branches at about 55 degrees, which have smaller branches, like dendrites of
ice; crystals start at the edges of the pane and at scattered seeds. All random numbers are a hash
of the texture's number, so textures do not depend on the machine.

T side of the texture, N points.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from perturb import random
from perturb.experiments.corruptions.exact import constant
from perturb.experiments.corruptions.filters import gaussian_blur
from perturb.experiments.corruptions.scaling import PUBLISHED_SIDE, gaussian_taps

NUM_TEXTURES = 6
_SIDE = 512  # px, for images of 224 px
# crystals, length of a stem_px, curl (rad over a stem), fraction of stems that start at an edge
_STYLES = (
    (26, 320, 0.9, 0.8),
    (60, 190, 1.6, 0.4),
    (15, 360, 0.5, 1.0),
    (90, 130, 2.2, 0.3),
    (36, 250, 1.2, 0.6),
    (44, 220, 0.3, 0.5),
)
_POINT_SPACING = 1.0  # px
_BRANCH_ANGLE = math.radians(55)
_TINT = (0.90, 0.97, 1.0)  # a little blue


@lru_cache(maxsize=4)
def frost_textures(side: int) -> tuple[Tensor, ...]:
    """Return six textures, uint8 (3, T, T), for images whose longer side is ``side`` px.

    They are made once at 512 px and resized in proportion, so that crystals cover the same fraction
    of a small image as of a large one.
    """
    size = math.ceil(_SIDE * side / PUBLISHED_SIDE)
    resized = []
    for number in range(NUM_TEXTURES):
        texture = _intensity(number)[None, None]
        if size < _SIDE:
            texture = F.adaptive_avg_pool2d(texture, size)
        elif size > _SIDE:
            texture = F.interpolate(texture, size=(size, size), mode="bilinear")
        colours = texture[0] * torch.tensor(_TINT, dtype=torch.float64).view(3, 1, 1)
        resized.append((colours * 255).clamp(0, 255).to(torch.uint8))
    return tuple(resized)


@dataclass(frozen=True)
class Panes:
    """Textures in one tensor on the device of the images, for crops by index.

    pixels : uint8 (N,), all textures one after the other.
    starts, heights, widths : int64, one number for each texture.
    """

    pixels: Tensor
    starts: Tensor
    heights: Tensor
    widths: Tensor


@lru_cache(maxsize=4)
def resident_textures(side: int, device: torch.device) -> Panes:
    """Return ``frost_textures`` on a device, where they stay."""
    return as_panes(frost_textures(side), device)


def as_panes(textures: Sequence[Tensor], device: torch.device) -> Panes:
    """Return textures of any sizes, uint8 (3, height, width) each, on a device."""
    flat = [texture.to(device).flatten() for texture in textures]
    sizes = [tuple(texture.shape[-2:]) for texture in textures]
    starts = [0, *itertools.accumulate(3 * height * width for height, width in sizes)][:-1]
    numbers = (
        constant(tuple(column), torch.int64, device)
        for column in (starts, *zip(*sizes, strict=True))
    )
    return Panes(torch.cat(flat), *numbers)


@lru_cache(maxsize=NUM_TEXTURES)
def _intensity(number: int) -> Tensor:
    """Return one texture's intensity in [0, 1], float64 (512, 512)."""
    num_crystals, length, curl, edge_share = _STYLES[number]
    crystals = torch.zeros(_SIDE, _SIDE, dtype=torch.float64)
    stems = _stems(number, num_crystals, length, edge_share)
    weight = 1.0
    for level in range(3):
        _draw(crystals, stems, curl, weight)
        if level < 2:
            stems = _branches(stems, curl, level, number)
        weight *= 0.62
    crystals /= crystals.mean()
    fine = _blur(crystals, 0.7)
    glow = _resize(_blur(F.avg_pool2d(crystals[None, None], 4)[0, 0], 1.25)).clamp_min(0)
    haze = _cloud(number, 8) * 0.7 + _cloud(number, 32) * 0.3
    grain = _cloud(number, 256)
    ice = 1 - torch.exp(-0.25 * fine - 0.3 * glow)
    veil = 0.08 + 0.26 * haze * (0.75 + 0.25 * grain)
    return (veil + (0.98 - veil) * ice.pow(1.15) * (0.6 + 0.4 * haze)).clamp(0, 1)


def _uniform(number: int, name: str, count: int) -> np.ndarray:
    keys = random.stream_keys(0, f"frost texture/{name}", torch.tensor([number]))
    draws: np.ndarray = random.uniform(keys, count, torch.float64)[0].numpy()
    return draws


def _stems(number: int, count: int, length: float, edge_share: float) -> np.ndarray:
    """Return float64 (count, 4): x, y, direction and length of each crystal's stem."""
    along, edge, inner, turn, reach, kind = _uniform(number, "stems", 6 * count).reshape(6, count)
    place = along * _SIDE
    quarter = np.floor(edge * 4)
    x = np.select([quarter == 0, quarter == 1], [0.0, _SIDE - 1.0], place)
    y = np.select([quarter == 2, quarter == 3], [0.0, _SIDE - 1.0], place)
    inward = np.arctan2(_SIDE / 2 - y, _SIDE / 2 - x) + (turn - 0.5) * 1.6
    at_edge = kind < edge_share
    x = np.where(at_edge, x, along * _SIDE)
    y = np.where(at_edge, y, inner * _SIDE)
    direction = np.where(at_edge, inward, turn * 2 * math.pi)
    return np.stack([x, y, direction, length * (0.35 + 0.85 * reach)], axis=1)


def _branches(stems: np.ndarray, curl: float, level: int, number: int) -> np.ndarray:
    """Return the side branches of some stems, in the same form: two at each node."""
    spacing, longest = ((9.0, 0.30), (4.5, 0.34))[level]
    num_nodes = np.maximum((stems[:, 3] / spacing).astype(int), 1)
    parent = np.repeat(np.arange(len(stems)), num_nodes)
    first = np.repeat(np.cumsum(num_nodes) - num_nodes, num_nodes)
    share = (np.arange(len(parent)) - first + 0.5) / num_nodes[parent]
    x, y, direction = _along(stems[parent], share[:, None], curl)
    jitter, kept = _uniform(number, f"branches {level}", 2 * len(parent)).reshape(2, -1)
    # Branches are shorter towards the tip, and some are very short.
    length = stems[parent, 3] * longest * (1 - share) ** 0.8 * np.where(kept < 0.85, 1, 0.2)
    length *= 0.5 + jitter
    sides = [
        np.stack([x[:, 0], y[:, 0], direction[:, 0] + side * _BRANCH_ANGLE, length], axis=1)
        for side in (-1, 1)
    ]
    branches = np.concatenate(sides)
    return branches[branches[:, 3] >= 2.0]


def _along(
    stems: np.ndarray, share: np.ndarray, curl: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and direction at fractions (N, K) of the length of arcs (N, 4)."""
    x, y, direction, length = (column[:, None] for column in stems.T)
    # Sign and size of a stem's curl depend on its start.
    bend = curl * np.sin(x * 0.37 + y * 0.23) + 1e-6
    turned = direction + bend * share
    radius = length / bend
    across = x + radius * (np.sin(turned) - np.sin(direction))
    down = y - radius * (np.cos(turned) - np.cos(direction))
    return across, down, turned


def _draw(canvas: Tensor, stems: np.ndarray, curl: float, weight: float) -> None:
    """Add the stems to the canvas bilinearly, one point per pixel, fading towards the tip."""
    num_points = np.maximum((stems[:, 3] / _POINT_SPACING).astype(int), 2)
    owner = np.repeat(np.arange(len(stems)), num_points)
    first = np.repeat(np.cumsum(num_points) - num_points, num_points)
    share = (np.arange(len(owner)) - first) / num_points[owner]
    x, y, _ = (column[:, 0] for column in _along(stems[owner], share[:, None], curl))
    strength = weight * (1 - 0.6 * share)
    left, top = np.floor(x), np.floor(y)
    image = canvas.numpy()
    for dy in (0, 1):
        for dx in (0, 1):
            covered = (1 - np.abs(x - left - dx)) * (1 - np.abs(y - top - dy)) * strength
            column, row = (left + dx).astype(int), (top + dy).astype(int)
            inside = (column >= 0) & (column < _SIDE) & (row >= 0) & (row < _SIDE)
            index = row[inside] * _SIDE + column[inside]
            image += np.bincount(index, covered[inside], _SIDE * _SIDE).reshape(image.shape)


def _blur(plane: Tensor, sigma: float) -> Tensor:
    return gaussian_blur(plane[None, None], gaussian_taps(sigma, truncate=3))[0, 0]


def _resize(plane: Tensor) -> Tensor:
    size = (_SIDE, _SIDE)
    return F.interpolate(plane[None, None], size=size, mode="bicubic")[0, 0]


def _cloud(number: int, cells: int) -> Tensor:
    """Return smooth noise of this many cells a side, stretched to [0, 1], float64 (512, 512)."""
    noise = _uniform(number, f"cloud {cells}", cells * cells).reshape(cells, cells)
    plane = _resize(torch.from_numpy(noise.copy()))
    plane -= plane.min()
    return plane / plane.max()
