"""The one table of input perturbations: what each does to a batch of images."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from perturb.images.store import Images
from perturb.perturbations.corruptions import corrupt


@dataclass(frozen=True)
class Strength:
    """One setting of a perturbation: the condition, its severity, and the study's seed."""

    condition: str
    severity: float
    seed: int


def _unchanged(images: Images, _: Strength) -> Tensor:
    return images.pixels


def _corrupted(images: Images, strength: Strength) -> Tensor:
    return corrupt(
        images.pixels, strength.condition, int(strength.severity), images.keys, strength.seed
    )


INPUT_PERTURBATIONS: dict[str, Callable[[Images, Strength], Tensor]] = {
    "none": _unchanged,
    "corruptions": _corrupted,
}
