"""Intervals of the measures of confidence: predictions of one image are one observation.

A measure gives each prediction its influence: how much the measure changes with the weight of that
prediction (the infinitesimal jackknife). Influences of the predictions on one image are added, and
the spread of these sums is the variance. The quantile is Student's; its degrees of freedom follow
from the kurtosis of the sums, because a variance that few images make is itself uncertain.

References
----------
.. [1] Jaeckel, "The Infinitesimal Jackknife", Bell Laboratories 1972.
.. [2] Satterthwaite, "An Approximate Distribution of Estimates of Variance Components", 1946.
.. [3] Agresti, Coull, "Approximate Is Better than 'Exact' for Interval Estimation of Binomial
   Proportions", American Statistician 52, 1998.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from perturb.experiments.confidence.predictions import Floats, Integers

#: Images added to a mean of values in [0, 1]: z^2, which makes a proportion's interval Wilson's.
ADDED = float(special.ndtri(0.975)) ** 2
#: Values whose relative deviation is below this are equal: shards have losses in single precision.
_SAME = 1e-6


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; all are NaN where the measure is undefined."""

    value: float
    low: float = math.nan
    high: float = math.nan


UNDEFINED = Estimate(math.nan)


@dataclass(frozen=True)
class Spread:
    """Sums over images of the squares and the fourth powers of their influences on a measure."""

    second: float
    fourth: float
    num_images: int

    @property
    def variance(self) -> float:
        """Variance of the measure; NaN for one image."""
        return (
            self.second * self.num_images / (self.num_images - 1)
            if self.num_images > 1
            else math.nan
        )


def spread(influence: Floats, image: Integers, num_images: int) -> Spread:
    """Return the spread of a measure over images.

    Parameters
    ----------
    influence : of each prediction; their mean is 0.
    image : whose prediction it is, 0 to `num_images` - 1.
    """
    squares = (np.bincount(image, weights=influence, minlength=num_images) / len(influence)) ** 2
    return Spread(float(squares.sum()), float((squares**2).sum()), num_images)


def _quantile(second: float, fourth: float, num_images: float, freedom: float) -> float:
    """Return the 97.5 % point in standard errors, for at most `freedom` degrees of freedom."""
    excess = fourth - second**2 / num_images
    found = 2 * second**2 / excess if excess > 0 else math.inf
    return float(special.stdtrit(min(max(found, 1.0), freedom), 0.975))


def bounded(value: float, found: Spread, num_images: int, added: float = ADDED) -> Estimate:
    """Return a measure in [0, 1] with the interval of `ends`."""
    return Estimate(value, *ends(value, found, num_images, added))


def ends(value: float, found: Spread, num_images: int, added: float = ADDED) -> tuple[float, float]:
    """Return both ends of an interval within [0, 1] that never has zero width.

    Images on which a measure happens to be 0 or 1 do not show how often others differ. So some
    images are added, half of them at 0 and half at 1, as Agresti and Coull do for a proportion.

    Parameters
    ----------
    num_images : that the value rests on.
    added : number of added images.
    """
    if found.num_images < 2:
        return math.nan, math.nan
    whole = num_images + added
    centre = (num_images * value + added / 2) / whole
    second = num_images**2 * found.variance + num_images * value**2 + added / 2
    variance = max(0.0, second / whole - centre**2) / whole
    fourth = num_images**4 * found.fourth + added / 2 * (centre**4 + (1 - centre) ** 4)
    quantile = _quantile(variance * whole**2, fourth, whole, found.num_images - 1)
    reach = quantile * math.sqrt(variance)
    # The value itself lies within, also where the added images move the centre.
    return max(0.0, min(value, centre - reach)), min(1.0, max(value, centre + reach))


def positive(value: float, found: Spread) -> Estimate:
    """Return a measure of 0 or more, with an interval that is symmetric in its logarithm.

    Equal values on all images do not show how far others may be, and no bound does: no interval.
    """
    if value <= 0 or found.num_images < 2:
        return Estimate(value)
    if math.sqrt(found.second * found.num_images) < _SAME * value:
        return Estimate(value)
    quantile = _quantile(found.second, found.fourth, found.num_images, found.num_images - 1)
    factor = math.exp(quantile * math.sqrt(found.variance) / value)
    return Estimate(value, value / factor, value * factor)
