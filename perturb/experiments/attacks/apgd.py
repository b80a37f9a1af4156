"""APGD: projected gradient steps whose size adapts to the loss.

Algorithm 1 of Croce and Hein [1]_ in the L-infinity ball: the step starts at twice epsilon, and at
certain checkpoints it is halved, and the search goes back to the best point, for the images whose
loss no longer rises.

Differences from the published code: an image is no longer attacked once its prediction is
incorrect; the checkpoints are the paper's for any number of steps (the code's equal them for 100
steps, but are denser for few); and the first step counts as a rise relative to the loss at the
start, not to 0.

B images, of which b are still predicted correctly, C channels, H W pixels, K classes.

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

from perturb.experiments.attacks import gradients

# Weight of a step's direction; fraction of rising steps below which the step is halved.
_NEW_DIRECTION = 0.75
_RISING_SHARE = 0.75


class LabelLoss(Protocol):
    """The objective to be increased, (b,)."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the objective of logits (b, K) and labels (b, n), the true class first."""


def apgd(
    classifier: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    loss: LabelLoss,
    start: Tensor,
    steps: int,
) -> Tensor:
    """Return the images after one run of APGD from a given start (Algorithm 1 of [1]_).

    Parameters
    ----------
    classifier : its weights are ``frozen``.
    images, start : float32 (B, 3, H, W); the start is clipped to the ball around the images.
    labels : int64 (B, n) for the loss; the first column is the true class.
    """
    # Memory format of the gradients of convolutions: mixed formats would cost more than the
    # arithmetic.
    images = images.contiguous(memory_format=torch.channels_last)
    lowest, highest = gradients.ball(images, epsilon)
    result = start.contiguous(memory_format=torch.channels_last).clamp(lowest, highest)
    state = _State.at(result, lowest, highest, labels, step_size=2 * epsilon)
    last_check = 0
    for step in range(steps + 1):
        if step > 0:
            state = state.moved(_NEW_DIRECTION if step > 1 else 1.0)
        logits, losses, gradient = gradients.loss_and_gradient(
            classifier, state.pixels, partial(loss, labels=state.labels)
        )
        gradients.check_finite(logits, gradient)
        is_correct = logits.argmax(dim=1) == state.labels[:, 0]
        result[state.rows[~is_correct]] = state.pixels[~is_correct]
        state = state.seen(losses, gradient).kept(is_correct)
        if len(state.rows) == 0:
            break
        if step in checkpoints(steps):
            state, last_check = state.adapted(step - last_check), step
    result[state.rows] = state.best
    return result.contiguous()


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
class _State:
    """State of APGD for b images: every field has one row per image."""

    rows: Tensor  # (b,) among the images of the run
    labels: Tensor  # (b, n)
    lowest: Tensor  # (b, 3, H, W), as all pixels and gradients
    highest: Tensor
    pixels: Tensor
    previous: Tensor
    gradient: Tensor
    best: Tensor  # where the loss was highest
    best_gradient: Tensor
    loss: Tensor  # (b,)
    best_loss: Tensor
    checked_loss: Tensor  # best_loss at the last checkpoint
    num_rises: Tensor  # since the last checkpoint
    was_halved: Tensor  # at the last checkpoint
    step_size: Tensor  # (b, 1, 1, 1)

    @classmethod
    def at(
        cls, start: Tensor, lowest: Tensor, highest: Tensor, labels: Tensor, *, step_size: float
    ) -> Self:
        """Return the state before the first gradient."""
        lacking = torch.full_like(start[:, 0, 0, 0], -torch.inf)
        return cls(
            rows=torch.arange(len(start), device=start.device),
            labels=labels,
            lowest=lowest,
            highest=highest,
            pixels=start.clone(),
            previous=start.clone(),
            gradient=torch.zeros_like(start),
            best=start.clone(),
            best_gradient=torch.zeros_like(start),
            loss=-lacking,  # the start is no rise
            best_loss=lacking,
            checked_loss=lacking,
            num_rises=torch.zeros_like(lacking),
            was_halved=torch.ones_like(lacking, dtype=torch.bool),
            step_size=torch.full_like(start[:, :1, :1, :1], step_size),
        )

    def kept(self, mask: Tensor) -> Self:
        """Return the state of the images in a mask."""
        if mask.all():
            return self
        return replace(self, **{f.name: getattr(self, f.name)[mask] for f in fields(self)})

    def moved(self, share: float) -> Self:
        """Return the state after a step, whose direction has weight `share`."""
        target = self.pixels + self.step_size * self.gradient.sign()
        target = target.clamp_(self.lowest, self.highest)
        pixels = self.pixels + (target - self.pixels) * share
        pixels += (self.pixels - self.previous) * (1 - share)
        return replace(self, pixels=pixels.clamp_(self.lowest, self.highest), previous=self.pixels)

    def seen(self, loss: Tensor, gradient: Tensor) -> Self:
        """Return the state with the loss and gradient at its current images."""
        is_better = loss > self.best_loss
        return replace(
            self,
            gradient=gradient,
            best=_chosen(is_better, self.pixels, self.best),
            best_gradient=_chosen(is_better, gradient, self.best_gradient),
            loss=loss,
            best_loss=loss.maximum(self.best_loss),
            num_rises=self.num_rises + (loss > self.loss),
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
            gradient=_chosen(is_stuck, self.best_gradient, self.gradient),
            checked_loss=self.best_loss,
            num_rises=torch.zeros_like(self.num_rises),
            was_halved=is_stuck,
            step_size=_chosen(is_stuck, self.step_size / 2, self.step_size),
        )


def _chosen(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Return `yes` where the mask (b,) is true, else `no`, each (b, ...)."""
    return torch.where(mask.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
