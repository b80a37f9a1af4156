"""Straight lines through the accuracies of models on probit axes, and how far a model is off.

Effective robustness is the accuracy on a perturbed test set minus that which the clean accuracy
predicts. The prediction is a straight line through the other models on probit axes. Differences
from Taori et al. (NeurIPS 2020), who fit 204 published models on logit axes: the models are those
of the study, a model is never in its own baseline, the axes are those of Miller et al. (ICML 2021),
and the line is that of probit regression, which an accuracy of 0 does not bend.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import norm

from perturb.experiments.effective_robustness.lines import Line, line_through

Values = np.ndarray

#: A line through fewer models says more about these than about others.
LEAST_MODELS = 5
#: Fewer that are right on some perturbed images and wrong on some leave the slope open.
LEAST_BETWEEN = 3


@dataclass(frozen=True)
class Fit:
    """The effective robustness of models on one test set.

    estimate : accuracy minus predicted accuracy, (M,); NaN without a baseline, and of a model that
        has no place on the axis: right on all clean images, or on none.
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
    entries : number of each model's entry, (M,). Runs of one entry have the weight of one model
        together; none is in the baseline of another.
    """
    accuracy, y = clean.mean(axis=0), perturbed.mean(axis=0)
    x = ndtri(clipped(accuracy, len(clean)))
    is_placed = _is_between(accuracy)
    is_baseline = (entries != entries[:, None]) & is_placed & is_placed[:, None]
    lines = [_line(x, y, entries, others) for others in is_baseline]
    at = np.array([line.intercept + line.slope * own for line, own in zip(lines, x, strict=True)])
    by_x, by_y = (
        np.array([of[0] + of[1] * own for of, own in zip(part, x, strict=True)])
        for part in ([line.of_x for line in lines], [line.of_y for line in lines])
    )
    own, density = np.eye(len(x)), norm.pdf(at)[:, None]
    by_x += np.array([line.slope for line in lines])[:, None] * own
    through_all = _line(x, y, entries, is_placed)
    return Fit(
        estimate=y - ndtr(at),
        predicted=ndtr(at),
        num_baseline=np.array(
            [_count(entries[others]) for others in is_baseline & np.isfinite(at)[:, None]]
        ),
        intercept=through_all.intercept,
        slope=through_all.slope,
        # Of the accuracy itself; the slope of a probit is one over the density.
        clean_influence=_weighted(clean - accuracy, -density * by_x / norm.pdf(x)),
        influence=_weighted(perturbed - y, own - density * by_y),
    )


def _line(x: Values, y: Values, entries: Values, chosen: Values) -> Line:
    """Return the line through some models; all its numbers are NaN if they are no baseline."""
    between = chosen & _is_between(y)
    is_enough = (
        _count(entries[chosen]) >= LEAST_MODELS and _count(entries[between]) >= LEAST_BETWEEN
    )
    if not is_enough or np.ptp(x[between]) < 1e-9:
        nothing = np.full((2, len(x)), np.nan)
        return Line(np.nan, np.nan, nothing, nothing)
    num_runs = (entries == entries[chosen][:, None]).sum(axis=0)
    return line_through(x, y, np.where(chosen, 1 / np.maximum(1, num_runs), 0.0))


def _is_between(accuracy: Values) -> Values:
    between: Values = (accuracy > 0) & (accuracy < 1)
    return between


def _count(entries: Values) -> int:
    return len(np.unique(entries))


def _weighted(values: Values, weights: Values) -> Values:
    """Return weighted sums over models, (I, M); the order of the sum depends on no thread."""
    sums: Values = np.einsum("ij,mj->im", values, weights)
    return sums
