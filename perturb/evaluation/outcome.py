"""The interface of all perturbations: the inputs and outputs of their evaluators.

An evaluator takes a classifier and some images, and yields the logits under each condition and
sample of its cell. The evaluation loop converts them to rows and knows no perturbation.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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
    logits : (B, K), or log-probabilities.
    added : further columns of the shard: each of shape (B,), or one text for all images.
    """

    condition: str
    sample: int
    logits: Tensor
    added: Mapping[str, Tensor | str] = field(default_factory=dict)


Evaluator = Callable[[Classifier, Images, Setting], Iterator[Outcome]]
