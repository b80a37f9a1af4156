"""Expected calibration error over bins of equal mass, its debiased form, and the bins.

References
----------
.. [1] Nguyen, O'Connor, "Posterior calibration and exploratory analysis for natural language
   processing models", EMNLP 2015: bins of equal mass.
.. [2] Roelofs et al., "Mitigating Bias in Calibration Error Estimation", AISTATS 2022.
.. [3] Kumar, Liang, Ma, "Verified Uncertainty Calibration", NeurIPS 2019: the correction of the
   bias. Theirs draws new accuracies; here their expectation is computed.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from perturb.experiments.confidence.intervals import (
    Estimate,
    Spread,
    ends,
    spread,
)
from perturb.experiments.confidence.predictions import Floats, Integers, Predictions

NUM_BINS = 15


@dataclass(frozen=True)
class Bins:
    """The bins that hold a prediction, by rising confidence.

    bin : of each prediction, the place of its bin in the other columns.
    number : of the bin among `NUM_BINS`, from 1.
    size : number of predictions.
    confidence, accuracy : means.
    error : standard error of accuracy - confidence, from the images of the bin.
    """

    bin: Integers
    number: Integers
    size: Integers
    confidence: Floats
    accuracy: Floats
    error: Floats

    @property
    def gap(self) -> Floats:
        """Accuracy minus confidence: negative where the model is overconfident."""
        return self.accuracy - self.confidence


def bins_of(of: Predictions, num_bins: int = NUM_BINS) -> Bins:
    """Return bins of equal mass; those of equal confidence share the bin of their mean rank."""
    middle = len(of) - (of.ties.start + of.ties.stop) / 2
    place = np.floor(num_bins * middle / len(of)).astype(np.int64)[of.ties.block]
    number, place = np.unique(place, return_inverse=True)
    size = np.bincount(place)
    confidence = np.bincount(place, weights=of.confidence) / size
    accuracy = np.bincount(place, weights=of.is_right) / size
    rest = of.is_right - of.confidence - (accuracy - confidence)[place]
    # Where few images of a bin err, the spread that is seen says less than the confidence itself.
    stated = np.bincount(place, weights=of.confidence * (1 - of.confidence))
    error = np.sqrt(np.maximum(_variances(of, place, rest, len(number)), stated)) / size
    return Bins(place, number + 1, size, confidence, accuracy, error)


def _variances(of: Predictions, place: Integers, rest: Floats, num_bins: int) -> Floats:
    """Return the variance of the sum of `rest` in each bin, from sums over images."""
    cell = of.image * num_bins + place
    shape = (of.num_images, num_bins)
    sums = np.bincount(cell, weights=rest, minlength=math.prod(shape)).reshape(shape)
    num_images = (np.bincount(cell, minlength=math.prod(shape)).reshape(shape) > 0).sum(axis=0)
    found: Floats = (sums**2).sum(axis=0) * num_images / np.maximum(1, num_images - 1)
    return found


def plain_calibration_error(bins: Bins) -> float:
    """Return the mean of |accuracy - confidence| over the bins, by their mass."""
    return float((bins.size * np.abs(bins.gap)).sum() / bins.size.sum())


def calibration_error(of: Predictions, bins: Bins) -> Estimate:
    """Return the expected calibration error without part of its bias, and its interval.

    The plain error of a bin is |gap|, too large by E|N(gap, error)| - |gap| if the true gap were
    the one seen; this is subtracted. A calibrated model keeps about half of its bias. So the lower
    end of the interval starts lower: from each bin whose gap is within three standard errors of
    zero, what a calibrated model would show there is subtracted.
    """
    weight = bins.size / bins.size.sum()
    plain = plain_calibration_error(bins)
    corrected = max(0.0, 2 * plain - float((weight * _mean_size(bins.gap, bins.error)).sum()))
    by_chance = np.where(np.abs(bins.gap) < 3 * bins.error, bins.error, 0.0)
    least = plain - float((weight * by_chance).sum()) * math.sqrt(2 / math.pi)
    found = _spread(of, bins)
    low, _ = ends(min(max(0.0, least), corrected), found, of.num_images)
    _, high = ends(corrected, found, of.num_images)
    return Estimate(corrected, low, high)


def _mean_size(mean: Floats, deviation: Floats) -> Floats:
    """Return E|x| of a normal variable x."""
    known = np.where(deviation > 0, deviation, 1.0)
    ratio = mean / known
    tail = deviation * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2)
    folded: Floats = tail + mean * (2 * special.ndtr(ratio) - 1)
    return np.where(deviation > 0, folded, np.abs(mean))


def _spread(of: Predictions, bins: Bins) -> Spread:
    direction = np.sign(bins.gap)[bins.bin]
    influence = direction * (of.is_right - of.confidence)
    return spread(influence - influence.mean(), of.image, of.num_images)
