"""Shot noise: Poisson counts by inversion of the distribution function, given uniform draws.

Draws are multiples of 2**-24, so that a count is a function of a byte and 24 bits: tables give it
exactly. On a CPU small tables decide most counts and the others are computed; on a GPU two larger
tables decide all.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from perturb.experiments.corruptions.scaling import Constants

_GUIDE_BINS = 4096
# A byte that no photon count maps to: at most 60 counts share 255 levels, so 1 is free.
_UNDECIDED = 1
_DRAW_BITS, _PAGE_BITS = 24, 10  # of a draw, and those that index a page


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


def shot_noise_on_device(images: Tensor, constants: Constants, uniforms: Tensor) -> Tensor:
    """Return ``shot_noise`` by two reads of tables: of a page, then of a byte on it."""
    (rate,) = constants
    page_of, pages = _poisson_pages(int(rate), images.device)
    draws = (uniforms * (1 << _DRAW_BITS)).to(torch.int32).flatten()
    index = images.flatten().to(torch.int32).bitwise_left_shift_(_DRAW_BITS - _PAGE_BITS)
    index.add_(draws >> _PAGE_BITS)
    place = page_of.index_select(0, index).bitwise_left_shift_(_PAGE_BITS)
    place.add_(draws.bitwise_and_((1 << _PAGE_BITS) - 1))
    return pages.index_select(0, place).view_as(images)


def _distribution(rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distribution function (256, rate) and the byte of a count.

    Counts from ``rate`` on are white, so the distribution function ends at rate - 1.
    """
    counts = np.arange(rate)
    means = np.arange(256)[:, None] / 255.0 * rate
    log_factorials = np.array([math.lgamma(count + 1) for count in counts])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_density = counts * np.log(means) - means - log_factorials
    density = np.exp(log_density)
    density[0] = counts == 0  # black stays black; 0 * log(0) is not a number
    return np.cumsum(density, axis=1), (np.arange(rate + 1) / rate * 255).astype(np.uint8)


@lru_cache(maxsize=16)
def _poisson_tables(rate: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return guide (256 * bins,), distribution function (256, rate) and byte of a count."""
    cumulative, levels = _distribution(rate)
    edges = np.arange(_GUIDE_BINS + 1) / _GUIDE_BINS
    guide = np.empty((256, _GUIDE_BINS), np.uint8)
    for value in range(256):
        # A bin has one count if no step is in (start, end): its uniforms are below its end.
        first = np.searchsorted(cumulative[value], edges[:-1], side="right")
        last = np.searchsorted(cumulative[value], edges[1:], side="left")
        guide[value] = np.where(first == last, levels[first], _UNDECIDED)
    tables = (guide.reshape(-1), cumulative, levels)
    on_device = [torch.from_numpy(table).to(device) for table in tables]
    return on_device[0], on_device[1], on_device[2]


@lru_cache(maxsize=16)
def _poisson_pages(rate: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the page of a byte and the upper bits of a draw, int32, and the bytes on all pages.

    Where the upper bits decide the count, the page is that of the count, the same byte everywhere.
    """
    cumulative, levels = _distribution(rate)
    # The first draw, as a whole number, at which each count is exceeded.
    steps = np.ceil(cumulative * (1 << _DRAW_BITS)).astype(np.int64)
    size, num_bins = 1 << _PAGE_BITS, 1 << (_DRAW_BITS - _PAGE_BITS)
    first = _num_steps(-(-steps // size), num_bins)  # of the first draw of each bin
    last = _num_steps(steps // size, num_bins)
    values, bins = np.nonzero(first != last)
    page_of = first.astype(np.int32)
    page_of[values, bins] = rate + 1 + np.arange(len(values))
    counts = np.zeros((len(values), size), np.int16)
    rows, columns = np.nonzero((steps % size > 0) & (steps < num_bins * size))
    inner = steps[rows, columns]
    np.add.at(counts, (page_of[rows, inner // size] - rate - 1, inner % size), 1)
    counts = first[values, bins][:, None] + counts.cumsum(axis=1)
    pages = np.concatenate([np.repeat(levels[:, None], size, axis=1), levels[counts]])
    return (
        torch.from_numpy(page_of.ravel()).to(device),
        torch.from_numpy(pages.ravel()).to(device),
    )


def _num_steps(bins: np.ndarray, num_bins: int) -> np.ndarray:
    """Return how many steps of each byte lie in a bin or an earlier one, int64 (256, num_bins)."""
    numbers = np.zeros((256, num_bins + 1), np.int64)
    np.add.at(numbers, (np.arange(256)[:, None], np.minimum(bins, num_bins)), 1)
    return numbers.cumsum(axis=1)[:, :num_bins]
