"""The intervals of docs/intervals.md once more, in NumPy, from the images' own values."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

Z2 = stats.norm.ppf(0.975) ** 2


class Ends(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def clustered(correct: ArrayLike, predictions: ArrayLike = 1) -> Ends:
    """Return the interval of an accuracy from each image's correct predictions, of so many."""
    k, n = np.broadcast_arrays(np.asarray(correct, float), np.asarray(predictions, float))
    p, images = k.sum() / n.sum(), len(k)
    # Images that join: z^2 / 2 with all predictions right, as many with none.
    fraction = (images * p + Z2 / 2) / (images + Z2)
    size2 = (n**2).mean()
    squares = ((k - fraction * n) ** 2).sum()
    squares += Z2 / 2 * size2 * ((1 - fraction) ** 2 + fraction**2)
    variance = squares / (images + Z2) / n.mean() ** 2
    evidence = min(n.sum(), images * fraction * (1 - fraction) / variance)
    if p > 0.5:
        low, high = _fraction(1 - p, evidence)
        return Ends(1 - high, 1 - low)
    return _fraction(p, evidence)


def _fraction(p: float, n: float) -> Ends:
    """Return Agresti and Coull's lower end and Wilson's upper one, of a fraction up to a half."""
    centre = (p * n + Z2 / 2) / (n + Z2)
    far = math.sqrt(Z2 * (p * (1 - p) * n + Z2 / 4)) / (n + Z2)
    near = math.sqrt(Z2 * centre * (1 - centre) / (n + Z2))
    return Ends(0.0 if p == 0 else max(0.0, centre - near), centre + far)


def contrast_moments(values: ArrayLike, reach: float = 1) -> tuple[float, float]:
    """Return the centre and the variance of a mean of values that no image takes past `reach`."""
    d = np.asarray(values, float)
    scale2 = ((d**4).sum() + reach**4 / 100) / ((d**2).sum() + reach**2 / 100)
    centre = d.sum() / (len(d) + Z2)
    square = ((d**2).sum() + Z2 * scale2) / (len(d) + Z2)
    return centre, (square - centre**2) / (len(d) + Z2)


def contrast(values: ArrayLike, reach: float = 1) -> Ends:
    """Return the interval of a comparison from each image's value of it."""
    centre, variance = contrast_moments(values, reach)
    half_width = math.sqrt(Z2 * variance)
    return Ends(max(-reach, centre - half_width), min(reach, centre + half_width))


def line_half_width(values: ArrayLike, reach: float) -> float:
    """Return the half-width for a line drawn at its estimate, from what each image adds."""
    d = np.asarray(values, float)
    return math.sqrt(Z2 * contrast_moments(d - d.mean(), reach)[1])


def quantile_of(sources: Sequence[tuple[float, float]]) -> float:
    """Return the 97.5 % point of an error from sources, each a variance and its freedom."""
    known = sum(variance for variance, freedom in sources if freedom == math.inf)
    drawn = [(variance, freedom) for variance, freedom in sources if freedom < math.inf]
    estimated = sum(variance for variance, _ in drawn)
    if not estimated:
        return math.sqrt(Z2)
    freedom = estimated**2 / sum(variance**2 / freedom for variance, freedom in drawn)
    points = math.sqrt(Z2), stats.t.ppf(0.975, freedom)
    return float(np.average(points, weights=[known, estimated]))


def freedom_of(sources: Sequence[tuple[float, float]]) -> float:
    """Return the degrees of freedom of Student's variable with that point."""
    point = quantile_of(sources)
    if point <= math.sqrt(Z2):
        return math.inf
    found = optimize.brentq(lambda log: stats.t.ppf(0.975, math.exp(log)) - point, -1, 25)
    return math.exp(found)


def drawn(ends: Ends, estimate: float, draws: Sequence[float], possible: float = math.inf) -> Ends:
    """Return the interval over images and draws, from that over images and each draw's value."""
    variance = np.var(draws, ddof=1) / len(draws) * (1 - len(draws) / possible)
    if not variance > 0:
        return ends
    sides = []
    for side in (estimate - ends.low, ends.high - estimate):
        sources = [(side**2 / Z2, math.inf), (variance, len(draws) - 1)]
        sides.append(quantile_of(sources) * math.sqrt(side**2 / Z2 + variance))
    return Ends(max(0.0, estimate - sides[0]), min(1.0, estimate + sides[1]))
