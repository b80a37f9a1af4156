"""Square: a random search with squares, which uses predictions and no gradient.

After Andriushchenko et al. [1]_; `squares.py` has the proposals in the ball of each norm.
Differences from the published code: draws, including the positions of squares, depend on an image's
key alone. An image stays as it is once its prediction is incorrect, and is left out from the next
stage on (`perturb.evaluation.spans`). The schedule, by which squares become smaller, is scaled to
the number of queries, as that code offers; AutoAttack does without, as does the standard set here.
In L2 each channel of a bump gets the length that this channel had in both windows, as in that code
and in AutoAttack's; torchattacks gives it the length over all channels. All of them then scale the
whole change to epsilon.

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
from perturb.experiments.attacks.norms import LINF, Norm
from perturb.experiments.attacks.running import best_after
from perturb.experiments.attacks.squares import SQUARES


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
    scheduled: int | None = None,
    norm: Norm = LINF,
) -> Tensor:
    """Return the images after a random search with squares, without gradients.

    The first query adds vertical stripes. Each further one moves a square, in each channel, to one
    end of the ball, and is kept if the margin of the true class decreases. In the L2 ball the first
    adds tiles of bumps, and further ones move change between windows.

    Parameters
    ----------
    classifier, images, targets, epsilon, keys : as of ``apgd_ce``, as are result and errors.
    queries : forward passes per image; published: 5,000.
    scheduled : queries of the whole schedule; published: 10,000. None is `queries`.
    """
    images, targets = checked(images, targets, epsilon)
    check_at_least_one(queries=queries)
    keys = checked_keys(keys, images)
    if epsilon == 0 or len(images) == 0:
        return images.clone()
    search = Search(classifier, epsilon, queries, seed, norm, scheduled)
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
    """The search, whose queries may be divided into stages.

    num_scheduled : queries after which squares are smallest; None for those of the search.
    """

    classifier: nn.Module
    epsilon: float
    num_queries: int
    seed: int
    norm: Norm = LINF
    num_scheduled: int | None = None

    @property
    def spans(self) -> list[range]:
        """The queries of each stage."""
        return spans(self.num_queries)

    def progress(self, query: int) -> float:
        """Return the fraction of the schedule at a query."""
        return query / (self.num_scheduled or self.num_queries)

    def started(self, images: Tensor, keys: Tensor) -> State:
        """Return the state before the first query."""
        best = SQUARES[self.norm.id](images, self.epsilon).first(self.seed, keys)
        infinite = torch.full_like(best[:, 0, 0, 0], torch.inf)
        return State(best, infinite, torch.zeros_like(infinite, dtype=torch.bool))

    def advanced(
        self, state: State, images: Tensor, targets: Tensor, keys: Tensor, queries: range
    ) -> tuple[State, Tensor]:
        """Return the state after some queries, and whether all logits were finite, bool ().

        An image whose prediction is incorrect after a query is kept as it is then.
        """
        squares = SQUARES[self.norm.id](images, self.epsilon)
        stream = random.stream_keys(self.seed, "square", keys)
        draws = random.uniform(stream, queries.stop * squares.num_draws)
        draws = draws.reshape(len(images), queries.stop, squares.num_draws)
        is_finite = torch.ones((), dtype=torch.bool, device=images.device)
        for query in queries:
            proposed = state.best
            if query > 0:
                proposed = squares.next(state.best, draws[:, query], self.progress(query))
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


def _margins(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the logit of the true class minus the highest other one, (B,)."""
    true = logits.gather(1, targets[:, None])
    others = logits.scatter(1, targets[:, None], -torch.inf)
    return true[:, 0] - others.amax(dim=1)
