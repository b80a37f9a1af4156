"""Rank correlation of models on two test sets, with its interval and its p-value.

Claim C1 of the study: relative accuracy on clean images predicts relative accuracy on perturbed
ones. The interval covers the sampling of models and of images. Other models would give another
correlation: its ends are the populations in which one as high, or as low, is rare. Measured on some
images alone, accuracies are noisy, and noise lowers a correlation: the upper end is divided by what
the least reliability that the data allow takes away. Where both test sets are of the same images,
noise that they share raises a correlation: the lower end is less by as much.
`benchmarks/coverage_of_rank_correlation.py` measures the coverage. All other intervals are computed
in SQL.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize, stats

from perturb.experiments.claims.spearman import Tails, Values, tails

# Of models, for an end of an interval to be anywhere but at 1 or -1.
LEAST_MODELS = 4
_TAIL95 = 0.025
# What rarely happens in so few samples is not told apart from what happens more rarely.
_LEAST_TAIL = 1e-4


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho of M models on two test sets, and what its interval depends on.

    `clean` and `perturbed` are fractions of the variance between the models' values that the
    sampling of images alone would give; `shared` is their covariance that it would give, as a
    correlation.
    """

    estimate: float
    num_models: int
    clean: float
    perturbed: float
    shared: float = 0.0

    @property
    def has_interval(self) -> bool:
        """Whether the correlation and its standard error exist; of one image the noise does not."""
        known = np.isfinite([self.estimate, self.clean, self.perturbed])
        return bool(self.num_models >= LEAST_MODELS and known.all())

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95 % interval."""
        return self.low(_TAIL95), self.high(_TAIL95)

    def low(self, tail: float) -> float:
        """Return the lower end that the population's is below with probability `tail`."""
        return max(-1.0, _spearman_of(self._tails.least(tail)) - self._raised)

    def high(self, tail: float) -> float:
        """Return the upper end that the population's is above with probability `tail`."""
        seen = self._tails.most(tail)
        kept = self._kept(tail)
        return 1.0 if kept == 0 or seen >= kept else _spearman_of(max(seen, seen / kept))

    def p_value(self, threshold: float) -> float:
        """Return the two-sided p-value of a threshold: that of the interval that ends there.

        It is below 0.05 where the 95 % interval excludes the threshold, and nowhere else. The least
        one is 0.0002.
        """
        if self.low(0.5) > threshold:
            tail = self._tails.probability_above(_pearson_of(threshold + self._raised))
        elif self.high(0.5) >= threshold:
            return 1.0
        elif self.high(_LEAST_TAIL) <= threshold:
            tail = 0.0
        else:
            tail = optimize.brentq(lambda tail: self.high(tail) - threshold, _LEAST_TAIL, 0.5)
        return min(1.0, 2 * max(_LEAST_TAIL, tail))

    @cached_property
    def _tails(self) -> Tails:
        return tails(self.estimate, self.num_models)

    def _kept(self, tail: float) -> float:
        """Return what sampling of images leaves of a Pearson correlation, at the level of `tail`.

        Models nearer to each other than their errors swap ranks.
        """
        noises = self.clean, self.perturbed
        return float(np.sqrt(np.prod([self._reliability(noise, tail) for noise in noises])))

    @property
    def _raised(self) -> float:
        """How much images of both sets raise a correlation; what they lower, nothing adds."""
        return max(0.0, self.shared)

    def _reliability(self, noise: float, tail: float) -> float:
        """Return the least fraction of the variance that is the models' own, at a level."""
        freedom = self.num_models - 1
        return max(0.0, 1 - noise * float(stats.chi2.isf(tail, freedom)) / freedom)


def rank_correlation(
    clean: Values, perturbed: Values, *, same_images: bool = False
) -> RankCorrelation:
    """Return rho of the models' accuracies on two test sets.

    Parameters
    ----------
    clean : (I, M), the fraction of correct predictions of each model for each clean image.
    perturbed : (J, M), the same for the perturbed test set, the models in the same order.
    same_images : whether the images are the same, in the same order.

    Raises
    ------
    ValueError
        if the models differ in number.

    References
    ----------
    Spearman, "The proof and measurement of association between two things", 1904.
    Kendall and Gibbons, "Rank Correlation Methods", 1990, chapter 10.
    """
    if clean.shape[1] != perturbed.shape[1]:
        raise ValueError(f"models: {clean.shape[1]} clean, {perturbed.shape[1]} perturbed")
    means = clean.mean(0), perturbed.mean(0)
    estimate = _spearman(*means)
    shared = _shared(clean, perturbed) if same_images and np.isfinite(estimate) else 0.0
    return RankCorrelation(estimate, clean.shape[1], _noise(clean), _noise(perturbed), shared)


def _spearman_of(pearson: float) -> float:
    """Return Spearman's rho of a bivariate normal distribution with Pearson's."""
    return float(6 / np.pi * np.arcsin(pearson / 2))


def _pearson_of(spearman: float) -> float:
    """Return the inverse; 1 and above are the largest number below 1."""
    return float(min(np.nextafter(1, 0), 2 * np.sin(np.pi * min(1.0, spearman) / 6)))


def _spearman(x: Values, y: Values) -> float:
    """Return Spearman's rho, NaN where it does not exist."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(stats.spearmanr(x, y).statistic)


def _noise(values: Values) -> float:
    """Return the fraction of the variance between models that the sampling of images gives.

    What an image does to all models alike takes none of them ahead.

    Parameters
    ----------
    values : (I, M).
    """
    num_images, num_models = values.shape
    between = values.mean(0).var(ddof=1) if num_models > 1 else 0.0
    if num_images < 2 or between == 0:
        return np.inf
    sampled = (_own(values) ** 2).sum() / (num_images - 1) / num_images / (num_models - 1)
    return float(sampled / between)


def _shared(clean: Values, perturbed: Values) -> float:
    """Return the covariance that sampling the same images gives, over the models' deviations."""
    num_images, num_models = clean.shape
    if num_images < 2:
        return 0.0
    sampled = (_own(clean) * _own(perturbed)).sum() / (num_images - 1) / num_images
    deviations = clean.mean(0).std(ddof=1) * perturbed.mean(0).std(ddof=1)
    return float(sampled / (num_models - 1) / deviations)


def _own(values: Values) -> Values:
    """Return what images do to each model beyond what they do to all, less its mean (I, M)."""
    own: Values = values - values.mean(1, keepdims=True)
    own -= own.mean(0)
    return own
