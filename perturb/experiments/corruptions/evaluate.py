"""Evaluation on corrupted images."""

from collections.abc import Iterator

import torch

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.corruptions.corruptions import corrupt
from perturb.models.classifier import Classifier
from perturb.models.precision import float32


@torch.inference_mode()
def corrupted_outcomes(
    classifier: Classifier, images: Images, setting: Setting
) -> Iterator[Outcome]:
    """Yield the predictions under each corruption.

    Options: `jpeg_quality`, of a JPEG pass after the corruption; no pass if absent.
    """
    quality = setting.options.get("jpeg_quality")
    for condition in setting.conditions:
        # Corruptions do not depend on the precision of the network.
        with float32(images.pixels.device):
            pixels = corrupt(
                images.pixels,
                condition,
                int(setting.severity),
                images.keys,
                setting.seed,
                jpeg_quality=quality,
            )
        yield Outcome(condition, 0, classifier(pixels))
