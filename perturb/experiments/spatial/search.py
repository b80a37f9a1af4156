"""Search for the worst of the rotations and translations of images.

The search ends for an image at the first transform that is classified incorrectly; that does not
change the result. It is divided into stages, after each of which such images are left out
(`perturb.evaluation.spans`).

Legend: B images, H W pixels, K classes, T transforms, G transforms classified in one pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.evaluation.spans import spans
from perturb.experiments.attacks.arguments import check_all_finite
from perturb.experiments.attacks.gradients import logits_of
from perturb.experiments.spatial.transforms import (
    Transform,
    Turns,
    as_floats,
    translated,
    turned,
)
from perturb.models.classifier import Classifier


@dataclass(frozen=True)
class WorstCase:
    """Result of a search over T transforms for B images.

    is_broken : bool (B,), whether any transform is classified incorrectly.
    transform : int64 (B,), the position of the first transform that is classified incorrectly; if
        there is none, of the first one of highest loss.
    logits : float32 (B, K), under that transform.
    """

    is_broken: Tensor
    transform: Tensor
    logits: Tensor


def worst_spatial(
    classifier: Classifier, images: Tensor, targets: Tensor, transforms: Sequence[Transform]
) -> WorstCase:
    """Return the worst case of each image over the transforms, tried in their order.

    The search ends for an image at the first transform that is classified incorrectly. When few
    images remain, several transforms share a batch; the result is that of a sequential search.

    Parameters
    ----------
    images : (B, 3, H, W), uint8, or floating point in [0, 1].
    targets : int64 (B,).
    transforms : at least one; neighbours of the same rotation share it.

    Raises
    ------
    ValueError
        if a logit is not finite.
    """
    search = Search.over(classifier, transforms, images.device)
    pixels, state, flags = as_floats(images), None, []
    rows, capacity = torch.arange(len(images), device=images.device), len(images)
    found: State | None = None
    for numbers in search.spans:
        state, is_finite = search.advanced(state, pixels, targets, numbers, capacity)
        flags.append(is_finite)
        found = state if found is None else found.replaced(rows, state)
        still_correct = (~state.is_broken).nonzero()[:, 0]
        if len(still_correct) == 0:
            break
        if len(still_correct) < len(rows):
            pixels, targets, rows = (part[still_correct] for part in (pixels, targets, rows))
            state = state.at(still_correct)
    check_all_finite(flags)
    assert found is not None
    return WorstCase(found.is_broken, found.transform, found.logits)


@dataclass(frozen=True)
class State:
    """The worst case of B images so far: every field has one row per image."""

    loss: Tensor  # (B,)
    transform: Tensor  # (B,)
    logits: Tensor  # (B, K)
    is_broken: Tensor  # (B,)

    def at(self, rows: Tensor) -> Self:
        """Return the state of some images."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def replaced(self, rows: Tensor, new: Self) -> Self:
        """Return the state with that of some images replaced."""
        parts = {f.name: getattr(self, f.name).clone() for f in fields(self)}
        for name, part in parts.items():
            part[rows] = getattr(new, name)
        return replace(self, **parts)

    def seen(self, targets: Tensor, first: int, logits: Tensor) -> Self:
        """Return the state with logits (G, B, K) of the next G transforms, numbered from first."""
        loss, is_wrong = _judged(logits, targets)
        is_broken = is_wrong.any(dim=0)
        # argmax returns the first of equals, so the first incorrect transform.
        chosen = torch.where(is_broken, is_wrong.int().argmax(dim=0), loss.argmax(dim=0))
        own = torch.arange(len(targets), device=targets.device)
        worst, at_worst = loss[chosen, own], logits[chosen, own]
        is_worse = ~self.is_broken & (is_broken | (worst > self.loss))
        return replace(
            self,
            loss=torch.where(is_worse, worst, self.loss),
            transform=torch.where(is_worse, chosen + first, self.transform),
            logits=torch.where(is_worse[:, None], at_worst, self.logits),
            is_broken=self.is_broken | is_broken,
        )


@dataclass(frozen=True)
class Search:
    """A search over some transforms, whose rotations are on the device."""

    classifier: Classifier
    transforms: Sequence[Transform]
    turns: Turns

    @classmethod
    def over(
        cls, classifier: Classifier, transforms: Sequence[Transform], device: torch.device
    ) -> Self:
        """Return the search over some transforms of images on a device."""
        turns = Turns.of([point.rotation_deg for point in transforms], device)
        return cls(classifier, transforms, turns)

    @property
    def spans(self) -> list[range]:
        """The numbers of the transforms of each stage."""
        return spans(len(self.transforms))

    @property
    def margin_px(self) -> int:
        """The largest translation."""
        return max(max(abs(point.x_px), abs(point.y_px)) for point in self.transforms)

    def advanced(
        self,
        state: State | None,
        pixels: Tensor,
        targets: Tensor,
        numbers: range,
        capacity: int,
    ) -> tuple[State, Tensor]:
        """Return the state after some transforms, and whether all logits were finite, bool ().

        Parameters
        ----------
        state : None before the first transform.
        pixels : float32 (B, 3, H, W) in [0, 1].
        capacity : images that may be classified at once, B or more: transforms share a pass if
            there are few images.
        """
        is_finite = torch.ones((), dtype=torch.bool, device=pixels.device)
        made, together = self._moved(pixels, numbers), max(1, capacity // len(pixels))
        for start in range(0, len(numbers), together):
            group = numbers[start : start + together]
            moved = torch.cat([next(made) for _ in group])
            logits = logits_of(self.classifier, moved).reshape(len(group), len(pixels), -1)
            is_finite &= torch.isfinite(logits).all()
            if state is None:
                state = _before(logits[0])
            state = state.seen(targets, group[0], logits)
        assert state is not None
        return state, is_finite

    def _moved(self, pixels: Tensor, numbers: range) -> Iterator[Tensor]:
        """Yield the images under each transform; neighbours of the same rotation share it."""
        margin_px, rotation_deg, canvas = self.margin_px, None, pixels
        for number in numbers:
            point = self.transforms[number]
            if point.rotation_deg != rotation_deg:
                rotation_deg = point.rotation_deg
                turn = self.turns.at(slice(number, number + 1))
                turn = replace(turn, has_any=rotation_deg != 0)
                canvas = turned(pixels, turn, margin_px)
            yield translated(canvas, margin_px, point)


def _judged(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return losses and whether predictions are incorrect, each (G, B)."""
    wanted = targets.expand(len(logits), -1)
    loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    return loss.view_as(wanted), logits.argmax(dim=2) != wanted


def _before(logits: Tensor) -> State:
    """Return the state before the first transform; its logits only give the shape."""
    lacking = torch.full_like(logits[:, 0], -torch.inf)
    nothing = torch.zeros_like(lacking, dtype=torch.int64)
    return State(lacking, nothing, logits, torch.zeros_like(lacking, dtype=torch.bool))
