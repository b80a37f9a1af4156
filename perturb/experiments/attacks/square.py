"""Square: a random search with squares of +-epsilon, which uses predictions and no gradient.

After Andriushchenko et al. [1]_. Differences from the published code: draws, including the
positions of squares, depend on an image's key alone, and the schedule is scaled to the number of
queries. An image stays as it is once its prediction is incorrect, and is left out from the next
stage on (`perturb.evaluation.spans`).

B images, C channels, H W pixels, K classes.

References
----------
.. [1] Andriushchenko, Croce, Flammarion, Hein, "Square Attack: a Query-efficient Black-box
   Adversarial Attack via Random Search", ECCV 2020.
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor, nn

from perturb import random
from perturb.evaluation.spans import spans
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.arguments import (
    check_at_least_one,
    checked,
    checked_keys,
)
from perturb.experiments.attacks.balls import ball
from perturb.experiments.attacks.running import best_after

# Fraction of the pixels in the first square, and the ten-thousandths of the queries after which
# this fraction is halved.
_FIRST_SHARE = 0.8
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@torch.inference_mode(False)
def square(
    classifier: nn.Module,
    images: Tensor,
    targets: Tensor,
    epsilon: float,
    *,
    keys: Tensor,
    seed: int = 0,
    queries: int = 100,
) -> Tensor:
    """Return the images after a random search with squares of +-epsilon, without gradients.

    The first query adds vertical stripes. Each further one moves a square, in each channel, to one
    end of the ball, and is kept if the margin of the true class decreases.

    Parameters
    ----------
    classifier, images, targets, epsilon, keys : as of ``apgd_ce``, as are result and errors.
    queries : forward passes per image; published: 5,000.
    """
    images, targets = checked(images, targets, epsilon)
    check_at_least_one(queries=queries)
    keys = checked_keys(keys, images)
    if epsilon == 0 or len(images) == 0:
        return images.clone()
    search = Search(classifier, epsilon, queries, seed)
    return best_after(search, search.started(images, keys), images, targets, keys)


@dataclass(frozen=True)
class State:
    """State of the search for B images: every field has one row per image."""

    best: Tensor  # (B, 3, H, W), where the margin was lowest, or the prediction incorrect
    margin: Tensor  # (B,), infinite before the first query
    is_misled: Tensor  # (B,)

    def at(self, rows: Tensor) -> Self:
        """Return the state of some images."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True)
class Search:
    """The search, whose queries may be divided into stages."""

    classifier: nn.Module
    epsilon: float
    num_queries: int
    seed: int

    @property
    def spans(self) -> list[range]:
        """The queries of each stage."""
        return spans(self.num_queries)

    def started(self, images: Tensor, keys: Tensor) -> State:
        """Return the state before the first query, which is of vertical stripes."""
        B, C, _, W = images.shape
        ends = ball(images, self.epsilon)
        signs = random.uniform(random.stream_keys(self.seed, "square/stripes", keys), C * W)
        best = _at_ends(signs.reshape(B, C, 1, W), ends)
        infinite = torch.full_like(best[:, 0, 0, 0], torch.inf)
        return State(best, infinite, torch.zeros_like(infinite, dtype=torch.bool))

    def advanced(
        self, state: State, images: Tensor, targets: Tensor, keys: Tensor, queries: range
    ) -> tuple[State, Tensor]:
        """Return the state after some queries, and whether all logits were finite, bool ().

        An image whose prediction is incorrect after a query is kept as it is then.
        """
        B, slots = len(images), 2 + images.shape[1]
        ends = ball(images, self.epsilon)
        stream = random.stream_keys(self.seed, "square", keys)
        draws = random.uniform(stream, queries.stop * slots).reshape(B, queries.stop, slots)
        is_finite = torch.ones((), dtype=torch.bool, device=images.device)
        for query in queries:
            proposed = state.best
            if query > 0:
                mask, signs = _square(draws[:, query], query / self.num_queries, images)
                proposed = torch.where(mask, _at_ends(signs, ends), state.best)
            logits = gradients.logits_of(self.classifier, proposed)
            is_finite &= torch.isfinite(logits).all()
            state = _seen(state, proposed, logits, targets)
        return state, is_finite


def _seen(state: State, proposed: Tensor, logits: Tensor, targets: Tensor) -> State:
    """Return the state with what a classifier says of proposed images."""
    margin = _margins(logits, targets)
    is_misled = logits.argmax(dim=1) != targets
    is_better = ~state.is_misled & (is_misled | (margin < state.margin))
    return State(
        best=torch.where(is_better[:, None, None, None], proposed, state.best),
        margin=torch.where(is_better, margin, state.margin),
        is_misled=state.is_misled | is_misled,
    )


def _at_ends(draws: Tensor, ends: tuple[Tensor, Tensor]) -> Tensor:
    """Return the lower end of each pixel's interval where a draw is below 1/2, else the upper."""
    return torch.where(draws < 0.5, *ends)


def _square(draws: Tensor, progress: float, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return masks of one square per image, bool (B, 1, H, W), and draws of its ends (B, C, 1, 1).

    Parameters
    ----------
    draws : uniform (B, 2 + C).
    progress : the fraction of the queries made.
    """
    H, W = images.shape[2:]
    num_halvings = sum(10_000 * progress > after for after in _HALVINGS)
    side = max(1, round((_FIRST_SHARE / 2**num_halvings * H * W) ** 0.5))
    insides = []
    for draw, length in zip(draws[:, :2].unbind(dim=1), (H, W), strict=True):
        last = max(length - side, 0)
        first = (draw * (last + 1)).long()[:, None]
        places = torch.arange(length, device=images.device)
        insides.append((places >= first) & (places < first + side))  # (B, length)
    mask = insides[0][:, None, :, None] & insides[1][:, None, None, :]
    return mask, draws[:, 2:, None, None]


def _margins(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the logit of the true class minus the highest other one, (B,)."""
    true = logits.gather(1, targets[:, None])
    others = logits.scatter(1, targets[:, None], -torch.inf)
    return true[:, 0] - others.amax(dim=1)
