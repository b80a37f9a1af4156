"""Predictions of rotated and translated images: the worst case, and random samples.

After Engstrom et al. [1]_: an image counts as robust only if it is classified correctly under all
rotations and translations of a grid (see ``transforms``). Differences: they keep the incorrectly
classified transform of highest loss, whereas this search stops at the first one in its order, which
does not change the result; their random variant draws from a continuous range, this one from the
grid without replacement, so that it also estimates the average over the grid.

Legend: B images, H W pixels, K classes, T transforms, G transforms classified in one batch, S
images still predicted correctly.

References
----------
.. [1] Engstrom et al., "Exploring the Landscape of Spatial Robustness", ICML 2019.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.attacks.gradients import predict
from perturb.experiments.setting import checked_options
from perturb.experiments.spatial.transforms import (
    Transform,
    as_floats,
    rotated,
    spatial_grid,
    transform,
    translated,
)
from perturb.models.classifier import Classifier
from perturb.random import bits, stream_keys

__all__ = ["WorstCase", "spatial_grid", "spatial_outcomes", "transform", "worst_spatial"]


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
    pixels = as_floats(images)
    search = _Search(targets, classifier.num_classes)
    margin_px = max(max(abs(point.x_px), abs(point.y_px)) for point in transforms)
    numbered = list(enumerate(transforms))
    for rotation_deg, group in groupby(numbered, key=lambda item: item[1].rotation_deg):
        if not len(search.still_correct):
            break
        canvas = rotated(pixels[search.still_correct], rotation_deg, margin_px)
        waiting = list(group)
        while waiting and len(canvas):
            num_now = max(1, len(pixels) // len(canvas))
            now, waiting = waiting[:num_now], waiting[num_now:]
            moved = torch.cat([translated(canvas, margin_px, point) for _, point in now])
            logits = predict(classifier, moved).reshape(len(now), len(canvas), -1)  # (G, S, K)
            is_broken = search.add([number for number, _ in now], logits)
            if is_broken.any():
                canvas = canvas[~is_broken]
    return search.worst


class _Search:
    """The worst case so far; `still_correct`, int64 (S,), are the images still correct."""

    def __init__(self, targets: Tensor, num_classes: int) -> None:
        num_images, device = len(targets), targets.device
        self.targets = targets
        self.still_correct = torch.arange(num_images, device=device)
        self.loss = torch.full((num_images,), -torch.inf, device=device)
        self.worst = WorstCase(
            is_broken=torch.zeros(num_images, dtype=torch.bool, device=device),
            transform=torch.zeros(num_images, dtype=torch.int64, device=device),
            logits=torch.zeros(num_images, num_classes, device=device),
        )

    def add(self, numbers: Sequence[int], logits: Tensor) -> Tensor:
        """Add logits (G, S, K) of the next G transforms; return the misled images, bool (S,)."""
        targets = self.targets[self.still_correct].expand(len(numbers), -1)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        loss = loss.view_as(targets)
        is_wrong = logits.argmax(dim=2) != targets
        is_broken = is_wrong.any(dim=0)
        # argmax returns the first of equals, so the first incorrect transform.
        chosen = torch.where(is_broken, is_wrong.int().argmax(dim=0), loss.argmax(dim=0))
        own = torch.arange(len(chosen), device=chosen.device)
        is_worse = is_broken | (loss[chosen, own] > self.loss[self.still_correct])
        chosen, own, rows = chosen[is_worse], own[is_worse], self.still_correct[is_worse]
        self.loss[rows] = loss[chosen, own]
        self.worst.transform[rows] = torch.tensor(numbers, device=chosen.device)[chosen]
        self.worst.logits[rows] = logits[chosen, own]
        self.worst.is_broken[self.still_correct] = is_broken
        self.still_correct = self.still_correct[~is_broken]
        return is_broken


def spatial_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions of transformed images; evaluates ``spatial``.

    Condition ``grid`` has one sample, the worst case. Condition ``random`` has ``samples``,
    numbered from 1: points of the grid that each image draws uniformly, without replacement and in
    random order, so that their mean estimates the mean over the grid and the first ten are a
    worst-of-10. Both fill rotation_deg, translation_x_px and translation_y_px. The worst transform
    of an image that is incorrect without a change is the identity, which is tried first.

    Parameters
    ----------
    setting : severity and options are those of `spatial_grid`, and ``samples``.

    Raises
    ------
    ValueError
        for an unknown condition or option, values that `spatial_grid` refuses, more samples than
        the grid has points, and if a logit is not finite.
    """
    options = checked_options("spatial", setting)
    samples = options.pop("samples")
    grid = spatial_grid(min(images.pixels.shape[2:]), setting.severity, **options)
    for condition in setting.conditions:
        if condition == "grid":
            worst = worst_spatial(classifier, images.pixels, images.targets, grid)
            yield Outcome(condition, 0, worst.logits, _columns(grid, worst.transform))
        else:
            yield from _sampled(classifier, images, grid, samples=samples, seed=setting.seed)


def _sampled(
    classifier: Classifier,
    images: Images,
    grid: Sequence[Transform],
    *,
    samples: int,
    seed: int,
) -> Iterator[Outcome]:
    # The draws must not depend on the search order, which affects only the speed.
    points = sorted(grid)
    # A grid of severity 0 has one point, which is drawn repeatedly: all samples are clean.
    if not 1 <= samples <= len(points) and len(points) > 1:
        raise ValueError(f"samples is {samples}; allowed: 1 to {len(points)}, the grid's points")
    hashes = bits(stream_keys(seed, "spatial/random", images.keys), len(points))
    drawn = hashes.argsort(dim=1, stable=True)[:, :samples].expand(-1, samples)
    pixels = as_floats(images.pixels)
    angles, columns, rows = torch.tensor(points, dtype=torch.float64).T.to(drawn.device)
    for sample, numbers in enumerate(drawn.T, start=1):
        moved = transform(pixels, angles[numbers], columns[numbers], rows[numbers])
        logits = predict(classifier, moved)
        yield Outcome("random", sample, logits, _columns(points, numbers))


def _columns(points: Sequence[Transform], numbers: Tensor) -> dict[str, Tensor]:
    """Return the points with these numbers (B,) as columns of a shard."""
    angles, columns, rows = torch.tensor(points, dtype=torch.float64).T.to(numbers.device)
    return {
        "rotation_deg": angles[numbers].float(),
        "translation_x_px": columns[numbers].to(torch.int16),
        "translation_y_px": rows[numbers].to(torch.int16),
    }
