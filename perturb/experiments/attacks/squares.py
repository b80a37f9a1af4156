"""Proposals of the Square attack: the first image, and each further one from the best so far.

In the L-infinity ball a proposal moves a random square, in each channel, to one end of the ball. In
the L2 ball it moves change from one window to another: the second window is cleared, and the first
gets a bump of either sign beside what it has, of the length that both windows had together and
that epsilon leaves.

B images, C channels, H W pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol, Self

import torch
from torch import Tensor

from perturb import random
from perturb.experiments.attacks.balls import ball
from perturb.experiments.attacks.norms import L2, LINF, Ball

# Queries of the published schedule; fraction of the pixels in the first square, and the queries of
# that schedule after which this fraction is halved.
SCHEDULE = 10_000
_FIRST_SHARE = 0.8
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
# Of the L2 ball: tiles along a side of the first image, and the smallest side of a window, in px.
_TILES = 5
_SMALLEST_WINDOW = 3
_SMALLEST = 1e-12  # below which a length counts as 0


class Squares(Protocol):
    """Proposals in the ball of some norm around B images."""

    @property
    def num_draws(self) -> int:
        """The number of draws that a proposal takes."""

    def first(self, seed: int, keys: Tensor) -> Tensor:
        """Return the first proposal, (B, C, H, W), from keys (B,)."""

    def next(self, best: Tensor, draws: Tensor, progress: float) -> Tensor:
        """Return the proposal after the best images so far, both (B, C, H, W).

        Parameters
        ----------
        draws : uniform (B, num_draws).
        progress : the fraction of the schedule's queries made.
        """


@dataclass(frozen=True)
class LinfSquares:
    """Squares at the ends of the L-infinity ball."""

    images: Tensor
    ends: tuple[Tensor, Tensor]  # lowest and highest pixels, each (B, C, H, W)

    @classmethod
    def of(cls, images: Tensor, epsilon: float) -> Self:
        """Return the proposals around some images."""
        return cls(images, ball(images, epsilon))

    @property
    def num_draws(self) -> int:
        """Two for the place, and one for each channel."""
        return 2 + self.images.shape[1]

    def first(self, seed: int, keys: Tensor) -> Tensor:
        """Return vertical stripes."""
        B, C, _, W = self.images.shape
        signs = random.uniform(random.stream_keys(seed, "square/stripes", keys), C * W)
        return self._at_ends(signs.reshape(B, C, 1, W))

    def next(self, best: Tensor, draws: Tensor, progress: float) -> Tensor:
        """Return the best images with a square at one end of the ball in each channel."""
        H, W = self.images.shape[2:]
        mask = _window(draws[:, :2], max(1, round(_side(H, W, progress))), H, W)
        return torch.where(mask, self._at_ends(draws[:, 2:, None, None]), best)

    def _at_ends(self, draws: Tensor) -> Tensor:
        """Return the lower end where a draw is below 1/2, else the upper."""
        return torch.where(draws < 0.5, *self.ends)


@dataclass(frozen=True)
class L2Squares:
    """Bumps of a total length of epsilon."""

    images: Tensor
    epsilon: float
    ball: Ball

    @classmethod
    def of(cls, images: Tensor, epsilon: float) -> Self:
        """Return the proposals around some images."""
        return cls(images, epsilon, L2.ball(images, epsilon))

    @property
    def num_draws(self) -> int:
        """Two for the place of each window, one for the bump's axis, and one for each channel."""
        return 5 + self.images.shape[1]

    def first(self, seed: int, keys: Tensor) -> Tensor:
        """Return tiles with a bump each."""
        B, C, H, W = self.images.shape
        side = max(1, min(H, W) // _TILES)
        tall, wide = H // side, W // side
        stream = random.stream_keys(seed, "square/tiles", keys)
        draws = random.uniform(stream, tall * wide * (1 + C)).reshape(-1, 1 + C)
        tiles = _bumps(draws, side).reshape(B, tall, wide, C, side, side)
        top, left = (H - side * tall) // 2, (W - side * wide) // 2
        change = torch.zeros_like(self.images)
        inner = change[:, :, top : top + side * tall, left : left + side * wide]
        inner.copy_(tiles.permute(0, 3, 1, 4, 2, 5).reshape(inner.shape))
        return self._scaled(change)

    def next(self, best: Tensor, draws: Tensor, progress: float) -> Tensor:
        """Return the best images with change moved from one window to another."""
        B, C, H, W = self.images.shape
        side = max(round(_side(H, W, progress)), _SMALLEST_WINDOW)
        side = min(side + 1 - side % 2, H, W)
        change = best - self.images
        cleared = _window(draws[:, 2:4], side, H, W)
        both = cleared | _window(draws[:, :2], side, H, W)
        unused = (self.epsilon**2 - change.square().sum(dim=(1, 2, 3), keepdim=True)).clamp(min=0)
        lengths = ((change * both).square().sum(dim=(2, 3), keepdim=True) + unused / C).sqrt()
        rows, columns = _first(draws[:, 0], side, H), _first(draws[:, 1], side, W)
        steps = torch.arange(side, device=best.device)
        at = (  # the first window of each image, (B, C, side, side)
            torch.arange(B, device=best.device)[:, None, None, None],
            torch.arange(C, device=best.device)[:, None, None],
            (rows + steps)[:, None, :, None],
            (columns + steps)[:, None, None, :],
        )
        moved = _unit(_bumps(draws[:, 4:], side) + _unit(change[at])) * lengths
        change = change.masked_fill(cleared, 0).index_put(at, moved)
        return self._scaled(change)

    def _scaled(self, change: Tensor) -> Tensor:
        """Return the images after a change in its direction, of length epsilon within [0, 1]."""
        moves = change * (self.epsilon / (L2.size(change) + _SMALLEST))[:, None, None, None]
        return self.ball.clip_(self.images + moves)


SQUARES: Mapping[str, Callable[[Tensor, float], Squares]] = {
    LINF.id: LinfSquares.of,
    L2.id: L2Squares.of,
}


def _side(height: int, width: int, progress: float) -> float:
    """Return the side of a square [px], whose area is halved as queries are made."""
    num_halvings = sum(SCHEDULE * progress > after for after in _HALVINGS)
    return float((_FIRST_SHARE / 2**num_halvings * height * width) ** 0.5)


def _first(draws: Tensor, side: int, length: int) -> Tensor:
    """Return the first row or column of a square, (B, 1), from uniform draws (B,)."""
    return (draws * (max(length - side, 0) + 1)).long()[:, None]


def _window(draws: Tensor, side: int, height: int, width: int) -> Tensor:
    """Return masks of one square per image, bool (B, 1, H, W), from uniform draws (B, 2)."""
    insides = []
    for draw, length in zip(draws.unbind(dim=1), (height, width), strict=True):
        first = _first(draw, side, length)
        places = torch.arange(length, device=draws.device)
        insides.append((places >= first) & (places < first + side))  # (B, length)
    return insides[0][:, None, :, None] & insides[1][:, None, None, :]


def _unit(moves: Tensor) -> Tensor:
    """Return each channel divided by its length, (B, C, s, s)."""
    lengths: Tensor = torch.linalg.vector_norm(moves, dim=(2, 3), keepdim=True)
    return moves / (lengths + _SMALLEST)


def _bumps(draws: Tensor, side: int) -> Tensor:
    """Return a bump of length 1 in each channel, (b, C, side, side).

    Parameters
    ----------
    draws : uniform (b, 1 + C): whether its halves lie side by side, and the sign in each channel.
    """
    bump = _bump(side, draws.device)
    turned = torch.where(draws[:, :1, None] < 0.5, bump, bump.T)
    signs = torch.where(draws[:, 1:] < 0.5, -1.0, 1.0)
    return turned[:, None] * signs[:, :, None, None]


@cache
def _bump(side: int, device: torch.device) -> Tensor:
    """Return a hill above a hollow, of length 1 together, (side, side)."""
    above = side // 2
    hollow = _hill(side - above, side, device)
    bump = torch.cat([_hill(above, side, device), -hollow]) if above else -hollow
    length: Tensor = torch.linalg.vector_norm(bump)
    return bump / length


def _hill(height: int, width: int, device: torch.device) -> Tensor:
    """Return values that fall in square rings from the middle, of length 1, (height, width).

    In the ring at distance m they are the sum of 1 / j^2 over j from m + 1 to half the longer side.
    """
    rows, columns = (
        (torch.arange(length, device=device) - length // 2).abs() for length in (height, width)
    )
    rings = torch.maximum(rows[:, None], columns)
    terms = 1 / torch.arange(1, max(height, width) // 2 + 2, device=device).square()
    heights = terms.flip(0).cumsum(0).flip(0)[rings]
    length: Tensor = torch.linalg.vector_norm(heights)
    return heights / length
