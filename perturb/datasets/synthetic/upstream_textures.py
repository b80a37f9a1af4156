"""The 36 textures of upstream classes only."""

from collections.abc import Callable

import numpy as np

from perturb.datasets.synthetic.tiles import (
    Field,
    cell_offsets,
    nearest_two,
    noise,
    seed_distances,
    sine,
    smooth_noise,
    square_wave,
)

Pattern = Callable[[Field, Field], Field]


def upstream_patterns() -> dict[str, Pattern]:
    """Return the upstream textures by name."""
    return {**_bands(), **_lattices(), **_centred(), **_random(), **_tilings()}


def _bands() -> dict[str, Pattern]:
    return {
        "pinstripes": lambda _u, v: square_wave(v * 7, 0.22),
        "ribbons": lambda _u, v: square_wave(v * 3),
        "plaid": lambda u, v: (
            0.5 * square_wave(u * 3) + 0.3 * square_wave(v * 3) + 0.2 * square_wave(u * 6, 0.25)
        ),
        "gingham": lambda u, v: 0.5 * square_wave(u * 5) + 0.5 * square_wave(v * 5),
        "barcode": lambda u, _v: (noise("barcode", 24)[(u * 24).astype(int)] < 0.5).astype(float),
        "ladder": lambda u, v: np.maximum(
            square_wave(u * 3, 0.22), square_wave(v * 8, 0.35) * square_wave(u * 3, 0.6)
        ),
        "marble": lambda u, v: (
            1
            - np.abs(np.sin(np.pi * (u * 3 + 2.2 * smooth_noise("marble", len(u), 2.0) + v))) ** 0.6
        ),
        "wood": lambda u, v: sine(v * 8 + 1.6 * sine(u) + smooth_noise("wood", len(u), 2.0)),
    }


def _lattices() -> dict[str, Pattern]:
    return {
        "honeycomb": _honeycomb,
        "scales": _scales,
        "crosses": _crosses,
        "argyle": lambda u, v: (
            (np.abs(u * 4 % 1 - 0.5) + np.abs(v * 3 % 1 - 0.5) < 0.5).astype(float) * 0.85
        ),
        "spots": lambda u, v: (np.hypot(*cell_offsets(u, v, 3, 4)) < 0.36).astype(float),
        "hoops": lambda u, v: (np.abs(np.hypot(*cell_offsets(u, v, 4, 4)) - 0.32) < 0.11).astype(
            float
        ),
        "dashes": _dashes,
        "lattice": lambda u, v: np.maximum(
            square_wave(u * 4 + v * 4, 0.26), square_wave(u * 4 - v * 4, 0.26)
        ),
        "triangles": lambda u, v: (np.abs(u * 5 % 1 - 0.5) * 2 < v * 5 % 1).astype(float),
    }


def _centred() -> dict[str, Pattern]:
    return {
        "spirals": lambda u, v: square_wave(
            np.hypot(u - 0.5, v - 0.5) * 5 + np.arctan2(v - 0.5, u - 0.5) / (2 * np.pi) * 2
        ),
        "pinwheel": lambda u, v: square_wave(
            np.arctan2(v - 0.5, u - 0.5) / (2 * np.pi) * 4 + np.hypot(u - 0.5, v - 0.5) * 1.2
        ),
        "halves": lambda _u, v: (v > 0.5).astype(float),
        "glow": lambda u, v: (1.15 - np.hypot(u - 0.5, v - 0.5) * 3.4).clip(0, 1),
        "shade": lambda u, _v: ((u - 0.5) * 2.2 + 0.5).clip(0, 1),
        "bullseye": lambda u, v: square_wave(np.hypot(u - 0.5, v - 0.5) * 3.2 + 0.5),
        "sunburst": lambda u, v: np.where(
            np.hypot(u - 0.5, v - 0.5) < 0.09,
            1.0,
            square_wave(np.arctan2(v - 0.5, u - 0.5) * (5 / (2 * np.pi))),
        ),
    }


def _random() -> dict[str, Pattern]:
    return {
        "camouflage": lambda u, _v: np.floor(smooth_noise("camouflage", len(u), 2.0) * 2.999) / 2,
        "cells": lambda u, v: _borders(u, v, "cells", 36, 0.028),
        "cracks": lambda u, v: _borders(u, v, "cracks", 16, 0.013),
        "mosaic": lambda u, v: noise("mosaic-tone", 49)[seed_distances(u, v, "mosaic", 49)[2]],
        "static": lambda u, v: np.round(
            noise("static", 400)[((v * 20).astype(int) * 20 + (u * 20).astype(int))]
        ),
        "maze": lambda u, _v: (np.abs(smooth_noise("maze", len(u), 5.0) - 0.5) < 0.17).astype(
            float
        ),
        "fur": lambda u, v: smooth_noise("fur", len(u), 5.0)[
            ((v * 0.34 + 0.1 * u) % 1 * len(u)).astype(int), (u * len(u)).astype(int)
        ],
        "confetti": _confetti,
        "bubbles": _bubbles,
    }


def _tilings() -> dict[str, Pattern]:
    return {"basket": _basket, "herringbone": _herringbone, "truchet": _truchet}


def _honeycomb(u: Field, v: Field) -> Field:
    """Return the borders of hexagonal cells, about equally far from the nearest two centres."""
    centres = [(i / 4 + 0.125 * (j % 2), j / 4) for i in range(4) for j in range(4)]
    x, y = np.array(centres).T
    nearest, second, _ = nearest_two(u, v, x, y)
    return (second - nearest < 0.06).astype(float)


def _scales(u: Field, v: Field) -> Field:
    x, y = cell_offsets(u, v, 4, 6)
    away = np.hypot(x, (y + 0.5) * 0.75)
    return np.where(away < 0.5, np.minimum(away * 1.5, 0.7), 1.0)


def _crosses(u: Field, v: Field) -> Field:
    x, y = cell_offsets(u, v, 4, 4)
    long, short = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    return np.where((long < 0.36) & (short < 0.12), 1.0, 0.0)


def _dashes(u: Field, v: Field) -> Field:
    x, y = cell_offsets(u, v, 4, 6)
    return np.where((np.abs(x) < 0.3) & (np.abs(y) < 0.22), 1.0, 0.0)


def _borders(u: Field, v: Field, name: str, num_seeds: int, width: float) -> Field:
    nearest, second, _ = seed_distances(u, v, name, num_seeds)
    return (second - nearest < width).astype(float)


def _confetti(u: Field, v: Field) -> Field:
    nearest, _, which = seed_distances(u, v, "confetti", 64)
    tone = noise("confetti-tone", 64)[which]
    return np.where(nearest < 0.052, 0.35 + 0.6 * tone, 0.0)


def _bubbles(u: Field, v: Field) -> Field:
    nearest, _, which = seed_distances(u, v, "bubbles", 25)
    radius = 0.05 + 0.06 * noise("bubbles-size", 25)[which]
    return (nearest < radius) * (0.4 + 0.6 * (nearest > radius - 0.03))


def _basket(u: Field, v: Field) -> Field:
    is_across = np.abs(square_wave(u * 2) - square_wave(v * 2)) > 0.5
    return np.where(is_across, square_wave(u * 12), square_wave(v * 12))


def _herringbone(u: Field, v: Field) -> Field:
    """Return columns of slanted planks, separated by thin seams."""
    column = u * 4 % 1
    slant = np.where(np.floor(u * 4) % 2 == 0, u * 4, -u * 4)
    return np.maximum(square_wave(v * 4 + slant, 0.24), square_wave(column, 0.14))


def _truchet(u: Field, v: Field) -> Field:
    """Return quarter arcs, rotated at random in every cell."""
    n = 5
    x, y = u * n % 1, v * n % 1
    turn = noise("truchet", n * n)[((v * n).astype(int) * n + (u * n).astype(int))] < 0.5
    x = np.where(turn, x, 1 - x)
    away = np.minimum(np.hypot(x, y), np.hypot(1 - x, 1 - y))
    return (np.abs(away - 0.5) < 0.17).astype(float)
