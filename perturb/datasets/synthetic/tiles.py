"""Building blocks of the textures: periodic fields on the unit tile.

A pattern is a field in [0, 1] over (u, v) in [0, 1) x [0, 1): 0 is the first of an object's two
colours, 1 the second. Random patterns draw from a fixed stream: textures are the same in every
study.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from perturb.random import image_key, stream_keys, uniform

Field = NDArray[np.float64]


def square_wave(phase: Field, duty: float = 0.5) -> Field:
    """Return 1 for the first ``duty`` of every period of 1, else 0."""
    return (phase % 1.0 < duty).astype(np.float64)


def sine(phase: Field) -> Field:
    """Return a sine of period 1, scaled to [0, 1]."""
    return 0.5 + 0.5 * np.sin(2 * np.pi * phase)


def cell_offsets(u: Field, v: Field, columns: int, rows: int) -> tuple[Field, Field]:
    """Return the offsets from the centres of the cells of a brick grid, each in [-0.5, 0.5)."""
    y = v * rows
    x = u * columns + 0.5 * (np.floor(y) % 2)
    return x % 1 - 0.5, y % 1 - 0.5


def noise(name: str, num_draws: int) -> Field:
    """Return fixed draws from U[0, 1) for a texture."""
    keys = stream_keys(0, "textures", torch.tensor([image_key(name)]))
    return uniform(keys, num_draws, torch.float64)[0].numpy()


def smooth_noise(name: str, side: int, frequency: float) -> Field:
    """Return periodic noise around a frequency in cycles per tile, uniform in [0, 1]."""
    white = noise(name, 64 * 64).reshape(64, 64)
    cycles = np.fft.fftfreq(64) * 64
    distance = np.hypot(cycles[:, None], cycles)
    band = np.exp(-(((distance - frequency) / (0.5 * frequency)) ** 2))
    spectrum = np.fft.fft2(white - white.mean()) * band
    padded = np.zeros((side, side), dtype=np.complex128)
    index = cycles.astype(int) % side
    padded[np.ix_(index, index)] = spectrum
    field: Field = np.fft.ifft2(padded).real
    ranks: Field = field.ravel().argsort().argsort().reshape(side, side) / (side * side - 1)
    return ranks


def seed_distances(
    u: Field, v: Field, name: str, num_seeds: int
) -> tuple[Field, Field, NDArray[np.int64]]:
    """Return distances to the nearest two of random points, and the index of the nearest.

    Distances are in tiles. The points are a jittered grid, periodic with the tile.
    """
    line = round(num_seeds**0.5)
    jitter = noise(name, 2 * line * line).reshape(2, line, line) * 0.8 + 0.1
    x = ((np.arange(line) + jitter[0]) / line).ravel()
    y = ((np.arange(line)[:, None] + jitter[1]) / line).ravel()
    return nearest_two(u, v, x, y)


def nearest_two(u: Field, v: Field, x: Field, y: Field) -> tuple[Field, Field, NDArray[np.int64]]:
    """Return distances to the nearest two of the points, and the index of the nearest."""
    nearest, second = np.full_like(u, 2.0), np.full_like(u, 2.0)  # squared until the last line
    which = np.zeros(u.shape, dtype=np.int64)
    for index in range(len(x)):
        dx, dy = np.abs(u - x[index]), np.abs(v - y[index])
        squared = np.minimum(dx, 1 - dx) ** 2 + np.minimum(dy, 1 - dy) ** 2
        second = np.minimum(second, np.maximum(squared, nearest))
        which = np.where(squared < nearest, index, which)
        nearest = np.minimum(squared, nearest)
    return np.sqrt(nearest), np.sqrt(second), which
