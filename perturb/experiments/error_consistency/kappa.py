"""Cohen's kappa of being right or wrong on the same images, and what each image adds to it.

Two deciders that err independently agree by chance as often as their accuracies say: kappa is 0.
It is 1 if they are right on the same images and wrong on the same. Follows Geirhos et al. (NeurIPS
2020), with the difference that several conditions of a test set are averaged for each pair, so that
conditions of unlike difficulty are never pooled: pooling makes any two deciders consistent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Values = np.ndarray


@dataclass(frozen=True)
class Consistency:
    """The consistency of one decider with each of several others, means over conditions; all (M,).

    kappa : NaN where both are always right or always wrong, in every condition.
    least, most : the bounds of kappa, given both accuracies.
    observed, expected : agreement, and that of independent errors.
    num_conditions : with a defined kappa; the means are over these.
    reach : the farthest that an image can take kappa, 1 / (1 - expected).
    influence : what each image adds to kappa, (I, M); the mean over images is zero.
    """

    kappa: Values
    least: Values
    most: Values
    observed: Values
    expected: Values
    num_conditions: Values
    reach: Values
    influence: Values


def consistencies(is_right: Values) -> Iterator[Consistency]:
    """Yield the consistency of each decider with those after it, in their order.

    Parameters
    ----------
    is_right : whether each decider is right on each image, bool (C, I, M), C conditions.
    """
    for place in range(is_right.shape[2]):
        yield _with_others(is_right[:, :, place], is_right[:, :, place + 1 :])


def _with_others(one: Values, others: Values) -> Consistency:
    """Return the consistency of one decider (C, I) with others (C, I, M)."""
    num_conditions, num_images, num_others = others.shape
    p, q = one.mean(axis=1)[:, None], others.mean(axis=1)
    observed = (one[:, :, None] == others).mean(axis=1)
    expected = p * q + (1 - p) * (1 - q)
    left = 1 - expected
    is_defined = left > 1e-12
    weight = is_defined / np.maximum(1, is_defined.sum(axis=0))
    left = np.where(is_defined, left, 1)

    def mean(values: Values) -> Values:
        averaged: Values = np.where(is_defined.any(axis=0), (weight * values).sum(axis=0), np.nan)
        return averaged

    influence = np.zeros((num_images, num_others))
    for at in range(num_conditions):
        a, b = one[at, :, None].astype(float), others[at].astype(float)
        by_observed = (a == b) - observed[at]
        by_expected = (2 * q[at] - 1) * (a - p[at]) + (2 * p[at] - 1) * (b - q[at])
        share = (1 - observed[at]) / left[at]
        influence += weight[at] / left[at] * (by_observed - share * by_expected)
    return Consistency(
        kappa=mean((observed - expected) / left),
        least=mean((np.abs(p + q - 1) - expected) / left),
        most=mean((1 - np.abs(p - q) - expected) / left),
        observed=mean(observed),
        expected=mean(expected),
        num_conditions=is_defined.sum(axis=0),
        reach=mean(1 / left),
        influence=influence,
    )
