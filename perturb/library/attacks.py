"""Gradient attacks and the attack ensemble on any model."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from perturb.experiments.attacks import attack_ensemble as ensemble
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.arguments import check_at_least_one
from perturb.experiments.attacks.budgets import STANDARD
from perturb.experiments.attacks.checks import FEWEST_OF_DLR
from perturb.experiments.attacks.norms import LINF, Norm, norm_of
from perturb.experiments.attacks.squares import SCHEDULE
from perturb.experiments.options import default_of
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
from perturb.messages import listed
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
    norm: str = "Linf",
    standard: bool = False,
    keys: Keys | None = None,
    seed: int = 2021,
    steps: int | None = None,
    restarts: int | None = None,
    num_targets: int | None = None,
    queries: int | None = None,
) -> Pixels:
    """Return the images after APGD-CE, APGD-T, with `standard` FAB, and Square.

    Each attacks the images still predicted correctly. An image that the model predicts incorrectly
    is returned as it is. One that resists all attacks is returned as the last left it. APGD-T is
    left out for fewer than 3 classes, for which its loss is not defined, and FAB for one class.

    Parameters
    ----------
    model, images, targets, epsilon, keys, seed : as of `pgd`, as are result and errors; most
        attacks draw at random.
    norm : `Linf`, or `L2`: epsilon limits the Euclidean length of an image's change, at most
        sqrt(3 H W); lengths are rounded, so one may exceed epsilon in its last digits.
    standard : whether to attack with the standard set of AutoAttack, which has FAB before Square,
        and its budget: 100 steps, 1 restart, 9 targets, or all other classes if there are fewer,
        and 5,000 queries. No other budget is allowed beside it.
    steps, restarts : of both forms of APGD, and steps of FAB: gradients after that of the start,
        and random starts. None is 20 and 1.
    num_targets : number of the most likely other classes, at which APGD-T and FAB aim. None is 3.
    queries : forward passes of Square per image. None is 100.

    References
    ----------
    Croce, Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
    Parameter-free Attacks", ICML 2020.
    """
    ball = norm_of(norm)
    attacked = _attacked(model, images, targets, epsilon, ball)
    budget = _budget(
        {"steps": steps, "restarts": restarts, "num_targets": num_targets, "queries": queries},
        standard=standard,
    )
    attacks = _attacks(attacked.num_classes, standard=standard)
    draws = as_keys(keys, attacked.pixels)

    def attempt(attack: Callable[..., Tensor], rows: Tensor) -> Tensor:
        pixels, classes = attacked.pixels[rows], attacked.targets[rows]
        own: dict[str, Any] = {name: budget[name] for name in attacks[attack]}
        if attack is not ensemble.fab:
            own |= {"keys": draws[rows], "seed": seed}
        if attack is ensemble.square and standard:
            own["scheduled"] = SCHEDULE
        return attack(model, pixels, classes, epsilon, norm=ball, **own)

    attempts: list[gradients.Attempt] = [lambda rows: attacked.pixels[rows]]
    attempts += [partial(attempt, attack) for attack in attacks]
    if not len(attacked.pixels):
        return like(images, attacked.pixels)
    with attacked.exactly():
        made = gradients.first_adversarial(model, attacked.pixels, attacked.targets, attempts)
    return like(images, made)


def _budget(given: Mapping[str, int | None], *, standard: bool) -> dict[str, int]:
    """Return the budget of the ensemble; a ValueError if it is none, or not the standard one."""
    if standard not in (True, False):
        raise ValueError(f"standard is {standard!r}; allowed: True, False")
    options = {name: name.removeprefix("num_") for name in given}
    budget = {
        name: STANDARD[option] if standard else int(default_of("attack_ensemble", option))
        for name, option in options.items()
    }
    asked = {name: value for name, value in given.items() if value is not None}
    if standard and asked:
        listed_values = listed(f"{name} {value}" for name, value in asked.items())
        raise ValueError(f"with `standard`, {listed_values} given; allowed: none, it is {budget}")
    check_at_least_one(**asked)  # before the first attack, which may leave no image to the others
    return budget | asked


def _attacks(num_classes: int, *, standard: bool) -> dict[Callable[..., Tensor], tuple[str, ...]]:
    """Return the attacks in their order, and the parts of the budget that each has."""
    attacks: dict[Callable[..., Tensor], tuple[str, ...]] = {
        ensemble.apgd_ce: ("steps", "restarts"),
        ensemble.apgd_dlr: ("steps", "restarts", "num_targets"),
        ensemble.fab: ("steps", "num_targets"),
        ensemble.square: ("queries",),
    }
    if num_classes < FEWEST_OF_DLR:
        del attacks[ensemble.apgd_dlr]
    if not standard or num_classes == 1:
        del attacks[ensemble.fab]
    return attacks


@dataclass(frozen=True)
class _Attacked:
    """Checked images: float32 (B, 3, H, W) in [0, 1], classes (B,), on the model's device."""

    pixels: Tensor
    targets: Tensor
    num_classes: int

    def exactly(self) -> AbstractContextManager[None]:
        """Return a context without TF32, as that in which a study attacks."""
        return autocast("float32", self.pixels.device)


def _attacked(
    model: nn.Module, images: Pixels, targets: Targets, epsilon: float, norm: Norm = LINF
) -> _Attacked:
    check_model(model)
    pixels = floats_for(model, images)
    _check_epsilon(epsilon, norm, math.prod(pixels.shape[1:]))
    classes = as_targets(targets, len(pixels), pixels.device)
    num_classes = num_classes_of(model, pixels) if len(pixels) else 0
    check_classes(classes, num_classes)
    return _Attacked(pixels, classes, num_classes)


def _check_epsilon(epsilon: float, norm: Norm, num_values: int) -> None:
    """Raise a ValueError unless some change of an image of so many values is that large."""
    most = 1 if norm is LINF else math.sqrt(num_values)
    is_number = isinstance(epsilon, int | float) and not isinstance(epsilon, bool)
    if not is_number or not math.isfinite(epsilon) or not 0 <= epsilon <= most:
        allowed = f"a number from 0 to {most:.4g}, in units of [0, 1], such as "
        allowed += "4 / 255" if norm is LINF else "0.5"
        raise ValueError(f"epsilon is {epsilon!r}; allowed: {allowed}")
