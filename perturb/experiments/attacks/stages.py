"""Stages that attacks have in common: the clean prediction, and that of adversarial images.

Legend: B images, K classes, T classes that the DLR loss aims at.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome
from perturb.evaluation.stages import Done, Kept, Stage, Standing
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.norms import LINF, Norm
from perturb.models.classifier import Classifier

# What all attacks after the clean prediction may need of it.
_CARRIED = ("gradient_norm", "aims")


@dataclass(frozen=True)
class Predicting:
    """Predictions that attacks record of a classifier.

    conditions : under which they count: an attack's own, and those of all attacks after it.
    norm : of the recorded distance.
    """

    classifier: Classifier
    conditions: Sequence[str]
    norm: Norm = LINF

    def clean(self, keep: Callable[[Tensor, Tensor], Kept]) -> Stage:
        """Return the stage of the clean images; those predicted incorrectly are finished.

        Parameters
        ----------
        keep : returns what later stages need of logits (B, K) and targets (B,).
        """

        def run(standing: Standing, _: int) -> Done:
            targets = standing.images.targets
            logits = gradients.logits_of(self.classifier, floats(standing.images))
            distance = torch.zeros_like(logits[:, 0])
            columns = {"distance": distance, "gradient_norm": torch.full_like(distance, torch.nan)}
            leaves = logits.argmax(dim=1) != targets
            return Done(self.outcomes(logits, columns), keep(logits, targets), leaves)

        return Stage(run)

    def adversarial(self, standing: Standing, adversarial: Tensor, norm: Tensor) -> Done:
        """Return the predictions of adversarial images by a new pass; misled ones are finished."""
        distance = self.norm.size(adversarial - floats(standing.images))
        logits = gradients.logits_of(self.classifier, adversarial)
        return Done(
            self.outcomes(logits, {"distance": distance, "gradient_norm": norm}),
            carried(standing) | {"gradient_norm": norm},
            leaves=logits.argmax(dim=1) != standing.images.targets,
        )

    def outcomes(self, logits: Tensor, columns: Mapping[str, Tensor]) -> list[Outcome]:
        """Return the same outcome under each condition."""
        return [Outcome(condition, 0, logits, columns) for condition in self.conditions]


def unchanged(predicting: Predicting) -> list[Stage]:
    """Return the stages of epsilon 0, where nothing but the gradient is new: same logits."""

    def run(standing: Standing, _: int) -> Done:
        norm, is_finite = clean_gradient(predicting.classifier, standing.images)[1:]
        columns = {"distance": torch.zeros_like(norm), "gradient_norm": norm}
        outcomes = predicting.outcomes(standing.kept["logits"], columns)
        return Done(outcomes, is_finite=is_finite)

    return [predicting.clean(lambda logits, _: {"logits": logits}), Stage(run)]


def clean_gradient(classifier: Classifier, images: Images) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss' gradient at clean images, its norm (B,), and whether it is finite."""
    gradient = gradients.loss_gradient(classifier, floats(images), images.targets)
    return gradient, gradient.abs().amax(dim=(1, 2, 3)), torch.isfinite(gradient.sum())


def carried(standing: Standing) -> dict[str, Tensor]:
    """Return what is kept of the clean prediction."""
    return {name: standing.kept[name] for name in _CARRIED if name in standing.kept}


def floats(images: Images) -> Tensor:
    """Return the pixels as float32 in [0, 1]."""
    pixels = images.pixels
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels  # as the classifier does
