"""Evaluation under perturbations that need no classifier: none, and the corruptions."""

from collections.abc import Iterator

import torch

from perturb.images.store import Images
from perturb.models.classifier import Classifier
from perturb.perturbations.corruptions import corrupt
from perturb.perturbations.outcome import Outcome, Setting


@torch.inference_mode()
def unchanged_outcomes(
    classifier: Classifier, images: Images, setting: Setting
) -> Iterator[Outcome]:
    """Yield what is decided on the images as they are."""
    for condition in setting.conditions:
        yield Outcome(condition, 0, classifier(images.pixels))


@torch.inference_mode()
def corrupted_outcomes(
    classifier: Classifier, images: Images, setting: Setting
) -> Iterator[Outcome]:
    """Yield what is decided under each corruption.

    Options: `jpeg_quality`, of a JPEG pass after the corruption; none where absent.
    """
    quality = setting.options.get("jpeg_quality")
    for condition in setting.conditions:
        pixels = corrupt(
            images.pixels,
            condition,
            int(setting.severity),
            images.keys,
            setting.seed,
            jpeg_quality=quality,
        )
        yield Outcome(condition, 0, classifier(pixels))
