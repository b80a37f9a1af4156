"""Scores of single predictions, and how well confidence tells right predictions from wrong ones.

References
----------
.. [1] Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950.
.. [2] Hendrycks, Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples
   in Neural Networks", ICLR 2017.
.. [3] Geifman, El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017.
.. [4] DeLong, DeLong, Clarke-Pearson, Biometrics 44, 1988; Obuchowski, Biometrics 53, 1997.
"""

import numpy as np

from perturb.experiments.confidence.intervals import (
    UNDEFINED,
    Estimate,
    bounded,
    positive,
    spread,
)
from perturb.experiments.confidence.predictions import Floats, Predictions

#: Half the range of ranks from which the accuracy at a threshold is read, as a fraction of all.
_WINDOW = 1 / 30


def mean_confidence(of: Predictions) -> Estimate:
    """Return the mean confidence."""
    return _mean(of, of.confidence)


def brier_score(of: Predictions) -> Estimate:
    """Return the top-label Brier score: the mean of (confidence - is_right)^2."""
    return _mean(of, (of.confidence - of.is_right) ** 2)


def log_loss(of: Predictions) -> Estimate:
    """Return the negative log-likelihood of the correct class: the mean loss [nat]."""
    value = float(of.loss.mean())
    return positive(value, spread(of.loss - value, of.image, of.num_images))


def _mean(of: Predictions, scores: Floats) -> Estimate:
    value = float(scores.mean())
    return bounded(value, spread(scores - value, of.image, of.num_images), of.num_images)


def auroc(of: Predictions) -> Estimate:
    """Return the probability that a right prediction is more confident than a wrong one.

    Equal confidence counts half. It is undefined if all predictions are right, or all wrong.
    """
    num_right = float(of.is_right.sum())
    num_wrong = len(of) - num_right
    if num_right == 0 or num_wrong == 0:
        return UNDEFINED
    right, size = of.ties.sums(of.is_right), of.ties.stop - of.ties.start
    right_above, wrong = np.cumsum(right) - right, size - right
    wrong_below = num_wrong - np.cumsum(wrong)
    beaten = (wrong_below + wrong / 2) / num_wrong  # by a right prediction of the block
    beating = (right_above + right / 2) / num_right  # a wrong prediction of the block
    value = float((right * beaten).sum() / num_right)
    is_right = of.is_right == 1
    influence = np.where(
        is_right,
        (beaten[of.ties.block] - value) * len(of) / num_right,
        (beating[of.ties.block] - value) * len(of) / num_wrong,
    )
    found = spread(influence, of.image, of.num_images)
    num_images = min(of.images_among(is_right), of.images_among(~is_right))
    return bounded(value, found, num_images, added=1)


def aurc(of: Predictions) -> Estimate:
    """Return the area under the curve of risk over coverage.

    The mean over k = 1, ..., N of the error of the k most confident predictions. Predictions of
    equal confidence are in random order, and the expectation over these orders is returned.
    """
    ties, wrong = of.ties, 1 - of.is_right
    # The prediction of rank r is among the k most confident for each k of r or more.
    weights = np.cumsum((1 / np.arange(1, len(of) + 1))[::-1])[::-1]
    through = np.append(0.0, np.cumsum(weights))
    weight = (through[ties.stop] - through[ties.start]) / (ties.stop - ties.start)
    wrongs = ties.sums(wrong)
    value = float((wrongs * weight).sum() / len(of))
    # A further prediction pushes the less confident ones down.
    pushed = np.cumsum((wrongs / ties.stop)[::-1])[::-1]
    own = wrong * weight[ties.block] - value
    influence = own - (pushed[ties.block] - float(wrong.mean()))
    return bounded(value, spread(influence, of.image, of.num_images), of.num_images)


def selective_error(of: Predictions, coverage: float) -> Estimate:
    """Return the error of the most confident predictions, a fraction `coverage` of all.

    Of predictions of equal confidence at the threshold, those in random order.
    """
    ties, wrong = of.ties, 1 - of.is_right
    num_kept = coverage * len(of)
    through = np.append(0, ties.stop)
    before = np.append(0.0, np.cumsum(ties.sums(wrong)))
    value = float(np.interp(num_kept, through, before)) / num_kept
    kept = np.clip((num_kept - ties.start) / (ties.stop - ties.start), 0, 1)[ties.block]
    edges = np.clip(num_kept + np.array([-1, 1]) * max(1, _WINDOW * len(of)), 0, len(of))
    at_threshold = float(np.diff(np.interp(edges, through, before))[0] / np.diff(edges)[0])
    if coverage == 1:  # there is no threshold
        at_threshold = 0.0
    influence = kept * (wrong - at_threshold) / coverage + at_threshold - value
    found = spread(influence, of.image, of.num_images)
    return bounded(value, found, of.images_among(kept > 0))
