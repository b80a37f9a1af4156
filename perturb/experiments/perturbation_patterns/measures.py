"""Measures of adversarial perturbations: Figure 5 of the paper as numbers.

The paper shows the PGD perturbations of some images against several models and observes that those
of ViTs follow the borders of patches, and that all are strongest around the foreground. Each
observation becomes a ratio per image here; 1 means no preference for borders or for the object. The
baseline of a ViT's ratio is that of a ResNet, which has no patches, on the same grid.

Legend: B images, H W pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.experiments.attacks.gradients import pgd
from perturb.experiments.spatial.transforms import as_floats
from perturb.models.classifier import Classifier

SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("image_id", pa.string()),
        ("patch_px", pa.int32()),
        ("border_ratio", pa.float32()),
        ("foreground_ratio", pa.float32()),
    ]
)


class PatternStatistics(NamedTuple):
    """Both ratios of B perturbations, float64 (B,)."""

    border_ratio: Tensor
    foreground_ratio: Tensor


def perturbations_of(
    classifier: Classifier, images: Images, epsilon: float, *, steps: int = 8
) -> Tensor:
    """Return the PGD perturbations of images in units of epsilon.

    Every image is attacked, including those that the classifier predicts incorrectly: the measure
    is the location of the loss's sensitivity, not a change of the prediction, and all models are
    compared on the same images.

    Parameters
    ----------
    epsilon : radius of the ball in units of [0, 1], more than 0; each step is an eighth of it.

    Returns
    -------
    float32 (B, 3, H, W) in [-1, 1]; smaller where a pixel would have left [0, 1].

    Raises
    ------
    ValueError
        if epsilon is 0, and for values that ``pgd`` refuses.
    """
    if epsilon == 0:
        raise ValueError("epsilon is 0; allowed: more than 0, or there is no perturbation")
    clean = as_floats(images.pixels)
    adversarial = pgd(classifier, clean, images.targets, epsilon, steps=steps)
    # Pixels are rounded to float32, so the quotient may exceed 1 by some 1e-5.
    return ((adversarial - clean) / epsilon).clamp_(-1, 1)


def pattern_statistics(
    delta: Tensor, patch_px: float, masks: Tensor | None = None
) -> PatternStatistics:
    """Return the ratios of perturbations at the borders of patches and on the object.

    border_ratio = mean squared difference of neighbouring pixels across the borders of patches
    / the same inside patches, horizontal and vertical neighbours together, all channels;
    foreground_ratio = mean squared perturbation on the object / that off it.

    Both are 1 in expectation for white noise, whatever its strength. A ratio is NaN where it is
    undefined (no perturbation; no border, as with one patch; no pixel on or off the object; no
    mask), and infinite where only its denominator is 0, as for perturbations that are constant in
    each patch.

    Parameters
    ----------
    delta : perturbations, (B, C, H, W), in any unit.
    patch_px : side of the patches in pixels of ``delta``; the first one is in the upper left
        corner. If it is not a whole number, borders are rounded to the nearest pixel.
    masks : uint8 (B, 1, H, W), the object's fraction of each pixel, where 255 is all of it.

    Raises
    ------
    ValueError
        if an argument has another shape or type.
    """
    if delta.ndim != 4 or not delta.is_floating_point():
        raise ValueError(
            f"delta is {delta.dtype} {tuple(delta.shape)}; allowed: float (B, C, H, W)"
        )
    if isinstance(patch_px, bool) or patch_px < 1:
        raise ValueError(f"patch_px is {patch_px!r}; allowed: numbers from 1 on")
    delta = delta.double()
    return PatternStatistics(_border_ratio(delta, patch_px), _foreground_ratio(delta, masks))


def _border_ratio(delta: Tensor, patch_px: float) -> Tensor:
    pairs, is_border = [], []
    for axis in (2, 3):
        energy = delta.diff(dim=axis).square().mean(dim=1)  # (B, H - 1, W), then (B, H, W - 1)
        second = torch.arange(1, delta.shape[axis], device=delta.device)
        num_borders = int(delta.shape[axis] / patch_px)
        borders = (torch.arange(1, num_borders + 1, device=delta.device) * patch_px).round()
        crosses = torch.isin(second, borders.long())
        crosses = crosses[:, None] if axis == 2 else crosses
        is_border.append(crosses.expand(energy.shape[1:]).flatten())
        pairs.append(energy.flatten(1))
    energy, on_border = torch.cat(pairs, dim=1), torch.cat(is_border)
    return energy[:, on_border].mean(dim=1) / energy[:, ~on_border].mean(dim=1)


def _foreground_ratio(delta: Tensor, masks: Tensor | None) -> Tensor:
    if masks is None:
        return torch.full_like(delta[:, 0, 0, 0], torch.nan)
    expected = (len(delta), 1, *delta.shape[2:])
    if masks.dtype != torch.uint8 or masks.shape != expected:
        raise ValueError(f"masks are {masks.dtype} {tuple(masks.shape)}; allowed: uint8 {expected}")
    energy = delta.square().mean(dim=1).flatten(1)
    on = masks.to(delta.device).flatten(1).double() / 255
    off = 1 - on
    return ((on * energy).sum(1) / on.sum(1)) / ((off * energy).sum(1) / off.sum(1))


def tabulated(
    delta: Tensor,
    masks: Tensor | None,
    *,
    model: str,
    image_ids: Sequence[str],
    patch_sizes: Sequence[int],
    scale: float = 1.0,
) -> pa.Table:
    """Return both ratios of each image's perturbation, on the grid of each patch size.

    Parameters
    ----------
    delta, masks : as of `pattern_statistics`.
    model, image_ids : ids for the rows.
    patch_sizes : in pixels of the network's input; at least one.
    scale : side of the images over that of the network's input, to which they are resized.

    Returns
    -------
    table of ``SCHEMA``, one row per image and patch size. A ratio that is NaN or infinite is null,
    so that means over images are finite.
    """
    tables = []
    for patch_px in patch_sizes:
        ratios = pattern_statistics(delta, patch_px * scale, masks)
        columns = {
            "model": [model] * len(delta),
            "image_id": pa.array(image_ids, pa.string()),
            "patch_px": np.full(len(delta), patch_px),
            **{name: _finite(values) for name, values in ratios._asdict().items()},
        }
        tables.append(pa.table(columns).cast(SCHEMA))
    return pa.concat_tables(tables)


def _finite(values: Tensor) -> pa.Array:
    numbers = values.cpu().numpy()
    return pa.array(numbers, mask=~np.isfinite(numbers))
