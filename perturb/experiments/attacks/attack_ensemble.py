"""Ensemble of attacks that detects gradient masking: APGD-CE, APGD-T, FAB and Square.

A network can mask its gradient, by saturation or by rounding, and then resists PGD without being
robust. The ensemble runs attacks in sequence, as AutoAttack [1]_ does, in the L-infinity or the L2
ball:

- ``apgd_ce``: APGD on the cross-entropy. The step starts at twice epsilon and is halved where the
  loss no longer rises; there is no step size to tune.
- ``apgd_dlr``, APGD-T: APGD towards each of the most likely other classes on the difference of
  logits ratio, which is invariant to shift and scale of the logits: saturation does not mask it.
  The attack without targets, which [1]_ calls APGD-DLR, is not run.
- ``fab``: steps to the nearest point of the decision boundary towards each of these classes. Only
  the standard set has it.
- ``square``: random squares of +-epsilon, kept if they reduce the margin. It uses predictions and
  no gradient.

Differences from the published code are described in ``apgd.py``, ``fab.py`` and ``square.py``; all
draws depend on an image's key alone, so a result does not depend on the batch.

B images, C channels, H W pixels, K classes.

References
----------
.. [1] Croce, Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
   Parameter-free Attacks", ICML 2020.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from perturb import random
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.apgd import apgd
from perturb.experiments.attacks.arguments import check_at_least_one, checked, checked_keys
from perturb.experiments.attacks.checks import FEWEST_OF_DLR
from perturb.experiments.attacks.fab import Run
from perturb.experiments.attacks.norms import LINF, Norm
from perturb.experiments.attacks.running import best_after
from perturb.experiments.attacks.square import square

__all__ = ["apgd_ce", "apgd_dlr", "cross_entropy", "fab", "random_start", "square", "targeted_dlr"]

_SMALLEST_SPREAD = 1e-12


@torch.inference_mode(False)
def apgd_ce(
    classifier: nn.Module,
    images: Tensor,
    targets: Tensor,
    epsilon: float,
    *,
    keys: Tensor,
    seed: int = 0,
    steps: int = 20,
    restarts: int = 1,
    norm: Norm = LINF,
) -> Tensor:
    """Return the images after APGD on the cross-entropy, from random starts.

    An image whose prediction becomes incorrect is returned as it was then; one that stays correct,
    where its loss was highest.

    Parameters
    ----------
    classifier, images, targets, epsilon : as of ``gradients.pgd``, as are result and errors.
    keys : int64 (B,), ``perturb.random.image_key`` of each image's id.
    steps : number of gradients after that of the start.
    restarts : random starts, each on the images still predicted correctly.
    norm : of the ball.
    """
    images, targets = checked(images, targets, epsilon)
    check_at_least_one(steps=steps, restarts=restarts)
    runs = [(f"apgd_ce/{restart}", targets[:, None]) for restart in range(restarts)]
    attack = partial(apgd, classifier, epsilon=epsilon, loss=cross_entropy, steps=steps, norm=norm)
    return _from_random_starts(
        classifier, images, epsilon, attack, runs, norm, keys=keys, seed=seed
    )


@torch.inference_mode(False)
def apgd_dlr(
    classifier: nn.Module,
    images: Tensor,
    targets: Tensor,
    epsilon: float,
    *,
    keys: Tensor,
    seed: int = 0,
    steps: int = 20,
    restarts: int = 1,
    num_targets: int = 3,
    norm: Norm = LINF,
) -> Tensor:
    """Return the images after APGD-T: APGD towards other classes, the most likely one first.

    Parameters, result and errors are those of ``apgd_ce``, and

    num_targets : number of classes to try, at most K - 1; published: 9.

    Raises
    ------
    ValueError
        also if the classifier has fewer than 3 classes, for which the loss is constant.
    """
    images, targets = checked(images, targets, epsilon)
    check_at_least_one(steps=steps, restarts=restarts, num_targets=num_targets)
    if epsilon == 0 or len(images) == 0:
        return images.clone()
    logits = gradients.predict(classifier, images)
    check_classes(logits.shape[1])
    runs = _targeted_runs(targets, likely_others(logits, targets, num_targets), restarts)
    attack = partial(apgd, classifier, epsilon=epsilon, loss=targeted_dlr, steps=steps, norm=norm)
    return _from_random_starts(
        classifier, images, epsilon, attack, runs, norm, keys=keys, seed=seed
    )


@torch.inference_mode(False)
def fab(
    classifier: nn.Module,
    images: Tensor,
    targets: Tensor,
    epsilon: float,
    *,
    steps: int = 100,
    num_targets: int = 9,
    norm: Norm = LINF,
) -> Tensor:
    """Return the images after FAB towards other classes, the most likely one first.

    An image for which no adversarial point is found in the ball is returned as it is. Parameters,
    result and errors are those of ``apgd_dlr`` but for keys and seed: FAB draws nothing, and two
    classes suffice.
    """
    images, targets = checked(images, targets, epsilon)
    check_at_least_one(steps=steps, num_targets=num_targets)
    if epsilon == 0 or len(images) == 0:
        return images.clone()
    aims = likely_others(gradients.predict(classifier, images), targets, num_targets)  # (B, T)
    run = Run(classifier, epsilon, steps, norm)

    def attempt(rank: int, rows: Tensor) -> Tensor:
        clean, labels = images[rows], torch.stack([targets[rows], aims[rows, rank]], dim=1)
        return best_after(run, run.started(clean), clean, labels)

    attempts = [partial(attempt, rank) for rank in range(aims.shape[1])]
    with gradients.frozen(classifier):
        return gradients.first_adversarial(classifier, images, targets, attempts)


def check_classes(num_classes: int) -> None:
    """Raise a ValueError if there are too few classes for the DLR loss."""
    if num_classes < FEWEST_OF_DLR:
        raise ValueError(
            f"classifier has {num_classes} classes; allowed by the DLR loss: {FEWEST_OF_DLR} up"
        )


def likely_others(logits: Tensor, targets: Tensor, count: int) -> Tensor:
    """Return the most likely classes but the true one, int64 (B, T), T at most K - 1."""
    others = logits.scatter(1, targets[:, None], -torch.inf)
    return others.topk(min(count, logits.shape[1] - 1), dim=1).indices


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of each image on the first of its labels, (B,)."""
    return gradients.cross_entropy(logits, labels[:, 0])


def targeted_dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (z_t - z_y) / (z_1 - (z_3 + z_4) / 2) of each image, (b,); z_1 >= z_2 >= ... sorted.

    Parameters
    ----------
    logits : (b, K), K >= 3. With three classes z_3 replaces z_4, for which [1]_ has no formula.
    labels : int64 (b, 2), the true class y and the target class t.
    """
    ordered = logits.sort(dim=1, descending=True).values
    spread = ordered[:, 0] - (ordered[:, 2] + ordered[:, min(3, logits.shape[1] - 1)]) / 2
    true, aim = logits.gather(1, labels).unbind(dim=1)
    return (aim - true) / (spread + _SMALLEST_SPREAD)


def _targeted_runs(targets: Tensor, aims: Tensor, restarts: int) -> list[tuple[str, Tensor]]:
    """Return the stream and the labels (B, 2) of each run towards other classes, int64 (B, T)."""
    return [
        (f"apgd_dlr/{rank}/{restart}", torch.stack([targets, aims[:, rank]], dim=1))
        for rank in range(aims.shape[1])
        for restart in range(restarts)
    ]


def _from_random_starts(
    classifier: nn.Module,
    images: Tensor,
    epsilon: float,
    attack: Callable[..., Tensor],
    runs: Sequence[tuple[str, Tensor]],
    norm: Norm,
    *,
    keys: Tensor,
    seed: int,
) -> Tensor:
    """Return the images after APGD runs, each with its stream of draws and labels of the loss."""
    keys = checked_keys(keys, images)
    if epsilon == 0 or len(images) == 0:
        return images.clone()

    def attempt(stream: str, labels: Tensor, rows: Tensor) -> Tensor:
        clean = images[rows]
        stream_keys = random.stream_keys(seed, stream, keys[rows])
        start = random_start(clean, epsilon, stream_keys, norm)
        return attack(clean, labels[rows], start=start)

    attempts = [partial(attempt, stream, labels) for stream, labels in runs]
    with gradients.frozen(classifier):
        return gradients.first_adversarial(classifier, images, runs[0][1][:, 0], attempts)


def random_start(images: Tensor, epsilon: float, keys: Tensor, norm: Norm) -> Tensor:
    """Return a point on the surface of the ball around each image, as published.

    Parameters
    ----------
    keys : int64 (B,), of a stream of draws (``perturb.random.stream_keys``).
    """
    return images + epsilon * norm.random_move(keys, images)
