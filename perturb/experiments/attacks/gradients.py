"""FGSM and PGD: gradient attacks that change every pixel by at most epsilon.

Protocol: untargeted cross-entropy on the true class, in the L-infinity ball. FGSM [1]_ is one step
of epsilon, PGD [2]_ several smaller ones, each projected. Pixels are float32 in [0, 1], are never
rounded to gray levels, and normalisation is inside the classifier.

With a zero start every iterate has the same bits as those of torchattacks and foolbox. Differences:
x + epsilon, rounded to float32, is often further than epsilon from x, so at the end every pixel is
clipped to the nearest float within epsilon; and the loss is summed over the images, because with a
mean the gradient of one image depends on the number of images.

B images, C channels, H W pixels, K classes.

References
----------
.. [1] Goodfellow, Shlens, Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015.
.. [2] Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards Deep Learning Models Resistant to
   Adversarial Attacks", ICLR 2018.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perturb import random
from perturb.experiments.attacks.arguments import (
    check_all_finite,
    check_finite,
    check_schedule,
    checked,
    checked_keys,
    ordinary,
)
from perturb.experiments.attacks.balls import ball, noise
from perturb.models.precision import float32

# logits (B, K) -> objective to be increased, (B,)
Loss = Callable[[Tensor], Tensor]
# rows of the images, int64 (b,) -> adversarial images (b, C, H, W)
Attempt = Callable[[Tensor], Tensor]


@torch.inference_mode(False)
def pgd(
    classifier: nn.Module,
    images: Tensor,
    targets: Tensor,
    epsilon: float,
    *,
    steps: int = 8,
    step_size: float | None = None,
    random_start: bool = False,
    restarts: int = 1,
    keys: Tensor | None = None,
    seed: int = 0,
    gradient: Tensor | None = None,
) -> Tensor:
    """Return the images after projected steps along the sign of the loss' gradient.

    A pixel of zero gradient does not change. With restarts, an image that one of them misled keeps
    that result and is not attacked again.

    Parameters
    ----------
    classifier : pixels -> logits, in evaluation mode; no gradient is left in its weights.
    images : float32 (B, 3, H, W) in [0, 1]; not changed.
    targets : int64 (B,).
    epsilon : radius of the ball, in units of [0, 1]; 0 returns the images bit for bit.
    steps, step_size : number of steps, and their size [units of [0, 1]]; None is epsilon / 8.
    random_start : start at a random point of the ball, which depends on (seed, restart, key) alone.
    keys : int64 (B,), ``perturb.random.image_key`` of each image's id; for random starts.
    gradient : of the loss at the images (``loss_gradient``), if known; it saves a pass.

    Returns
    -------
    float32 (B, 3, H, W) in [0, 1]; no pixel differs by more than epsilon from the input, in exact
    arithmetic and hence in float32.

    Raises
    ------
    ValueError
        if an argument is out of range, or a logit or a gradient is not finite.
    """
    images, targets = checked(images, targets, epsilon)
    descent = Descent(
        epsilon,
        steps,
        epsilon / 8 if step_size is None else step_size,
        is_random=random_start,
        seed=seed,
    )
    check_schedule(steps, descent.step_size, restarts, is_random=random_start)
    if random_start:
        keys = checked_keys(keys, images)
    return descended(
        classifier, images, targets, descent, restarts=restarts, keys=keys, gradient=gradient
    )


def fgsm(
    classifier: nn.Module,
    images: Tensor,
    targets: Tensor,
    epsilon: float,
    *,
    gradient: Tensor | None = None,
) -> Tensor:
    """Return images + epsilon * sign(gradient of the loss), clipped: PGD of one full step.

    Parameters, result and errors are those of ``pgd``.
    """
    return pgd(classifier, images, targets, epsilon, steps=1, step_size=epsilon, gradient=gradient)


@dataclass(frozen=True)
class Descent:
    """Projected steps of one size in the ball around some images.

    is_random : whether they start at a random point of the ball.
    """

    epsilon: float
    steps: int
    step_size: float
    is_random: bool = False
    seed: int = 0

    def run(
        self,
        classifier: nn.Module,
        images: Tensor,
        targets: Tensor,
        *,
        keys: Tensor | None = None,
        restart: int = 0,
        gradient: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the images after the steps, and whether all values were finite, bool ().

        Parameters
        ----------
        classifier : its weights are ``frozen``.
        keys : of random starts, which also depend on the number of the restart.
        gradient : at the images, if known; of no use to random starts.
        """
        start = images
        if self.is_random and keys is not None:
            stream = random.stream_keys(self.seed, f"pgd/{restart}", keys)
            start = (images + self.epsilon * noise(stream, images)).clamp_(0, 1)
            gradient = None
        loss = partial(cross_entropy, targets=targets)
        final, is_finite = self._follow(classifier, loss, images, start, gradient)
        return final.clamp_(*ball(images, self.epsilon)), is_finite

    def _follow(
        self,
        classifier: nn.Module,
        loss: Loss,
        images: Tensor,
        start: Tensor,
        gradient: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        # Memory format of the gradient: mixed formats would cost more than the arithmetic.
        images = images.contiguous(memory_format=torch.channels_last)
        pixels = start.clone(memory_format=torch.channels_last)
        # A check in each step would leave a GPU idle: the caller reads the flag once.
        is_finite = torch.ones((), dtype=torch.bool, device=pixels.device)
        for _ in range(self.steps):
            if gradient is None:
                logits, _, gradient = loss_and_gradient(classifier, pixels, loss)
                is_finite &= torch.isfinite(logits).all()
            # A gradient of NaN has sign 0 and would look like a model that ignores its input.
            is_finite &= torch.isfinite(gradient.sum())
            pixels.add_(gradient.sign(), alpha=self.step_size)
            # The order of operations of torchattacks and foolbox, for equal bits.
            pixels.sub_(images).clamp_(-self.epsilon, self.epsilon).add_(images).clamp_(0, 1)
            gradient = None
        return pixels.contiguous(), is_finite


@torch.inference_mode(False)
def descended(
    classifier: nn.Module,
    images: Tensor,
    targets: Tensor,
    descent: Descent,
    *,
    restarts: int = 1,
    keys: Tensor | None = None,
    gradient: Tensor | None = None,
) -> Tensor:
    """Return the result of ``pgd``, for checked arguments; the host waits once a restart."""
    if descent.epsilon == 0 or len(images) == 0:
        return images.clone()
    targets, flags = ordinary(targets), list[Tensor]()

    def attempt(restart: int, rows: Tensor) -> Tensor:
        own = keys[rows] if descent.is_random and keys is not None else None
        known = gradient if restart == 0 else None
        found, is_finite = descent.run(
            classifier, images[rows], targets[rows], keys=own, restart=restart, gradient=known
        )
        flags.append(is_finite)
        return found

    with frozen(classifier):
        attempts = [partial(attempt, restart) for restart in range(restarts)]
        found = first_adversarial(classifier, images, targets, attempts)
    check_all_finite(flags)
    return found


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each image, (B,)."""
    return F.cross_entropy(logits, targets, reduction="none")


def loss_gradient(classifier: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy's gradient with respect to the pixels, (B, 3, H, W)."""
    with frozen(classifier):
        return loss_and_gradient(classifier, images, partial(cross_entropy, targets=targets))[2]


def loss_and_gradient(
    classifier: nn.Module, images: Tensor, loss: Loss
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits (B, K), losses (B,) and the losses' gradient at the pixels (B, 3, H, W).

    With ``frozen`` weights a ViT needs two thirds of the memory. The gradient is exactly 0 if the
    logits do not depend on the pixels.
    """
    pixels = images.detach().requires_grad_()
    with torch.enable_grad():
        logits = classifier(pixels).float()
        losses = loss(logits)
    if not losses.requires_grad:
        return logits, losses, torch.zeros_like(images)
    with float32(images.device):  # the backward pass has the precision of the forward pass
        (gradient,) = torch.autograd.grad(losses.sum(), pixels, allow_unused=True)
    gradient = torch.zeros_like(images) if gradient is None else gradient
    return logits.detach(), losses.detach(), gradient


@contextmanager
def frozen(classifier: nn.Module) -> Iterator[None]:
    """Disable gradients of weights inside the block; restore each parameter's flag afterwards."""
    weights = [weight for weight in classifier.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def first_adversarial(
    classifier: nn.Module, images: Tensor, targets: Tensor, attempts: Sequence[Attempt]
) -> Tensor:
    """Return the images after all attempts, each on the images still predicted correctly."""
    still_correct = torch.arange(len(images), device=images.device)
    adversarial, flags = attempts[0](still_correct), list[Tensor]()
    for attempt in attempts[1:]:
        logits = logits_of(classifier, adversarial[still_correct])
        flags.append(torch.isfinite(logits).all())
        still_correct = still_correct[logits.argmax(dim=1) == targets[still_correct]]
        if len(still_correct) == 0:
            break
        adversarial[still_correct] = attempt(still_correct)
    if flags:
        check_all_finite(flags)
    return adversarial


def predict(classifier: nn.Module, images: Tensor) -> Tensor:
    """Return logits, float32 (B, K); a ValueError if one is not finite."""
    logits = logits_of(classifier, images)
    check_finite(logits)
    return logits


def logits_of(classifier: nn.Module, images: Tensor) -> Tensor:
    """Return logits, float32 (B, K), which the host does not wait for."""
    with torch.inference_mode():
        logits: Tensor = classifier(images).float()
    return logits.clone()  # usable outside inference mode
