"""Class maps: predictions among coarser classes than the classifier's, as for cue conflicts.

Any of ImageNet's cats is a correct prediction for a photograph of a cat. The protocol of Geirhos et
al. [1]_: the prediction is the coarser class with the highest mean softmax probability over its
members. With the sum in place of the mean, coarser classes with many members would be favoured.

References
----------
.. [1] Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
   improves accuracy and robustness", ICLR 2019.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # checks of the configuration read class maps without torch
    from torch import Tensor


@dataclass(frozen=True)
class ClassMap:
    """Coarser classes: names, and the members of each among the classifier's classes."""

    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]

    @property
    def highest(self) -> int:
        """The highest class that is a member."""
        return max(max(members) for members in self.members)

    def check(self, num_classes: int) -> None:
        """Raise a ValueError if a member is not a class of the classifier."""
        if self.highest >= num_classes:
            raise ValueError(
                f"class map: class {self.highest} is a member, but the model has {num_classes} "
                "classes"
            )

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Return the logarithm of the mean probability of members, (B, coarser classes).

        Parameters
        ----------
        logits : (B, K).
        """
        import torch

        log_probability = logits.log_softmax(dim=1)
        means = [
            log_probability[:, list(members)].logsumexp(dim=1) - math.log(len(members))
            for members in self.members
        ]
        return torch.stack(means, dim=1)


def read_class_map(path: Path) -> ClassMap:
    """Return the class map in a JSON file: an object of names and lists of members.

    Raises
    ------
    ValueError
        if the file cannot be read or is invalid: no members, a member of two classes, a negative
        or fractional member.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ValueError(f"class map {path}: cannot be read ({error})") from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f"class map {path}: expected an object of names and lists of classes")
    seen: dict[int, str] = {}
    for name, members in content.items():
        if not isinstance(members, list) or not members:
            raise ValueError(f"class map {path}: {name!r} is {members!r}; expected a list")
        for member in members:
            if type(member) is not int or member < 0:
                raise ValueError(f"class map {path}: {name!r} has the member {member!r}")
            if member in seen:
                raise ValueError(
                    f"class map {path}: {member} is a member of {seen[member]!r} and {name!r}"
                )
            seen[member] = name
    return ClassMap(tuple(content), tuple(tuple(members) for members in content.values()))
