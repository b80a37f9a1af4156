"""APGD: projected gradient steps whose size adapts to the loss.

Algorithm 1 of Croce and Hein [1]_ in the L-infinity or the L2 ball: the step starts at twice
epsilon, and at certain checkpoints it is halved, and the search goes back to the best point, for
the images whose loss no longer rises. Steps follow the gradient's sign, or in L2 the gradient
divided by its length.

Differences from the published code: an image stays as it is once its prediction is incorrect, and
is left out from the next stage on (`perturb.evaluation.spans`); the checkpoints are the
paper's for any number of steps (the code's equal them for 100 steps, but are denser for few); and
the first step counts as a rise relative to the loss at the start, not to 0.

B images, C channels, H W pixels, K classes.

References
----------
.. [1] Croce, Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
   Parameter-free Attacks", ICML 2020.
"""

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from perturb.evaluation.spans import spans
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.norms import LINF, Ball, Norm
from perturb.experiments.attacks.running import best_after

# Weight of a step's direction; fraction of rising steps below which the step is halved.
_NEW_DIRECTION = 0.75
_RISING_SHARE = 0.75


class LabelLoss(Protocol):
    """The objective to be increased, (B,)."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the objective of logits (B, K) and labels (B, n), the true class first."""


def apgd(
    classifier: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    loss: LabelLoss,
    start: Tensor,
    steps: int,
    norm: Norm = LINF,
) -> Tensor:
    """Return the images after one run of APGD from a given start (Algorithm 1 of [1]_).

    Parameters
    ----------
    classifier : its weights are ``frozen``.
    images, start : float32 (B, 3, H, W); the start is clipped to the ball around the images.
    labels : int64 (B, n) for the loss; the first column is the true class.
    """
    run = Run(classifier, epsilon, loss, steps, norm)
    return best_after(run, run.started(images, start), images, labels).contiguous()


@dataclass(frozen=True)
class Run:
    """One run of APGD, whose steps after the start may be divided into stages."""

    classifier: nn.Module
    epsilon: float
    loss: LabelLoss
    num_steps: int
    norm: Norm = LINF

    @property
    def spans(self) -> list[range]:
        """The steps of each stage; step 0 takes the gradient at the start."""
        return spans(self.num_steps + 1)

    def started(self, images: Tensor, start: Tensor) -> "State":
        """Return the state before step 0; the start is clipped to the ball around the images."""
        # Memory format of the gradients of convolutions: mixed formats would cost more than the
        # arithmetic.
        images, start = (
            part.contiguous(memory_format=torch.channels_last) for part in (images, start)
        )
        inside = self.norm.ball(images, self.epsilon).clip_(start.clone())
        return State.of(inside, 2 * self.epsilon, self.norm.direction_type)

    def advanced(
        self, state: "State", images: Tensor, labels: Tensor, steps: range
    ) -> tuple["State", Tensor]:
        """Return the state after some steps, and whether all values were finite, bool ().

        An image whose prediction is incorrect at the start or after a step is kept as it is then.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        ball = self.norm.ball(images, self.epsilon)
        is_finite = torch.ones((), dtype=torch.bool, device=images.device)
        checks = checkpoints(self.num_steps)
        for step in steps:
            if step > 0:
                state = state.moved(_NEW_DIRECTION if step > 1 else 1.0, ball)
            logits, losses, gradient = gradients.loss_and_gradient(
                self.classifier, state.pixels, partial(self.loss, labels=labels)
            )
            is_finite &= torch.isfinite(logits).all() & torch.isfinite(gradient.sum())
            is_misled = logits.argmax(dim=1) != labels[:, 0]
            state = state.seen(losses, self.norm.direction(gradient), is_misled)
            if step in checks:
                last = max((check for check in checks if check < step), default=0)
                state = state.adapted(step - last)
        return state, is_finite


def checkpoints(steps: int) -> tuple[int, ...]:
    """Return the steps after which step sizes are adapted.

    The first interval is 22 % of all steps; each next one is 3 % shorter, but at least 6 %.
    """
    percent, width, checks = 22, 22, []
    while percent <= 100:
        checks.append(-(-percent * steps // 100))  # rounded up, in whole numbers
        width = max(width - 3, 6)
        percent += width
    return tuple(checks)


@dataclass(frozen=True)
class State:
    """State of APGD for B images: every field has one row per image."""

    pixels: Tensor  # (B, 3, H, W)
    previous: Tensor
    direction: Tensor  # of a step, (B, 3, H, W): int8, the gradient's sign; L2: float32, length 1
    best: Tensor  # where the loss was highest, or the prediction incorrect
    best_direction: Tensor
    loss: Tensor  # (B,)
    best_loss: Tensor
    checked_loss: Tensor  # best_loss at the last checkpoint
    num_rises: Tensor  # since the last checkpoint
    was_halved: Tensor  # at the last checkpoint
    step_size: Tensor  # (B, 1, 1, 1)
    is_misled: Tensor  # (B,)

    @classmethod
    def of(cls, start: Tensor, step_size: float, direction_type: torch.dtype) -> Self:
        """Return the state before the first gradient."""
        lacking = torch.full_like(start[:, 0, 0, 0], -torch.inf)
        nowhere = torch.zeros_like(start, dtype=direction_type)
        return cls(
            pixels=start,
            previous=start,
            direction=nowhere,
            best=start,
            best_direction=nowhere,
            loss=-lacking,  # the start is no rise
            best_loss=lacking,
            checked_loss=lacking,
            num_rises=torch.zeros_like(lacking),
            was_halved=torch.ones_like(lacking, dtype=torch.bool),
            step_size=torch.full_like(start[:, :1, :1, :1], step_size),
            is_misled=torch.zeros_like(lacking, dtype=torch.bool),
        )

    def at(self, rows: Tensor) -> Self:
        """Return the state of some images."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def moved(self, share: float, ball: Ball) -> Self:
        """Return the state after a step in the ball, whose direction has weight `share`."""
        target = ball.clip_(self.pixels + self.step_size * self.direction)
        pixels = self.pixels + (target - self.pixels) * share
        pixels += (self.pixels - self.previous) * (1 - share)
        return replace(self, pixels=ball.clip_(pixels), previous=self.pixels)

    def seen(self, loss: Tensor, direction: Tensor, is_misled: Tensor) -> Self:
        """Return the state with the loss, next direction and verdict at its current images."""
        # What was best stays so once the prediction is incorrect.
        is_better = ~self.is_misled & (is_misled | (loss > self.best_loss))
        return replace(
            self,
            direction=direction,
            best=_chosen(is_better, self.pixels, self.best),
            best_direction=_chosen(is_better, direction, self.best_direction),
            loss=loss,
            best_loss=loss.maximum(self.best_loss),
            num_rises=self.num_rises + (loss > self.loss),
            is_misled=self.is_misled | is_misled,
        )

    def adapted(self, num_steps: int) -> Self:
        """Return the state after a checkpoint, `num_steps` after the last one.

        The step is halved and continues from the best point if the loss rose too rarely, or if the
        best loss equals that of the last checkpoint at the same step size.
        """
        is_stuck = self.num_rises <= _RISING_SHARE * num_steps
        is_stuck |= ~self.was_halved & (self.best_loss <= self.checked_loss)
        return replace(
            self,
            pixels=_chosen(is_stuck, self.best, self.pixels),
            direction=_chosen(is_stuck, self.best_direction, self.direction),
            checked_loss=self.best_loss,
            num_rises=torch.zeros_like(self.num_rises),
            was_halved=is_stuck,
            step_size=_chosen(is_stuck, self.step_size / 2, self.step_size),
        )


def _chosen(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Return `yes` where the mask (B,) is true, else `no`, each (B, ...)."""
    return torch.where(mask.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
