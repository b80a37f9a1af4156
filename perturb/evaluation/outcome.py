"""The interface of all perturbations: the inputs and outputs of their evaluators.

An evaluator takes a classifier and some images, and yields the logits under each condition and
sample of its cell. The evaluation loop converts them to rows and knows no perturbation. There are
three kinds, which differ in how the loop may run them:

- a function `(classifier, images, setting) -> Iterator[Outcome]`, batch by batch: perturbations of
  the network;
- an `InputEvaluator`, which makes pixels and knows no classifier: one batch of its pixels can serve
  several models;
- a `StagedEvaluator` (`perturb.evaluation.stages`), whose work on an image ends early for some
  images: the loop fills batches with those that are left.

All three can be called as the function, with images of one batch.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any

import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.models.classifier import Classifier


@dataclass(frozen=True)
class Setting:
    """The setting of a cell: its conditions, the natural value of its severity, the study's seed.

    options : other options of the perturbation, such as a number of steps.
    """

    conditions: tuple[str, ...]
    severity: float
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """Logits of B images under one condition.

    sample : number of the repeat, 0 without repeats.
    logits : (B, K), or log-probabilities. The loop refuses those that are not finite, at the end of
        the cell: an evaluator need not wait for the device to check them.
    added : further columns of the shard: each of shape (B,), or one text for all images.
    """

    condition: str
    sample: int
    logits: Tensor
    added: Mapping[str, Tensor | str] = field(default_factory=dict)


Evaluator = Callable[[Classifier, Images, Setting], Iterator[Outcome]]


@dataclass(frozen=True)
class Perturbed:
    """Pixels of B images under one condition; sample and added are those of `Outcome`.

    pixels : (B, 3, H, W), uint8, or floating point in [0, 1].
    """

    condition: str
    pixels: Tensor
    sample: int = 0
    added: Mapping[str, Tensor | str] = field(default_factory=dict)

    def part(self, start: int, stop: int) -> "Perturbed":
        """Return images start to stop - 1, without a copy."""
        added = {
            name: value if isinstance(value, str) else value[start:stop]
            for name, value in self.added.items()
        }
        return Perturbed(self.condition, self.pixels[start:stop], self.sample, added)

    def seen_by(self, classifier: Classifier) -> Outcome:
        """Return the outcome of a classifier on these pixels."""
        logits = classifier(self.pixels)
        return Outcome(self.condition, self.sample, logits, self.added)


class InputEvaluator:
    """The evaluator of a perturbation of the input: pixels that do not depend on the classifier.

    Parameters
    ----------
    pixels : yields the perturbed images of each condition and sample; used as a decorator.
    """

    def __init__(self, pixels: Callable[[Images, Setting], Iterator[Perturbed]]) -> None:
        self.pixels = pixels
        update_wrapper(self, pixels)

    @torch.inference_mode()
    def __call__(
        self, classifier: Classifier, images: Images, setting: Setting
    ) -> Iterator[Outcome]:
        """Yield the predictions of the perturbed images."""
        for perturbed in self.pixels(images, setting):
            yield perturbed.seen_by(classifier)
