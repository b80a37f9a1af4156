"""Predictions of rotated and translated images: the worst case, and random samples.

After Engstrom et al. [1]_: an image counts as robust only if it is classified correctly under all
rotations and translations of a grid (see ``transforms``). Differences: they keep the incorrectly
classified transform of highest loss, whereas this search stops at the first one in its order, which
does not change the result; their random variant draws from a continuous range, this one from the
grid without replacement, so that it also estimates the average over the grid.

Legend: B images, H W pixels, K classes, T transforms.

References
----------
.. [1] Engstrom et al., "Exploring the Landscape of Spatial Robustness", ICML 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor

from perturb.evaluation.outcome import Outcome, Setting
from perturb.evaluation.stages import Done, Stage, StagedEvaluator, Standing
from perturb.experiments.attacks.gradients import logits_of
from perturb.experiments.setting import checked_options
from perturb.experiments.spatial.search import Search, State, WorstCase, worst_spatial
from perturb.experiments.spatial.transforms import (
    Transform,
    Turns,
    as_floats,
    spatial_grid,
    transform,
    turned,
    windows,
)
from perturb.models.classifier import Classifier
from perturb.random import bits, stream_keys

__all__ = ["WorstCase", "spatial_grid", "spatial_outcomes", "transform", "worst_spatial"]


@StagedEvaluator
def spatial_outcomes(
    classifier: Classifier, shape: torch.Size, setting: Setting
) -> Sequence[Stage]:
    """Return the stages of the predictions of transformed images; evaluates ``spatial``.

    Condition ``grid`` has one sample, the worst case. Condition ``random`` has ``samples``,
    numbered from 1: points of the grid that each image draws uniformly, without replacement and in
    random order, so that their mean estimates the mean over the grid and the first ten are a
    worst-of-10. Both fill rotation_deg, translation_x_px and translation_y_px. The worst transform
    of an image that is incorrect without a change is the identity, which is tried first.

    All images of a first batch share its passes: their random samples and clean logits are those of
    any evaluator, bit for bit; logits of the worst case agree up to rounding with those of other
    batches.

    Parameters
    ----------
    setting : severity and options are those of `spatial_grid`, and ``samples``.

    Raises
    ------
    ValueError
        for an unknown condition or option, values that `spatial_grid` refuses, and more samples
        than the grid has points.
    """
    options = checked_options("spatial", setting)
    samples = options.pop("samples")
    grid = spatial_grid(min(shape[1:]), setting.severity, **options)
    device = classifier.mean.device
    stages = []
    if "random" in setting.conditions:
        # The draws must not depend on the search order, which affects only the speed.
        sampled = _Sampled(classifier, _Points.of(sorted(grid), device), samples, setting.seed)
        stages.append(Stage(sampled.run))
    if "grid" in setting.conditions:
        search, points = Search.over(classifier, grid, device), _Points.of(grid, device)
        stages += [Stage(partial(_searched, search, points, span)) for span in search.spans]
    return stages


@dataclass(frozen=True)
class _Points:
    """Points of a grid, in tensors (T,) on the device; ``margin_px`` is the largest translation."""

    turns: Turns
    rotation_deg: Tensor  # float32
    x_px: Tensor  # int64
    y_px: Tensor
    margin_px: int

    @classmethod
    def of(cls, points: Sequence[Transform], device: torch.device) -> Self:
        """Return the points on a device."""
        angles, *shifts = torch.tensor(points, dtype=torch.float64).T
        x_px, y_px = (shift.long().to(device) for shift in shifts)
        margin_px = max(max(abs(point.x_px), abs(point.y_px)) for point in points)
        return cls(Turns.of(angles, device), angles.float().to(device), x_px, y_px, margin_px)

    def columns(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return the points with these numbers (B,) as columns of a shard."""
        return {
            "rotation_deg": self.rotation_deg[numbers],
            "translation_x_px": self.x_px[numbers].to(torch.int16),
            "translation_y_px": self.y_px[numbers].to(torch.int16),
        }


def _searched(
    search: Search, points: _Points, span: range, standing: Standing, capacity: int
) -> Done:
    """Try the transforms of one stage on images that none before has broken."""
    pixels, targets = as_floats(standing.images.pixels), standing.images.targets
    before = State(**standing.kept) if span.start else None
    state, is_finite = search.advanced(before, pixels, targets, span, capacity)
    outcome = Outcome("grid", 0, state.logits, points.columns(state.transform))
    return Done([outcome], vars(state), leaves=state.is_broken, is_finite=is_finite)


@dataclass(frozen=True)
class _Sampled:
    """Random samples of some points."""

    classifier: Classifier
    points: _Points
    samples: int
    seed: int

    def __post_init__(self) -> None:
        count = len(self.points.x_px)
        # A grid of severity 0 has one point, which is drawn repeatedly: all samples are clean.
        if not 1 <= self.samples <= count and count > 1:
            raise ValueError(f"samples is {self.samples}; allowed: 1 to {count}, the grid's points")

    def run(self, standing: Standing, _: int) -> Done:
        """Predict each sample of the images."""
        pixels = as_floats(standing.images.pixels)
        keys = stream_keys(self.seed, "spatial/random", standing.images.keys)
        hashes = bits(keys, len(self.points.x_px))
        drawn = hashes.argsort(dim=1, stable=True)[:, : self.samples].expand(-1, self.samples)
        return Done([self._sample(pixels, *one) for one in enumerate(drawn.T, start=1)])

    def _sample(self, pixels: Tensor, sample: int, numbers: Tensor) -> Outcome:
        points, margin_px = self.points, self.points.margin_px
        canvas = turned(pixels, points.turns.at(numbers), margin_px)
        moved = windows(canvas, margin_px, points.x_px[numbers], points.y_px[numbers])
        return Outcome("random", sample, logits_of(self.classifier, moved), points.columns(numbers))
