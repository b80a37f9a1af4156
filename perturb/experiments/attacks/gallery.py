"""Adversarial images for the gallery of the page."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor

from perturb.experiments.attacks.gradients import fgsm, logits_of, pgd
from perturb.experiments.attacks.stages import floats
from perturb.experiments.gallery import Picture, Scene
from perturb.experiments.setting import checked_options


def fgsm_pictures(scene: Scene) -> Iterator[Picture]:
    """Yield the images after one step of epsilon."""
    yield Picture("fgsm", _attacked(scene, fgsm))


def pgd_pictures(scene: Scene) -> Iterator[Picture]:
    """Yield the images after projected gradient descent."""
    options, epsilon = checked_options("pgd", scene.setting), scene.setting.severity
    attack = partial(
        pgd,
        steps=options["steps"],
        step_size=options["relative_step"] * epsilon,
        random_start=options["random_start"],
        restarts=options["restarts"],
        seed=scene.setting.seed,
    )
    yield Picture("pgd", _attacked(scene, attack, has_keys=True))


def _attacked(scene: Scene, attack: Any, *, has_keys: bool = False) -> Tensor:
    """Return the images after an attack; those predicted incorrectly before it are not attacked."""
    if scene.classifier is None:
        raise ValueError(f"{scene.perturbation}: pictures of an attack need a classifier")
    pixels, targets = floats(scene.images), scene.images.targets.clone()
    is_attacked = logits_of(scene.classifier, pixels).argmax(dim=1) == targets
    rows = is_attacked.nonzero()[:, 0]
    keys = {"keys": scene.images.keys[rows]} if has_keys else {}
    found = pixels.clone()
    if len(rows):
        epsilon = scene.setting.severity
        found[rows] = attack(scene.classifier, pixels[rows], targets[rows], epsilon, **keys)
    return found
