"""The images that a network is trained on: stored, or made whenever a step needs them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Draw(NamedTuple):
    """What is drawn for a step: its images, int64 (B,), and how far each is moved, (2, B, 1)."""

    indices: Tensor
    moves: Tensor


class TrainingImages(Protocol):
    """Labelled images of one side: stored ones, or others that are made when they are needed."""

    @property
    def num_images(self) -> int:
        """Number of different images."""

    @property
    def num_classes(self) -> int:
        """One more than the highest target."""

    @property
    def side(self) -> int:
        """Side of the images [px]."""

    def batches(self, draws: Iterable[Draw]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield images uint8 (B, 3, H, W), targets int64 (B,) and moves of each draw, in order."""


@dataclass(frozen=True)
class LabelledImages:
    """Images uint8 (N, 3, H, W), in memory or memory-mapped, and targets int64 (N,)."""

    images: NDArray[np.uint8]
    targets: Tensor

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.targets)

    @property
    def num_classes(self) -> int:
        """One more than the highest target."""
        return int(self.targets.max()) + 1

    @property
    def side(self) -> int:
        """Side of the images [px]."""
        return int(self.images.shape[-1])

    def batches(self, draws: Iterable[Draw]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield copied images, targets and moves of each draw."""
        for indices, moves in draws:
            images = torch.from_numpy(self.images[indices.numpy()])
            yield images, self.targets[indices], moves


def no_moves(num_images: int) -> Tensor:
    """Return the moves that leave every image where it is."""
    return torch.zeros((2, num_images, 1), dtype=torch.int64)
