"""Straight lines through the accuracies of models on probit axes, and how far a model is off.

Effective robustness is the accuracy on a perturbed test set minus that which the clean accuracy
predicts. The prediction is a straight line through the other models on probit axes. Differences
from Taori et al. (NeurIPS 2020), who fit 204 published models on logit axes: the models are those
of the study, a model is never in its own baseline, and the axes are those of Miller et al. (ICML
2021).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import norm

Values = np.ndarray

#: A line through fewer models says more about these than about others.
LEAST_MODELS = 5


@dataclass(frozen=True)
class Fit:
    """The effective robustness of models on one test set.

    estimate : accuracy minus predicted accuracy, (M,); NaN without a baseline.
    predicted : accuracy that the baseline has at the model's clean accuracy, (M,).
    num_baseline : entries in the baseline, (M,).
    intercept, slope : of the line through all entries, on probit axes.
    clean_influence, influence : what each clean image (I, M) and each perturbed image (J, M) adds
        to the estimate; each has the mean zero.
    """

    estimate: Values
    predicted: Values
    num_baseline: Values
    intercept: float
    slope: float
    clean_influence: Values
    influence: Values


def clipped(accuracy: Values, num_images: int | Values) -> Values:
    """Return accuracies at least half an image away from 0 and 1, where probits are infinite."""
    edge = 0.5 / num_images
    inside: Values = np.clip(accuracy, edge, 1 - edge)
    return inside


def fit(clean: Values, perturbed: Values, entries: Values) -> Fit:
    """Return the effective robustness of each model.

    Parameters
    ----------
    clean : fraction of the predictions on each clean image that are right, (I, M).
    perturbed : the same on each perturbed image, (J, M).
    entries : number of each model's entry, (M,). Runs of one entry are one model, which has the
        means of their probits; none is in the baseline of another.
    """
    x, y = (ndtri(clipped(part.mean(axis=0), len(part))) for part in (clean, perturbed))
    is_run = entries == np.unique(entries)[:, None]
    runs = is_run / is_run.sum(axis=1, keepdims=True)  # the weight of each model in its entry
    entry_x, entry_y = _weighted(np.stack([x, y]), runs)
    is_baseline = ~is_run.T
    is_baseline &= is_baseline.sum(axis=1, keepdims=True) >= LEAST_MODELS
    lines = [_line(entry_x, entry_y, *one) for one in zip(x, is_baseline, strict=True)]
    at, slopes, by_x, by_y = (np.array(part) for part in zip(*lines, strict=True))
    predicted, density = ndtr(at), norm.pdf(at)[:, None]
    own = np.eye(len(x))
    by_x, by_y = _weighted(by_x, runs.T) + slopes[:, None] * own, _weighted(by_y, runs.T)
    # Of the accuracies themselves; the slope of a probit is one over the density.
    of_clean = -density * by_x / norm.pdf(x)
    of_perturbed = own - density * by_y / norm.pdf(y)
    intercept, slope = _through_all(entry_x, entry_y)
    return Fit(
        estimate=perturbed.mean(axis=0) - predicted,
        predicted=predicted,
        num_baseline=is_baseline.sum(axis=1),
        intercept=intercept,
        slope=slope,
        clean_influence=_weighted(clean - clean.mean(axis=0), of_clean),
        influence=_weighted(perturbed - perturbed.mean(axis=0), of_perturbed),
    )


def _line(
    x: Values, y: Values, own_x: float, others: Values
) -> tuple[float, float, Values, Values]:
    """Return a baseline's value at a model's x, its slope, and its derivatives by all x and y."""
    nothing = np.full(len(x), np.nan)
    mean_x, mean_y = (part[others].mean() if others.any() else np.nan for part in (x, y))
    dx, dy = np.where(others, x - mean_x, 0), np.where(others, y - mean_y, 0)
    spread = (dx**2).sum()
    if not others.any() or spread < 1e-12:
        return np.nan, np.nan, nothing, nothing
    slope = (dx * dy).sum() / spread
    away = own_x - mean_x
    by_y = np.where(others, 1 / others.sum(), 0) + away * dx / spread
    by_x = -slope * by_y + away * np.where(others, dy - slope * dx, 0) / spread
    return mean_y + slope * away, slope, by_x, by_y


def _through_all(x: Values, y: Values) -> tuple[float, float]:
    dx = x - x.mean()
    spread = (dx**2).sum()
    if spread < 1e-12:
        return np.nan, np.nan
    slope = float((dx * y).sum() / spread)
    return float(y.mean() - slope * x.mean()), slope


def _weighted(values: Values, weights: Values) -> Values:
    """Return weighted sums over models, (I, M); the order of the sum depends on no thread."""
    sums: Values = np.einsum("ij,mj->im", values, weights)
    return sums
