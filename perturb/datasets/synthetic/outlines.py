"""Signed-distance building blocks: an outline is a function of (x, y), negative inside.

Coordinates are those of the silhouette's own plane, x to the right and y upwards. Distances are
exact outside and near the outline; deep inside a union they may be too short, which no drawing here
depends on.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
Outline = Callable[[Field, Field], Field]
Point = tuple[float, float]


def disc(x0: float, y0: float, radius: float) -> Outline:
    """Return the disc around (x0, y0)."""
    return lambda x, y: np.hypot(x - x0, y - y0) - radius


def polygon(points: Sequence[Point] | Field) -> Outline:
    """Return the polygon through the points, filled by the even-odd rule."""
    start = np.asarray(points, dtype=np.float64)  # (V, 2)
    edge = np.roll(start, -1, axis=0) - start
    # A horizontal ray crosses no horizontal edge, so the slope of such an edge is arbitrary.
    slope = edge[:, 0] / np.where(edge[:, 1] == 0, 1.0, edge[:, 1])

    def distance(x: Field, y: Field) -> Field:
        dx, dy = x[..., None] - start[:, 0], y[..., None] - start[:, 1]  # (H, W, V)
        along = (dx * edge[:, 0] + dy * edge[:, 1]) / (edge**2).sum(axis=1)
        along = along.clip(0, 1)
        squared = (dx - along * edge[:, 0]) ** 2 + (dy - along * edge[:, 1]) ** 2
        spans = (dy < 0) != (dy < edge[:, 1])
        is_inside = (spans & (dx < dy * slope)).sum(axis=-1) % 2 == 1
        nearest: Field = np.sqrt(squared.min(axis=-1))
        return np.where(is_inside, -nearest, nearest)

    return distance


def box(x0: float, y0: float, width: float, height: float) -> Outline:
    """Return the upright rectangle centred on (x0, y0)."""
    w, h = width / 2, height / 2
    return polygon([(x0 - w, y0 - h), (x0 + w, y0 - h), (x0 + w, y0 + h), (x0 - w, y0 + h)])


def stroke(points: Sequence[Point] | Field, width: float) -> Outline:
    """Return the open line through the points, drawn with a round pen of that width."""
    start = np.asarray(points, dtype=np.float64)[:-1]
    edge = np.diff(np.asarray(points, dtype=np.float64), axis=0)

    def distance(x: Field, y: Field) -> Field:
        dx, dy = x[..., None] - start[:, 0], y[..., None] - start[:, 1]
        along = (dx * edge[:, 0] + dy * edge[:, 1]) / (edge**2).sum(axis=1)
        along = along.clip(0, 1)
        away = np.hypot(dx - along * edge[:, 0], dy - along * edge[:, 1])
        nearest: Field = away.min(axis=-1)
        return nearest - width / 2

    return distance


def polar(radius: Callable[[Field], Field], num_points: int = 120) -> Outline:
    """Return the closed curve r(angle), angles in radians counted from the x axis."""
    angle = np.arange(num_points, dtype=np.float64) * (2 * np.pi / num_points)
    r = radius(angle)
    return polygon(np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1))


def spikes(num_points: int, inner: float) -> Outline:
    """Return the star of outer radius 1 with that many points, one of them upwards."""
    angle = np.pi / 2 + np.arange(2 * num_points) * (np.pi / num_points)
    r = np.where(np.arange(2 * num_points) % 2 == 0, 1.0, inner)
    return polygon(np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1))


def union(*outlines: Outline) -> Outline:
    """Return the union of outlines."""
    return lambda x, y: reduce(np.minimum, [outline(x, y) for outline in outlines])


def minus(outline: Outline, *holes: Outline) -> Outline:
    """Return an outline minus the holes."""
    return lambda x, y: reduce(np.maximum, [outline(x, y), *(-hole(x, y) for hole in holes)])


def common(*outlines: Outline) -> Outline:
    """Return the intersection of outlines."""
    return lambda x, y: reduce(np.maximum, [outline(x, y) for outline in outlines])
