"""The norms that limit adversarial changes: L-infinity and L2, each with its ball.

B images, C channels, H W pixels.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from perturb import random
from perturb.experiments.attacks.balls import ball, noise
from perturb.messages import listed

_SMALLEST = 1e-12  # below which a length counts as 0


class Ball(Protocol):
    """The points in [0, 1] that are no further than epsilon from each of B images."""

    def clip_(self, points: Tensor) -> Tensor:
        """Bring points (B, C, H, W) into the ball, in place, and return them."""

    def contains(self, points: Tensor) -> Tensor:
        """Return which points in [0, 1] are in the ball, bool (B,)."""


class Norm(Protocol):
    """A norm of changes of images.

    id : its name in options.
    """

    @property
    def id(self) -> str:
        """The name."""

    @property
    def direction_type(self) -> torch.dtype:
        """The type of directions."""

    def size(self, moves: Tensor) -> Tensor:
        """Return the norm of each move, (B,)."""

    def ball(self, images: Tensor, epsilon: float) -> Ball:
        """Return the ball around each image."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the move of norm 1 along which a linear function of this gradient rises most.

        It is 0 where the gradient is 0.
        """

    def random_move(self, keys: Tensor, images: Tensor) -> Tensor:
        """Return a move of norm 1 per image, drawn from its key (B,) alone."""


@dataclass(frozen=True)
class _LinfBall:
    lowest: Tensor
    highest: Tensor

    def clip_(self, points: Tensor) -> Tensor:
        return points.clamp_(self.lowest, self.highest)

    def contains(self, points: Tensor) -> Tensor:
        return ((points >= self.lowest) & (points <= self.highest)).flatten(1).all(dim=1)


@dataclass(frozen=True)
class _Linf:
    id: str = "Linf"
    direction_type: torch.dtype = torch.int8

    def size(self, moves: Tensor) -> Tensor:
        return moves.abs().amax(dim=(1, 2, 3))

    def ball(self, images: Tensor, epsilon: float) -> Ball:
        return _LinfBall(*ball(images, epsilon))

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient.sign().to(self.direction_type)

    def random_move(self, keys: Tensor, images: Tensor) -> Tensor:
        moves = noise(keys, images)
        moves /= moves.abs().amax(dim=(1, 2, 3), keepdim=True)
        return moves


@dataclass(frozen=True)
class _L2Ball:
    """The radius is shorter than epsilon by what rounding may add to a length."""

    images: Tensor
    epsilon: float

    @property
    def _radius(self) -> float:
        # A pixel in [0, 1] is rounded by at most 2^-25, the length itself by far less than 1e-6.
        rounding = 2**-25 * math.sqrt(self.images[0].numel())
        return max(self.epsilon * (1 - 1e-6) - rounding, 0)

    def clip_(self, points: Tensor) -> Tensor:
        # Moves into [0, 1] only shorten the distance from an image in [0, 1].
        moves = points.sub_(self.images)
        shares = (self._radius / (_length(moves) + _SMALLEST)).clamp_(max=1)
        return moves.mul_(shares).add_(self.images).clamp_(0, 1)

    def contains(self, points: Tensor) -> Tensor:
        return L2.size(points - self.images) <= self.epsilon * (1 - 1e-6)


@dataclass(frozen=True)
class _L2:
    id: str = "L2"
    direction_type: torch.dtype = torch.float32

    def size(self, moves: Tensor) -> Tensor:
        return _length(moves)[:, 0, 0, 0]

    def ball(self, images: Tensor, epsilon: float) -> Ball:
        return _L2Ball(images, epsilon)

    def direction(self, gradient: Tensor) -> Tensor:
        # Divided by the largest value first: squares of small gradients would be 0.
        largest = gradient.abs().amax(dim=(1, 2, 3), keepdim=True)
        scaled = gradient / torch.where(largest > 0, largest, 1)
        return scaled / (_length(scaled) + _SMALLEST)

    def random_move(self, keys: Tensor, images: Tensor) -> Tensor:
        moves = random.normal(keys, images[0].numel()).reshape(images.shape)
        return moves / _length(moves)


def _length(moves: Tensor) -> Tensor:
    """Return the Euclidean length of each move, (B, 1, 1, 1)."""
    lengths: Tensor = torch.linalg.vector_norm(moves, dim=(1, 2, 3), keepdim=True)
    return lengths


LINF: Norm = _Linf()
L2: Norm = _L2()
NORMS = {norm.id: norm for norm in (LINF, L2)}


def norm_of(id: str) -> Norm:
    """Return a norm; a ValueError for an unknown name."""
    if not isinstance(id, str) or id not in NORMS:
        raise ValueError(f"norm is {id!r}; allowed: {listed(NORMS)}")
    return NORMS[id]
