"""FAB: the nearest image on the other side of a linearised decision boundary, step by step.

The targeted form of the Fast Adaptive Boundary attack of Croce and Hein [1]_, with the parameters
of AutoAttack: each step projects the present point and the clean image onto the hyperplane where
the logits of the true class and of the target class, linearised, are equal; it goes a little beyond
both, and ends between them, the nearer to the clean image the further the present point is from the
hyperplane. Where a point is adversarial, the next step starts from a point nearer to the image.

FAB searches for the least change, whatever epsilon is. Here an image is done once an adversarial
point lies in its ball. Differences from the published code: projections are exact, not bisections
(`projections.py`); there is one start, the clean image; and nothing is drawn.

B images, C channels, H W pixels, K classes.

References
----------
.. [1] Croce, Hein, "Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack",
   ICML 2020.
"""

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn

from perturb.evaluation.spans import spans
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.norms import Norm
from perturb.experiments.attacks.projections import to_hyperplane

# Largest weight of the clean image's projection; length of a step relative to the way to the
# hyperplane; share of the change that is left by the step back.
_MOST_BIASED = 0.1
_OVERSHOOT = 1.05
_STEP_BACK = 0.9
_SMALLEST = 1e-8  # norm of a move, for the ratio of two


@dataclass(frozen=True)
class State:
    """State of FAB for B images: every field has one row per image."""

    pixels: Tensor  # (B, 3, H, W)
    best: Tensor  # an adversarial point in the ball, or else the clean image
    is_misled: Tensor  # (B,)

    def at(self, rows: Tensor) -> Self:
        """Return the state of some images."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def seen(
        self, pixels: Tensor, images: Tensor, is_adversarial: Tensor, is_within: Tensor
    ) -> Self:
        """Return the state after a step to some pixels, and a step back if they are adversarial.

        Parameters
        ----------
        is_adversarial, is_within : whether the pixels are predicted incorrectly, and whether they
            are in the ball, bool (B,).
        """
        is_found = is_adversarial & is_within
        is_first = (is_found & ~self.is_misled)[:, None, None, None]
        back = images + (pixels - images) * _STEP_BACK
        return replace(
            self,
            pixels=torch.where(is_adversarial[:, None, None, None], back, pixels),
            best=torch.where(is_first, pixels, self.best),
            is_misled=self.is_misled | is_found,
        )


@dataclass(frozen=True)
class Run:
    """One run of FAB towards one class per image, whose steps may be divided into stages."""

    classifier: nn.Module
    epsilon: float
    num_steps: int
    norm: Norm

    @property
    def spans(self) -> list[range]:
        """The steps of each stage."""
        return spans(self.num_steps)

    def started(self, images: Tensor) -> State:
        """Return the state before the first step, at the clean images."""
        return State(images, images, torch.zeros_like(images[:, 0, 0, 0], dtype=torch.bool))

    def advanced(
        self, state: State, images: Tensor, labels: Tensor, steps: range
    ) -> tuple[State, Tensor]:
        """Return the state after some steps, and whether all values were finite, bool ().

        Parameters
        ----------
        labels : int64 (B, 2), the true class and the target class.
        """
        ball = self.norm.ball(images, self.epsilon)
        is_finite = torch.ones((), dtype=torch.bool, device=images.device)
        for _ in steps:
            logits, margin, gradient = gradients.loss_and_gradient(
                self.classifier, state.pixels, partial(margins, labels=labels)
            )
            pixels = self._stepped(state.pixels, images, gradient, margin)
            found = gradients.logits_of(self.classifier, pixels)
            is_finite &= torch.isfinite(logits).all() & torch.isfinite(gradient.sum())
            is_finite &= torch.isfinite(found).all()
            is_adversarial = found.argmax(dim=1) != labels[:, 0]
            state = state.seen(pixels, images, is_adversarial, ball.contains(pixels))
        return state, is_finite

    def _stepped(self, pixels: Tensor, images: Tensor, weights: Tensor, values: Tensor) -> Tensor:
        """Return the points after a step towards the hyperplane of a linear function.

        Parameters
        ----------
        weights, values : the function's gradient, and its value at the pixels, (B,).
        """
        at_images = values + (weights * (images - pixels)).sum(dim=(1, 2, 3))
        move = to_hyperplane(pixels, weights, values, self.norm)
        from_image = to_hyperplane(images, weights, at_images, self.norm)
        near, far = (
            self.norm.size(part).clamp(min=_SMALLEST)[:, None, None, None]
            for part in (move, from_image)
        )
        bias = (near / (near + far)).clamp(max=_MOST_BIASED)
        ahead = (pixels + _OVERSHOOT * move) * (1 - bias)
        return (ahead + (images + _OVERSHOOT * from_image) * bias).clamp_(0, 1)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logit of the true class minus that of the target class, (B,).

    Parameters
    ----------
    labels : int64 (B, 2), the true class and the target class.
    """
    true, aim = logits.gather(1, labels).unbind(dim=1)
    return true - aim
