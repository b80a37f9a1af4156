"""Predictions of networks with noisy or rounded weights."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from perturb.datasets.store import Images
from perturb.evaluate.outcome import Outcome, Setting
from perturb.experiments.weight_perturbation.weights import with_noise, with_rounded_weights
from perturb.models.classifier import Classifier

DEFAULT_SEEDS = 5


@torch.inference_mode()
def noise_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions with noise on all weights; evaluates ``weight_noise``.

    Condition ``gaussian`` has ``seeds`` (5) samples, numbered from 1: draws of the noise, the same
    for all images and severities.

    Parameters
    ----------
    setting : its severity is the noise's standard deviation over that of each weight tensor.

    Raises
    ------
    ValueError
        for a negative severity, an unknown condition or option, or fewer than one seed.
    """
    _check(setting, "gaussian", {"seeds"})
    seeds = setting.options.get("seeds", DEFAULT_SEEDS)
    if type(seeds) is not int or seeds < 1:
        raise ValueError(f"seeds is {seeds!r}; allowed: 1 or more")
    if setting.severity < 0:
        raise ValueError(f"scale of weight_noise is {setting.severity}; allowed: 0 or more")
    for condition in setting.conditions:
        for sample in range(1, seeds + 1):
            draws = {"seed": setting.seed, "sample": sample}
            with with_noise(classifier.network, setting.severity, **draws):
                logits = classifier(images.pixels)
            yield Outcome(condition, sample, logits)


@torch.inference_mode()
def rounding_outcomes(
    classifier: Classifier, images: Images, setting: Setting
) -> Iterator[Outcome]:
    """Yield the predictions with rounded weights; evaluates ``weight_rounding``.

    Parameters
    ----------
    setting : its severity is the number of bits.

    Raises
    ------
    ValueError
        for a number of bits that is not whole or not among 2 to 16, an unknown condition or option.
    """
    _check(setting, "symmetric", set())
    if setting.severity != int(setting.severity):
        raise ValueError(f"bits is {setting.severity}; allowed: a whole number")
    for condition in setting.conditions:
        with with_rounded_weights(classifier.network, int(setting.severity)):
            logits = classifier(images.pixels)
        yield Outcome(condition, 0, logits)


def _check(setting: Setting, condition: str, options: set[str]) -> None:
    for found in setting.conditions:
        if found != condition:
            raise ValueError(f"condition is {found!r}; allowed: {condition}")
    unknown: Mapping[str, Any] = {
        name: value for name, value in setting.options.items() if name not in options
    }
    if unknown:
        allowed = ", ".join(sorted(options)) or "none"
        raise ValueError(f"option is {next(iter(unknown))!r}; allowed: {allowed}")
