"""Ensemble of attacks that detects gradient masking: APGD-CE, APGD-DLR and Square.

A network can mask its gradient, by saturation or by rounding, and then resists PGD without being
robust. The ensemble runs three attacks in sequence, as AutoAttack [1]_ does:

- ``apgd_ce``: APGD on the cross-entropy. The step starts at twice epsilon and is halved where the
  loss no longer rises; there is no step size to tune.
- ``apgd_dlr``: APGD towards each of the most likely other classes on the difference of logits
  ratio, which is invariant to shift and scale of the logits: saturation does not mask it.
- ``square``: random squares of +-epsilon, kept if they reduce the margin [2]_. It uses predictions
  and no gradient.

Differences from the published code (for APGD see ``apgd.py``): draws, including the positions of
squares, depend on an image's key alone, so a result does not depend on the batch; Square's schedule
is scaled to the number of queries. FAB, the fourth attack of AutoAttack's standard set, is not
included.

B images, C channels, H W pixels, K classes.

References
----------
.. [1] Croce, Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
   Parameter-free Attacks", ICML 2020.
.. [2] Andriushchenko, Croce, Flammarion, Hein, "Square Attack: a Query-efficient Black-box
   Adversarial Attack via Random Search", ECCV 2020.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from perturb import random
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.apgd import apgd

# Square: fraction of the pixels in the first square, and the ten-thousandths of the queries after
# which this fraction is halved.
_FIRST_SHARE = 0.8
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
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
    """
    images, targets = gradients.checked(images, targets, epsilon)
    gradients.check_at_least_one(steps=steps, restarts=restarts)
    runs = [(f"apgd_ce/{restart}", targets[:, None]) for restart in range(restarts)]
    attack = partial(apgd, classifier, epsilon=epsilon, loss=_cross_entropy, steps=steps)
    return _from_random_starts(classifier, images, epsilon, attack, runs, keys=keys, seed=seed)


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
) -> Tensor:
    """Return the images after APGD towards other classes, the most likely one first.

    Parameters, result and errors are those of ``apgd_ce``, and

    num_targets : number of classes to try, at most K - 1; published: 9.

    Raises
    ------
    ValueError
        also if the classifier has fewer than 3 classes, for which the loss is constant.
    """
    images, targets = gradients.checked(images, targets, epsilon)
    gradients.check_at_least_one(steps=steps, restarts=restarts, num_targets=num_targets)
    if epsilon == 0 or len(images) == 0:
        return images.clone()
    logits = gradients.predict(classifier, images)
    if logits.shape[1] < 3:
        raise ValueError(f"classifier has {logits.shape[1]} classes; allowed by the DLR loss: 3 up")
    others = logits.scatter(1, targets[:, None], -torch.inf)
    aims = others.topk(min(num_targets, logits.shape[1] - 1), dim=1).indices  # (B, T)
    runs = [
        (f"apgd_dlr/{rank}/{restart}", torch.stack([targets, aims[:, rank]], dim=1))
        for rank in range(aims.shape[1])
        for restart in range(restarts)
    ]
    attack = partial(apgd, classifier, epsilon=epsilon, loss=targeted_dlr, steps=steps)
    return _from_random_starts(classifier, images, epsilon, attack, runs, keys=keys, seed=seed)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
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


def _from_random_starts(
    classifier: nn.Module,
    images: Tensor,
    epsilon: float,
    attack: Callable[..., Tensor],
    runs: Sequence[tuple[str, Tensor]],
    *,
    keys: Tensor,
    seed: int,
) -> Tensor:
    """Return the images after APGD runs, each with its stream of draws and labels of the loss."""
    keys = gradients.checked_keys(keys, images)
    if epsilon == 0 or len(images) == 0:
        return images.clone()

    def attempt(stream: str, labels: Tensor, rows: Tensor) -> Tensor:
        clean = images[rows]
        noise = gradients.noise(random.stream_keys(seed, stream, keys[rows]), clean)
        # As published, the start lies on the surface of the ball.
        noise /= noise.abs().amax(dim=(1, 2, 3), keepdim=True)
        return attack(clean, labels[rows], start=clean + epsilon * noise)

    attempts = [partial(attempt, stream, labels) for stream, labels in runs]
    with gradients.frozen(classifier):
        return gradients.first_adversarial(classifier, images, runs[0][1][:, 0], attempts)


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
    images, targets = gradients.checked(images, targets, epsilon)
    gradients.check_at_least_one(queries=queries)
    keys = gradients.checked_keys(keys, images)
    if epsilon == 0 or len(images) == 0:
        return images.clone()
    ends = gradients.ball(images, epsilon)
    B, C, _, W = images.shape
    signs = random.uniform(random.stream_keys(seed, "square/stripes", keys), C * W)
    best = _at_ends(signs.reshape(B, C, 1, W), ends)
    draws = random.uniform(random.stream_keys(seed, "square", keys), queries * (2 + C))
    draws = draws.reshape(B, queries, 2 + C)
    rows = torch.arange(B, device=images.device)  # of the images still predicted correctly
    margins, proposed = torch.full_like(draws[:, 0, 0], torch.inf), best.clone()
    for query in range(queries):
        if query > 0:
            mask, signs = _square(draws[rows, query], query / queries, images)
            ends_here = ends[0][rows], ends[1][rows]
            proposed = torch.where(mask, _at_ends(signs, ends_here), best[rows])
        logits = gradients.predict(classifier, proposed)
        proposed_margins = _margins(logits, targets[rows])
        is_broken = logits.argmax(dim=1) != targets[rows]
        is_better = (proposed_margins < margins[rows]) | is_broken
        best[rows[is_better]] = proposed[is_better]
        margins[rows[is_better]] = proposed_margins[is_better]
        rows = rows[~is_broken]
        if len(rows) == 0:
            break
    return best


def _at_ends(draws: Tensor, ends: tuple[Tensor, Tensor]) -> Tensor:
    """Return the lower end of each pixel's interval where a draw is below 1/2, else the upper."""
    return torch.where(draws < 0.5, *ends)


def _square(draws: Tensor, progress: float, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return masks of one square per image, bool (b, 1, H, W), and draws of its ends (b, C, 1, 1).

    Parameters
    ----------
    draws : uniform (b, 2 + C).
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
        insides.append((places >= first) & (places < first + side))  # (b, length)
    mask = insides[0][:, None, :, None] & insides[1][:, None, None, :]
    return mask, draws[:, 2:, None, None]


def _margins(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the logit of the true class minus the highest other one, (b,)."""
    true = logits.gather(1, targets[:, None])
    others = logits.scatter(1, targets[:, None], -torch.inf)
    return true[:, 0] - others.amax(dim=1)
