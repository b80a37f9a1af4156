"""Evaluation on corrupted images."""

from collections.abc import Iterator

from perturb.datasets.store import Images
from perturb.evaluation.outcome import InputEvaluator, Perturbed, Setting
from perturb.experiments.corruptions.corruptions import corrupt
from perturb.models.precision import float32


@InputEvaluator
def corrupted_outcomes(images: Images, setting: Setting) -> Iterator[Perturbed]:
    """Yield the images under each corruption.

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
        yield Perturbed(condition, pixels)
