"""The 48 textures as tiles: a cue that is correlated with the class.

Tiles are drawn with hard edges at four times their resolution and averaged down. A tile spans
``TILE_EXTENT`` object units: most patterns have four to six periods on an object.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from perturb.datasets.synthetic.family import TEXTURES
from perturb.datasets.synthetic.tiles import (
    Field,
    cell_offsets,
    noise,
    seed_distances,
    smooth_noise,
    square_wave,
)
from perturb.datasets.synthetic.upstream_textures import upstream_patterns

TILE_SIDE = 64
TILE_EXTENT = 3.0
_SUPERSAMPLING = 4

#: Textures with a centre, which is placed near the object's; the others have a random phase.
CENTRED = frozenset(
    {"rings", "rays", "spirals", "pinwheel", "halves", "glow", "shade", "bullseye", "sunburst"}
)

Pattern = Callable[[Field, Field], Field]


@cache
def texture_tiles() -> Tensor:
    """Return float32 (48, TILE_SIDE + 2, TILE_SIDE + 2) in [0, 1], padded by one wrapped cell."""
    patterns = {**_target_patterns(), **upstream_patterns()}
    side = TILE_SIDE * _SUPERSAMPLING
    line = (np.arange(side) + 0.5) / side
    u, v = np.meshgrid(line, line)
    tiles = [_average_down(patterns[name](u, v)) for name in TEXTURES]
    return torch.from_numpy(np.stack([np.pad(tile, 1, mode="wrap") for tile in tiles])).float()


def is_centred() -> Tensor:
    """Return bool (48,), true for textures with a centre."""
    return torch.tensor([name in CENTRED for name in TEXTURES])


def _average_down(field: Field) -> Field:
    shape = (TILE_SIDE, _SUPERSAMPLING, TILE_SIDE, _SUPERSAMPLING)
    mean: Field = field.reshape(shape).mean(axis=(1, 3))
    return mean


def _target_patterns() -> dict[str, Pattern]:
    """Return the textures of the twelve target classes."""
    return {
        "stripes": lambda _u, v: square_wave(v * 6),
        "checker": lambda u, v: np.abs(square_wave(u * 4) - square_wave(v * 4)),
        "dots": _dots,
        "rings": lambda u, v: square_wave(np.hypot(u - 0.5, v - 0.5) * 7 + 0.25),
        "net": lambda u, v: np.maximum(square_wave(u * 6, 0.3), square_wave(v * 6, 0.3)),
        "chevrons": lambda u, v: square_wave(v * 5 + np.abs(u * 4 % 1 - 0.5) * 1.6),
        "bricks": _bricks,
        "blotches": lambda u, _v: (smooth_noise("blotches", len(u), 3.0) > 0.5).astype(float),
        "speckle": _speckle,
        "waves": lambda u, v: square_wave(v * 5 + 0.42 * np.sin(2 * np.pi * 3 * u)),
        "plain": lambda u, _v: np.full_like(u, 0.12),
        "rays": lambda u, v: square_wave(np.arctan2(v - 0.5, u - 0.5) * (9 / (2 * np.pi))),
    }


def _dots(u: Field, v: Field) -> Field:
    x, y = cell_offsets(u, v, 6, 6)
    return (np.hypot(x, y) < 0.31).astype(float)


def _bricks(u: Field, v: Field) -> Field:
    x, y = cell_offsets(u, v, 4, 6)
    is_mortar = (np.abs(x) > 0.41) | (np.abs(y) > 0.37)
    shade = 0.25 * noise("bricks", 64)[(np.floor(v * 6) * 8 + np.floor(u * 4)).astype(int)]
    return np.where(is_mortar, 1.0, shade)


def _speckle(u: Field, v: Field) -> Field:
    nearest, _, which = seed_distances(u, v, "speckle", 169)
    radius = np.where(noise("speckle-size", 169)[which] < 0.6, 0.03, 0.0)
    return (nearest < radius).astype(float)
