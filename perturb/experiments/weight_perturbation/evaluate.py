"""Predictions of networks with noisy or rounded weights."""

from collections.abc import Iterator

import torch

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.setting import checked_options, whole
from perturb.experiments.weight_perturbation.weights import (
    FEWEST_BITS,
    MOST_BITS,
    with_noise,
    with_rounded_weights,
)
from perturb.models.classifier import Classifier


@torch.inference_mode()
def noise_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions with noise on all weights; evaluates ``weight_noise``.

    Condition ``gaussian`` has ``seeds`` samples, numbered from 1: draws of the noise, the same
    for all images and severities.

    Parameters
    ----------
    setting : its severity is the noise's standard deviation over that of each weight tensor.

    Raises
    ------
    ValueError
        for a negative severity, an unknown condition or option, or fewer than one seed.
    """
    seeds = checked_options("weight_noise", setting)["seeds"]
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
    checked_options("weight_rounding", setting)
    bits = whole("bits of weight_rounding", setting.severity, FEWEST_BITS, MOST_BITS)
    for condition in setting.conditions:
        with with_rounded_weights(classifier.network, bits):
            logits = classifier(images.pixels)
        yield Outcome(condition, 0, logits)
