"""Rank correlation of models on two test sets, with its interval and its p-value.

Claim C1 of the study: relative accuracy on clean images predicts relative accuracy on perturbed
ones. The interval covers the sampling of models and of images. Other models would give another
correlation: Fisher's z with the standard error of Bonett and Wright. Measured on some images alone,
accuracies are noisy, and noise lowers a correlation: the upper end is divided by what the least
reliability that the data allow takes away. Where both test sets are of the same images, noise that
they share raises a correlation: the lower end is less by as much.
`benchmarks/coverage_of_rank_correlation.py` measures the coverage. All other intervals are computed
in SQL.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Values = NDArray[np.float64]

# Of models, for a standard error to exist.
LEAST_MODELS = 4
_Z95 = float(stats.norm.isf(0.025))
# Quantiles beyond this one have no probability in floating point.
_LARGEST_Z = 37.0


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
        return self.low(_Z95), self.high(_Z95)

    def low(self, z: float) -> float:
        """Return the lower end for a normal quantile z, 1.96 for 95 %."""
        return max(-1.0, float(np.tanh(self._centre - z * self._error)) - self._raised)

    def high(self, z: float) -> float:
        """Return the upper end for a normal quantile z, 1.96 for 95 %."""
        kept = self._kept(z)
        # Models in one and the same order on both sets exclude no correlation below or at 1.
        if np.isclose(self.estimate, 1) or kept == 0:
            return 1.0
        end = float(np.tanh(self._centre + z * self._error))
        return min(1.0, max(end, end / kept))

    def p_value(self, threshold: float) -> float:
        """Return the two-sided p-value of a threshold: that of the interval that ends there.

        It is below 0.05 where the 95 % interval excludes the threshold, and nowhere else.
        """
        if self.low(0) > threshold:
            z = (self._centre - np.arctanh(threshold + self._raised)) / self._error
        elif self.high(0) >= threshold:
            return 1.0
        elif self.high(_LARGEST_Z) <= threshold:
            return 0.0
        else:
            z = optimize.brentq(lambda z: self.high(z) - threshold, 0, _LARGEST_Z)
        return float(2 * stats.norm.sf(z))

    def _kept(self, z: float) -> float:
        """Return what sampling of images leaves of a perfect correlation, at the level of z.

        The mean of Spearman's rho in M draws from a bivariate normal distribution (Kendall and
        Gibbons), with Pearson's correlation that the least reliabilities of both sets leave: models
        nearer to each other than their errors swap ranks.
        """
        noises = self.clean, self.perturbed
        pearson = np.sqrt(np.prod([self._reliability(noise, z) for noise in noises]))
        spearman, kendall = 6 / np.pi * np.arcsin(pearson / 2), 2 / np.pi * np.arcsin(pearson)
        return float(((self.num_models - 2) * spearman + 3 * kendall) / (self.num_models + 1))

    @property
    def _raised(self) -> float:
        """How much images of both sets raise a correlation; what they lower, nothing adds."""
        return max(0.0, self.shared)

    @property
    def _centre(self) -> float:
        return float(np.arctanh(self._clipped))

    @property
    def _error(self) -> float:
        return float(np.sqrt((1 + self._clipped**2 / 2) / (self.num_models - 3)))

    @property
    def _clipped(self) -> float:
        """The correlation, at most halfway from that of one swap of neighbours to 1."""
        most = 1 - 3 / (self.num_models**3 - self.num_models)
        return float(np.clip(self.estimate, -most, most))

    def _reliability(self, noise: float, z: float) -> float:
        """Return the least fraction of the variance that is the models' own, at the level of z."""
        freedom = self.num_models - 1
        return max(0.0, 1 - noise * float(stats.chi2.isf(stats.norm.sf(z), freedom)) / freedom)


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
    Bonett and Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations", Psychometrika 65, 2000.
    Kendall and Gibbons, "Rank Correlation Methods", 1990, chapter 10.
    """
    if clean.shape[1] != perturbed.shape[1]:
        raise ValueError(f"models: {clean.shape[1]} clean, {perturbed.shape[1]} perturbed")
    means = clean.mean(0), perturbed.mean(0)
    estimate = _spearman(*means)
    shared = _shared(clean, perturbed) if same_images and np.isfinite(estimate) else 0.0
    return RankCorrelation(estimate, clean.shape[1], _noise(clean), _noise(perturbed), shared)


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
