"""Rank correlation of models on two test sets, with its interval.

Claim C1 of the study: relative accuracy on clean images predicts relative accuracy on perturbed
ones. The interval resamples *images*, the same ones for every model, with the models held fixed: it
covers the sampling of images, and not that of models. All other intervals are computed in SQL.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Resamples that are summed in one product of matrices.
_AT_ONCE = 100


@dataclass(frozen=True)
class Estimate:
    """An estimate and the ends of its 95 % interval."""

    estimate: float
    low: float
    high: float


def spearman(x: Values, y: Values) -> Values:
    """Return Spearman's rho over the last axis: Pearson's r of the ranks, ties averaged.

    Parameters
    ----------
    x, y : (..., M).

    Returns
    -------
    (...), in [-1, 1]; NaN where all values of x or of y are equal.

    References
    ----------
    Spearman, "The proof and measurement of association between two things", 1904.
    """
    rank_x, rank_y = _centred_ranks(x), _centred_ranks(y)
    scale = np.sqrt((rank_x**2).sum(-1) * (rank_y**2).sum(-1))
    with np.errstate(invalid="ignore"):
        rho: Values = (rank_x * rank_y).sum(-1) / scale
    return rho


def rank_correlation(
    clean: Values, perturbed: Values, *, same_images: bool, num_resamples: int, seed: int
) -> Estimate:
    """Return rho of the models' accuracies on two test sets with a percentile bootstrap interval.

    Parameters
    ----------
    clean : whole numbers (I, M), correct predictions of each model for each clean image.
    perturbed : (J, M), the same for the perturbed test set, the models in the same order.
    same_images : both sets have the same images in the same order, and are resampled together.
    num_resamples : bootstrap samples of the images.
    seed : of the resampling.

    Raises
    ------
    ValueError
        if the models differ in number, or `same_images` and the images do.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    if clean.shape[1] != perturbed.shape[1]:
        raise ValueError(f"models: {clean.shape[1]} clean, {perturbed.shape[1]} perturbed")
    if same_images and len(clean) != len(perturbed):
        raise ValueError(f"images: {len(clean)} clean, {len(perturbed)} perturbed; must be equal")
    generator = np.random.default_rng(seed)
    rho = np.empty(num_resamples)
    for first in range(0, num_resamples, _AT_ONCE):
        some = slice(first, min(first + _AT_ONCE, num_resamples))
        weights = np.empty((some.stop - first, len(clean)))
        others = weights if same_images else np.empty((len(weights), len(perturbed)))
        for row in range(len(weights)):
            weights[row] = _resample(generator, len(clean))
            if not same_images:
                others[row] = _resample(generator, len(perturbed))
        # Sums of whole numbers are exact, so they do not depend on machine or BLAS.
        rho[some] = spearman(weights @ clean, others @ perturbed)
    estimate = spearman(clean.sum(0), perturbed.sum(0))
    # If all models are equal in a resample, it has no ranking, hence no correlation.
    low, high = np.quantile(np.nan_to_num(rho), [0.025, 0.975])
    # Resampling adds noise, and noise lowers a correlation: an estimate near 1 can exceed all
    # resamples. The interval is widened to include it; its lower end is conservative.
    return Estimate(float(estimate), float(min(low, estimate)), float(max(high, estimate)))


def _resample(generator: np.random.Generator, num_images: int) -> NDArray[np.int64]:
    """Return the number of draws of each image, (I,), in `num_images` draws with replacement."""
    drawn = generator.integers(num_images, size=num_images)
    return np.bincount(drawn, minlength=num_images)


def _centred_ranks(values: Values) -> Values:
    """Return the average ranks of (..., M) minus their mean."""
    below = (values[..., None, :] < values[..., :, None]).sum(-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(-1)
    ranks: Values = below + (equal - 1) / 2 - (values.shape[-1] - 1) / 2
    return ranks
