"""Gradient attacks and the attack ensemble on any model."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from perturb.experiments.attacks import attack_ensemble as ensemble
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.checks import FEWEST_OF_DLR
from perturb.library.arrays import (
    Keys,
    Pixels,
    Targets,
    as_keys,
    as_targets,
    check_classes,
    like,
)
from perturb.library.models import check_model, floats_for, num_classes_of
from perturb.models.precision import autocast


def fgsm(model: nn.Module, images: Pixels, targets: Targets, epsilon: float) -> Pixels:
    """Return images + epsilon * sign(gradient of the loss), clipped: PGD of one full step.

    Parameters
    ----------
    model, images, targets, epsilon : as of `pgd`, as are result and errors.

    References
    ----------
    Goodfellow, Shlens, Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015.
    """
    attacked = _attacked(model, images, targets, epsilon)
    with attacked.exactly():
        made = gradients.fgsm(model, attacked.pixels, attacked.targets, epsilon)
    return like(images, made)


def pgd(
    model: nn.Module,
    images: Pixels,
    targets: Targets,
    epsilon: float,
    *,
    steps: int = 8,
    step_size: float | None = None,
    random_start: bool = False,
    restarts: int = 1,
    keys: Keys | None = None,
    seed: int = 2021,
) -> Pixels:
    """Return the images after projected steps along the sign of the loss' gradient.

    Untargeted, on the cross-entropy. A pixel of zero gradient does not change. With restarts, an
    image that one of them misled keeps that result and is not attacked again.

    Parameters
    ----------
    model : any `nn.Module` in evaluation mode from float32 pixels in [0, 1] to logits (B, K), or a
        `perturb.Classifier`, which normalises before its network. No gradient is left in its
        weights.
    images : (B, 3, H, W), a tensor on the model's device or a NumPy array, floating point in [0, 1]
        or uint8; not changed.
    targets : (B,), the class of each image, 0 to K - 1: a tensor, an array or a list.
    epsilon : radius of the L-infinity ball, in units of [0, 1]; 0 returns the images bit for bit.
    steps, step_size : number of steps, and their size [units of [0, 1]]; None is epsilon / 8.
    random_start : start at a random point of the ball, which depends on (seed, restart, key) alone.
    restarts : number of random starts, each on the images still predicted correctly.
    keys : one for each image, for random starts: image ids as texts, or whole numbers as
        `perturb.image_key` returns them. None takes a hash of each image's pixels.
    seed : of the random starts; the default is that of a study.

    Returns
    -------
    float32 (B, 3, H, W) in [0, 1], a tensor on the images' device, or an array if the images are
    one; no pixel differs by more than epsilon from the input.

    Raises
    ------
    ValueError
        if an argument has another type, shape or range, the model is in training mode or returns
        something else than logits, or a logit or a gradient is not finite.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards Deep Learning Models Resistant to Adversarial
    Attacks", ICLR 2018.
    """
    attacked = _attacked(model, images, targets, epsilon)
    with attacked.exactly():
        made = gradients.pgd(
            model,
            attacked.pixels,
            attacked.targets,
            epsilon,
            steps=steps,
            step_size=step_size,
            random_start=random_start,
            restarts=restarts,
            keys=as_keys(keys, attacked.pixels) if random_start else None,
            seed=seed,
        )
    return like(images, made)


def attack_ensemble(
    model: nn.Module,
    images: Pixels,
    targets: Targets,
    epsilon: float,
    *,
    keys: Keys | None = None,
    seed: int = 2021,
    steps: int = 20,
    restarts: int = 1,
    num_targets: int = 3,
    queries: int = 100,
) -> Pixels:
    """Return the images after APGD-CE, APGD-DLR and Square, each on those still correct.

    An image that the model predicts incorrectly is returned as it is. One that resists all attacks
    is returned as the last left it. For a model of two classes the DLR loss is not defined, and
    its attack is left out.

    Parameters
    ----------
    model, images, targets, epsilon, keys, seed : as of `pgd`, as are result and errors; all
        attacks draw at random.
    steps, restarts : of both forms of APGD: gradients after that of the start, and random starts.
    num_targets : number of other classes that APGD-DLR aims at, the most likely first.
    queries : forward passes of Square per image; published: 5,000.

    References
    ----------
    Croce, Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
    Parameter-free Attacks", ICML 2020; without FAB, the fourth attack of its standard set.
    """
    attacked = _attacked(model, images, targets, epsilon)
    draws = as_keys(keys, attacked.pixels)
    run = {"steps": steps, "restarts": restarts}
    attacks: dict[Callable[..., Tensor], dict[str, int]] = {
        ensemble.apgd_ce: run,
        ensemble.apgd_dlr: run | {"num_targets": num_targets},
        ensemble.square: {"queries": queries},
    }
    if attacked.num_classes < FEWEST_OF_DLR:
        del attacks[ensemble.apgd_dlr]

    def unchanged(rows: Tensor) -> Tensor:
        return attacked.pixels[rows]

    def attempt(attack: Callable[..., Tensor], rows: Tensor) -> Tensor:
        pixels, classes = attacked.pixels[rows], attacked.targets[rows]
        own = attacks[attack]
        return attack(model, pixels, classes, epsilon, keys=draws[rows], seed=seed, **own)

    attempts: list[gradients.Attempt] = [unchanged]
    attempts += [partial(attempt, attack) for attack in attacks]
    if not len(attacked.pixels):
        return like(images, attacked.pixels)
    with attacked.exactly():
        made = gradients.first_adversarial(model, attacked.pixels, attacked.targets, attempts)
    return like(images, made)


@dataclass(frozen=True)
class _Attacked:
    """Checked images: float32 (B, 3, H, W) in [0, 1], classes (B,), on the model's device."""

    pixels: Tensor
    targets: Tensor
    num_classes: int

    def exactly(self) -> AbstractContextManager[None]:
        """Return a context without TF32, as that in which a study attacks."""
        return autocast("float32", self.pixels.device)


def _attacked(model: nn.Module, images: Pixels, targets: Targets, epsilon: float) -> _Attacked:
    check_model(model)
    _check_epsilon(epsilon)
    pixels = floats_for(model, images)
    classes = as_targets(targets, len(pixels), pixels.device)
    num_classes = num_classes_of(model, pixels) if len(pixels) else 0
    check_classes(classes, num_classes)
    return _Attacked(pixels, classes, num_classes)


def _check_epsilon(epsilon: float) -> None:
    is_number = isinstance(epsilon, int | float) and not isinstance(epsilon, bool)
    if not is_number or not math.isfinite(epsilon) or not 0 <= epsilon <= 1:
        raise ValueError(
            f"epsilon is {epsilon!r}; allowed: a number from 0 to 1, in units of [0, 1], such as "
            "4 / 255"
        )
