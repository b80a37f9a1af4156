"""Predictions of one model on one test set, as the measures of confidence read them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Predictions (N,), in an order that does not depend on that of files.

    image : number of the predicted image, 0 to `num_images` - 1. An image has several predictions
        if it was corrupted in several ways.
    confidence : probability of the predicted class.
    is_right : 1.0 or 0.0.
    loss : cross-entropy of the correct class [nat].
    """

    image: Integers
    confidence: Floats
    is_right: Floats
    loss: Floats

    def __len__(self) -> int:
        return len(self.image)

    @cached_property
    def num_images(self) -> int:
        """Number of predicted images."""
        return int(self.image.max()) + 1 if len(self) else 0

    @cached_property
    def ties(self) -> "Ties":
        """The predictions in blocks of equal confidence."""
        return Ties.of(self.confidence)

    def images_among(self, chosen: NDArray[np.bool_]) -> int:
        """Return the number of images with at least one of these predictions."""
        return int(np.count_nonzero(np.bincount(self.image[chosen], minlength=1)))


@dataclass(frozen=True)
class Ties:
    """Blocks of equal confidence, the most confident first.

    order : the predictions by falling confidence.
    block : of each prediction, the number of its block.
    start, stop : of each block, the number of predictions before it, and with it.
    """

    order: Integers
    block: Integers
    start: Integers
    stop: Integers

    @classmethod
    def of(cls, confidence: Floats) -> "Ties":
        """Return the blocks of some confidences."""
        order = np.argsort(-confidence, kind="stable")
        ordered = confidence[order]
        is_new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        block = np.empty(len(order), np.int64)
        block[order] = np.cumsum(is_new) - 1
        start = np.flatnonzero(is_new)
        return cls(order, block, start, np.append(start[1:], len(order)))

    def sums(self, values: Floats) -> Floats:
        """Return the sum of the values (N,) of each block."""
        return np.bincount(self.block, weights=values, minlength=len(self.start)).astype(float)


def ordered(image: Integers, variant: Integers, *columns: Floats) -> Predictions:
    """Return predictions in the order of images and variants; images are numbered from 0.

    Parameters
    ----------
    columns : confidence, is_right and loss.
    """
    order = np.lexsort((variant, image))
    sorted_image = image[order]
    is_new = np.concatenate([[False], sorted_image[1:] != sorted_image[:-1]])
    return Predictions(np.cumsum(is_new, dtype=np.int64), *(column[order] for column in columns))


@dataclass(frozen=True)
class Counts:
    """Right predictions k of n on each image, as the intervals of fractions need their sums."""

    k: int
    n: int
    kk: int
    kn: int
    nn: int
    images: int

    @classmethod
    def of(cls, image: Integers, is_right: Floats) -> "Counts":
        """Return the sums of some predictions."""
        n = np.bincount(image)
        k = np.bincount(image, weights=is_right).astype(np.int64)
        sums = (k.sum(), n.sum(), (k * k).sum(), (k * n).sum(), (n * n).sum(), (n > 0).sum())
        return cls(*map(int, sums))
