"""The 48 silhouettes as signed-distance tables: the classes of the generated family.

Every silhouette is centred on its centroid and scaled to the same area: size and place are
independent of the class, which is the shape alone.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from perturb.datasets.synthetic.family import SHAPES
from perturb.datasets.synthetic.outlines import (
    Field,
    Outline,
    Point,
    box,
    common,
    disc,
    minus,
    polar,
    polygon,
    spikes,
    stroke,
    union,
)

#: A table spans [-EXTENT, EXTENT] in both axes, in object units; a disc has the radius 0.8.
EXTENT = 1.6
TABLE_SIDE = 64
_AREA = np.pi * 0.8**2
_MAX_RADIUS = 1.3


@cache
def distance_tables() -> Tensor:
    """Return float32 (48, TABLE_SIDE, TABLE_SIDE): signed distances in object units.

    Row 0 is the lowest y, column 0 the lowest x; the order is that of ``SHAPES``.
    """
    outlines = silhouette_outlines()
    return torch.from_numpy(np.stack([_table(outlines[name]) for name in SHAPES])).float()


def _table(outline: Outline) -> Field:
    """Return the table of an outline with its centroid at 0, scaled to the common area."""
    x, y = _grid(2.0)
    inside = outline(x, y) < 0
    cell = (4.0 / TABLE_SIDE) ** 2
    x0, y0 = x[inside].mean(), y[inside].mean()
    radius = np.hypot(x[inside] - x0, y[inside] - y0).max()
    zoom = float(min(np.sqrt(_AREA / (inside.sum() * cell)), _MAX_RADIUS / radius))
    x, y = _grid(EXTENT)
    return outline(x / zoom + x0, y / zoom + y0) * zoom


def _grid(extent: float) -> tuple[Field, Field]:
    line = (np.arange(TABLE_SIDE) + 0.5) * (2 * extent / TABLE_SIDE) - extent
    x, y = np.meshgrid(line, line)
    return x, y


def silhouette_outlines() -> dict[str, Outline]:
    """Return the outlines of all silhouettes by name, about as large as the unit disc."""
    return {**_target(), **_geometric(), **_letters(), **_things(), **_more_things()}


def _target() -> dict[str, Outline]:
    heart = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    heart_y = 13 * np.cos(heart) - 5 * np.cos(2 * heart) - 2 * np.cos(3 * heart) - np.cos(4 * heart)
    return {
        "disc": disc(0, 0, 0.9),
        "triangle": polygon([(-1, -0.7), (1, -0.7), (0, 1)]),
        "square": box(0, 0, 1.6, 1.6),
        "star": spikes(5, 0.42),
        "plus": union(box(0, 0, 1.9, 0.62), box(0, 0, 0.62, 1.9)),
        "ring": minus(disc(0, 0, 1), disc(0, 0, 0.52)),
        "crescent": minus(disc(0, 0, 1), disc(0.52, 0.12, 0.82)),
        "heart": polygon(np.stack([np.sin(heart) ** 3, heart_y / 16], axis=1)),
        "arrow": polygon(_mirrored([(-1, 0.28), (0.05, 0.28), (0.05, 0.8), (1, 0)])),
        "bow_tie": polygon(_mirrored([(-1, 0.75), (0, 0.16), (1, 0.75)])),
        "bolt": polygon(
            [(0.15, 1.1), (-0.65, -0.1), (-0.1, -0.1), (-0.3, -1.1), (0.65, 0.25), (0.08, 0.25)]
        ),
        "flower": polar(lambda angle: 0.78 + 0.3 * np.cos(5 * angle - np.pi / 2)),
    }


def _geometric() -> dict[str, Outline]:
    turn = np.linspace(0.25, 2.3, 60) * 2 * np.pi
    spiral = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (turn / turn[-1])[:, None]
    quarter = np.pi / 4
    return {
        "hexagon": spikes(3, 1.0),
        "half_disc": common(disc(0, 0, 1), box(0, 0.75, 2.4, 1.5)),
        "wedge": minus(disc(0, 0, 1), polygon([(0, 0), (2.2, 1.35), (2.2, -1.35)])),
        "leaf": common(disc(-0.55, 0, 1.1), disc(0.55, 0, 1.1)),
        "gear": minus(
            polar(lambda angle: 0.86 + 0.13 * np.sign(np.cos(8 * angle + 0.05)), 320),
            disc(0, 0, 0.32),
        ),
        "asterisk": union(
            *(stroke(_spoke(quarter * 4 / 3 * k + quarter * 2), 0.3) for k in range(3))
        ),
        "trapezoid": polygon([(-1, -0.6), (1, -0.6), (0.45, 0.6), (-0.45, 0.6)]),
        "frame": minus(box(0, 0, 1.8, 1.8), box(0, 0, 1.0, 1.0)),
        "spiral": stroke(spiral, 0.26),
        "astroid": spikes(4, 0.32),
        "burst": spikes(11, 0.66),
        "clover": union(
            *(disc(*_at(0.52, np.pi / 2 + 8 / 3 * k * quarter), 0.5) for k in range(3))
        ),
        "butterfly": polar(
            lambda angle: 0.2 + (0.75 + 0.25 * np.sin(angle)) * np.abs(np.sin(2 * angle)), 200
        ),
        "drop": union(disc(0, -0.35, 0.65), polygon([(-0.6, -0.1), (0.6, -0.1), (0, 1.1)])),
    }


def _letters() -> dict[str, Outline]:
    return {
        "tee": union(box(0, 0.65, 1.8, 0.5), box(0, -0.15, 0.5, 1.8)),
        "ell": union(box(-0.45, 0, 0.5, 1.9), box(0.1, -0.7, 1.5, 0.5)),
        "aitch": union(box(-0.6, 0, 0.45, 1.8), box(0.6, 0, 0.45, 1.8), box(0, 0, 1.2, 0.42)),
        "zed": stroke([(-0.7, 0.75), (0.7, 0.75), (-0.7, -0.75), (0.7, -0.75)], 0.4),
        "chevron": stroke([(-0.85, -0.4), (0, 0.5), (0.85, -0.4)], 0.5),
        "arch": minus(
            union(disc(0, 0.1, 0.95), box(0, -0.5, 1.9, 1.2)),
            union(disc(0, 0.1, 0.48), box(0, -0.6, 0.96, 1.4)),
        ),
        "stairs": polygon(
            _points("-1 -.9  1 -.9  1 .9  .35 .9  .35 .3  -.35 .3  -.35 -.3  -1 -.3")
        ),
        "speech_bubble": union(
            polar(
                lambda angle: 0.8 / np.maximum(np.abs(np.cos(angle)), 1.3 * np.abs(np.sin(angle)))
            ),
            polygon([(-0.5, -0.4), (0.05, -0.4), (-0.6, -1.15)]),
        ),
        "dumbbell": union(disc(-0.7, 0, 0.45), disc(0.7, 0, 0.45), box(0, 0, 1.4, 0.3)),
    }


def _things() -> dict[str, Outline]:
    return {
        "house": union(box(0, -0.4, 1.3, 1.1), polygon([(-1, 0.1), (1, 0.1), (0, 0.95)])),
        "key": union(
            minus(disc(-0.65, 0, 0.48), disc(-0.65, 0, 0.2)),
            box(0.4, 0, 1.3, 0.24),
            box(0.55, -0.22, 0.2, 0.45),
            box(0.92, -0.22, 0.24, 0.45),
        ),
        "mushroom": union(common(disc(0, 0, 0.95), box(0, 0.5, 2.2, 1.0)), box(0, -0.4, 0.55, 1.0)),
        "fish": union(
            common(disc(-0.2, -0.5, 0.95), disc(-0.2, 0.5, 0.95)),
            polygon([(0.3, 0), (1.0, 0.55), (1.0, -0.55)]),
        ),
        "cloud": union(
            disc(-0.55, -0.15, 0.42),
            disc(0, 0.15, 0.55),
            disc(0.58, -0.12, 0.44),
            box(0, -0.38, 1.2, 0.4),
        ),
        "fir": union(
            polygon([(-0.85, -0.6), (0.85, -0.6), (0, 0.3)]),
            polygon([(-0.62, 0), (0.62, 0), (0, 1.05)]),
            box(0, -0.8, 0.3, 0.6),
        ),
        "bottle": union(
            box(0, -0.4, 0.95, 1.2),
            polygon([(-0.47, 0.15), (0.47, 0.15), (0.15, 0.6), (-0.15, 0.6)]),
            box(0, 0.75, 0.32, 0.7),
        ),
        "mug": union(box(-0.2, 0, 1.2, 1.5), minus(disc(0.45, 0, 0.52), disc(0.45, 0, 0.28))),
        "hammer": union(box(0, 0.65, 1.5, 0.55), box(0.1, -0.3, 0.3, 1.6)),
    }


def _more_things() -> dict[str, Outline]:
    return {
        "boat": union(
            polygon([(-1, -0.3), (1, -0.3), (0.6, -0.85), (-0.6, -0.85)]),
            polygon([(-0.12, -0.15), (-0.12, 1), (-0.85, -0.15)]),
            polygon([(0.0, -0.15), (0.0, 0.85), (0.7, -0.15)]),
            box(-0.06, 0.1, 0.14, 1.1),
        ),
        "crown": polygon(
            [(-0.8, -0.7), (0.8, -0.7), (1, 0.6), (0.45, 0), (0, 0.85), (-0.45, 0), (-1, 0.6)]
        ),
        "spade": union(
            disc(-0.4, -0.2, 0.46),
            disc(0.4, -0.2, 0.46),
            polygon([(-0.8, 0.02), (0.8, 0.02), (0, 1.05)]),
            polygon([(0, 0), (-0.38, -1), (0.38, -1)]),
        ),
        "shield": common(disc(-0.45, 0.35, 1.35), disc(0.45, 0.35, 1.35), box(0, -0.25, 2, 2)),
    }


def _points(text: str) -> list[Point]:
    numbers = [float(word) for word in text.split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _mirrored(points: list[Point]) -> list[Point]:
    """Return the points followed by their mirror images below the x axis, in reverse order."""
    return points + [(x, -y) for x, y in reversed(points) if y != 0]


def _at(radius: float, angle: float) -> Point:
    return (float(radius * np.cos(angle)), float(radius * np.sin(angle)))


def _spoke(angle: float) -> list[Point]:
    return [_at(-0.9, angle), _at(0.9, angle)]
