"""Sums over images of what every two models do differently, from products of matrices.

The powers of a difference expand into products of the powers of both values: with one matrix
product for each kind, 1,770 pairs of 60 models cost about as much as a few models.

Legend: I images, M models.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Whole numbers up to this are exact in double precision, and so are their sums in any order.
_EXACT = 2.0**53
_BLOCK = 8192  # images of a product


@dataclass(frozen=True)
class PairSums:
    """Sums of d, d^2 and d^4 over images, the first value minus the second; (M, M)."""

    d1: Values
    d2: Values
    d4: Values


def pair_sums(values: Values) -> PairSums:
    """Return the sums of every two columns of values (I, M).

    Whole numbers give exact sums. Others give sums whose order does not depend on threads.
    """
    squares = values**2
    cubes = squares * values
    product = _exact_product if _is_exact(values) else _ordered_product
    first, second, fourth = (power.sum(axis=0) for power in (values, squares, squares**2))
    crossed = product(cubes, values)
    d2 = second[:, None] + second - 2 * product(values, values)
    d4 = fourth[:, None] + fourth - 4 * (crossed + crossed.T) + 6 * product(squares, squares)
    return PairSums(first[:, None] - first, np.maximum(d2, 0), np.maximum(d4, 0))


def _is_exact(values: Values) -> bool:
    """Return whether all sums of fourth powers of differences are exact."""
    most = np.abs(values).max(initial=0)
    return bool(16 * most**4 * len(values) < _EXACT and (values == np.rint(values)).all())


def _exact_product(one: Values, other: Values) -> Values:
    sums: Values = np.zeros((one.shape[1], other.shape[1]))
    for start in range(0, len(one), _BLOCK):
        sums += one[start : start + _BLOCK].T @ other[start : start + _BLOCK]
    return sums


def _ordered_product(one: Values, other: Values) -> Values:
    sums: Values = np.einsum("im,in->mn", one, other)
    return sums
