"""Evaluation on corrupted images."""

from collections.abc import Iterator

import torch

from perturb.datasets.store import Images
from perturb.evaluate.outcome import Outcome, Setting
from perturb.experiments.corruptions.corruptions import corrupt
from perturb.models.classifier import Classifier
from perturb.models.precision import float32


@torch.inference_mode()
def corrupted_outcomes(
    classifier: Classifier, images: Images, setting: Setting
) -> Iterator[Outcome]:
    """Yield what is decided under each corruption.

    Options: `jpeg_quality`, of a JPEG pass after the corruption; none where absent.
    """
    quality = setting.options.get("jpeg_quality")
    for condition in setting.conditions:
        # A corruption is the same whatever the network computes in.
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
