"""Pictures for the gallery of the page: images as a model sees them under a perturbation.

A picture has the pixels of the shards: it is made by the functions of the evaluator, from the same
keys and seed. Perturbations of the network change no image and have none.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import InputEvaluator, Setting
from perturb.experiments.registry import entry_point, evaluator, perturbation
from perturb.models.classifier import Classifier


@dataclass(frozen=True)
class Scene:
    """Some images of a cell.

    perturbation : its id.
    images : on the device of the classifier.
    setting : of the cell.
    classifier : of the cell's model; None for perturbations without a function for the gallery.
    rows : of the cell's shard, those of these images; None as the classifier.
    """

    perturbation: str
    images: Images
    setting: Setting
    classifier: Classifier | None = None
    rows: pa.Table | None = None


@dataclass(frozen=True)
class Picture:
    """One condition of a scene.

    condition : as in the shard.
    pixels : (B, 3, H, W), uint8, or floating point in [0, 1].
    label : None for that of the condition.
    """

    condition: str
    pixels: Tensor
    label: str | None = None


def pictures_of(scene: Scene) -> Iterator[Picture]:
    """Yield the pictures of a scene; none for a perturbation that the gallery does not show."""
    named = perturbation(scene.perturbation).gallery
    if named is not None:
        yield from entry_point(named)(scene)
        return
    pixels_of = evaluator(scene.perturbation)
    if isinstance(pixels_of, InputEvaluator):
        for found in pixels_of.pixels(scene.images, scene.setting):
            yield Picture(found.condition, found.pixels)


def severity_label(id: str, severity: float) -> str:
    """Return the label of a perturbation's severity; empty if it has only one."""
    declared = perturbation(id)
    if not isinstance(declared.severities, str):
        return ""
    return declared.severity_label % round(severity * declared.severity_scale, 6)
