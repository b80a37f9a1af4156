"""The distribution of Spearman's rank correlation in samples from a bivariate normal distribution.

There is no formula for it near 1, where a few models can only have a few values and their mean is
below the population's. It is simulated, from the same draws for every correlation, so that
probabilities rise and fall with it as they do in truth.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Values = NDArray[np.float64]

# Fisher's z of the Pearson correlations that are simulated; the last one is 0.9999.
_GRID = np.linspace(0, 5, 51)
_NUM_SAMPLES = 20_000
# Numbers in memory at a time, for which samples of many models are fewer.
_NUM_DRAWS = 2_000_000


@dataclass(frozen=True)
class Tails:
    """Probits of the probability of a correlation r and of those beyond it, over the population's.

    They are nearly straight lines over Fisher's z.

    population : Fisher's z of the population's Pearson correlation, rising.
    above : of P(R >= r) at each of them, rising.
    below : of P(R <= r) at each of them, falling.
    """

    population: Values
    above: Values
    below: Values

    def least(self, tail: float) -> float:
        """Return the Pearson correlation below which a value as high as r is rarer than `tail`.

        It is -1 if it is never as rare.
        """
        if self.above[0] > ndtri(tail):
            return -1.0
        return float(np.tanh(np.interp(ndtri(tail), self.above, self.population)))

    def most(self, tail: float) -> float:
        """Return that above which a value as low as r is rarer than `tail`; 1 if it never is."""
        if self.below[-1] > ndtri(tail):
            return 1.0
        return float(np.tanh(np.interp(-ndtri(tail), -self.below, self.population)))

    def probability_above(self, pearson: float) -> float:
        """Return the probability of a value as high as r where the population has `pearson`."""
        return float(ndtr(np.interp(np.arctanh(pearson), self.population, self.above)))


def tails(spearman: float, num_models: int) -> Tails:
    """Return the probabilities of a rank correlation of M models.

    They are those of 20,000 samples of models, fewer of more than 100, whose values on both test
    sets are bivariate normal but for any monotone change of scale.
    """
    samples = _samples(num_models)
    # Ranks of ties are means, and rounding is no difference.
    slack = 1e-9
    # Of samples that are at most r, less than r, at most -r, and less than -r.
    at_most, less = _counts(samples, spearman + slack), _counts(samples, spearman - slack)
    mirrored_at_most = _counts(samples, slack - spearman)
    mirrored_less = _counts(samples, -slack - spearman)
    num_samples = samples.shape[1]
    # A negative correlation of the population is a positive one with the signs changed.
    return Tails(
        np.concatenate([-_GRID[:0:-1], _GRID]),
        above=_probits([mirrored_at_most[:0:-1], num_samples - less], num_samples),
        below=_probits([num_samples - mirrored_less[:0:-1], at_most], num_samples),
    )


def _counts(samples: Values, end: float) -> NDArray[np.int64]:
    """Return how many samples of each population are at most `end` (G,)."""
    return np.array([np.searchsorted(row, end, side="right") for row in samples])


def _probits(counts: list[NDArray[np.int64]], num_samples: int) -> Values:
    """Return the probits of fractions of samples, less than all and more than none."""
    fractions = np.concatenate(counts) / num_samples
    found: Values = ndtri(np.clip(fractions, 0.5 / num_samples, 1 - 0.5 / num_samples))
    return found


@cache
def _samples(num_models: int) -> Values:
    """Return rank correlations (G, S) of samples, for each population of the grid, sorted."""
    num_samples = min(_NUM_SAMPLES, max(1, _NUM_DRAWS // num_models))
    random = np.random.default_rng(num_models)
    first = np.sort(random.standard_normal((num_samples, num_models)))
    second = random.standard_normal((num_samples, num_models))
    ranks = np.arange(num_models) - (num_models - 1) / 2
    found = []
    for z in _GRID:
        values = np.tanh(z) * first + second / np.cosh(z)
        # The first values are sorted, so that positions are their ranks.
        order = np.argsort(values, axis=1)
        found.append(ranks[order] @ ranks / (ranks @ ranks))
    return np.sort(found, axis=1)
