"""Rotations and translations of images: the grid of the spatial attack, and its pixels.

The grid is that of Engstrom et al. [1]_: 31 rotations within 30 degrees, 5 x 5 translations within
24/224 of the side. As in their code an image is rotated about its centre, then translated; pixels
outside are zero, and each pixel is interpolated once, bilinearly. Difference: translations are
whole pixels at any image size (theirs are at 224 px), so that all translations share one rotation.

Legend: B images, H W pixels.

References
----------
.. [1] Engstrom et al., "Exploring the Landscape of Spatial Robustness", ICML 2019.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor


class Transform(NamedTuple):
    """A rotation, counter-clockwise as displayed, then a translation.

    Positive x is to the right, positive y down.
    """

    rotation_deg: float
    x_px: int
    y_px: int


IDENTITY = Transform(0.0, 0, 0)


def spatial_grid(
    side_px: int,
    severity: float = 1.0,
    *,
    max_rotation_deg: float = 30.0,
    rotations: int = 31,
    max_translation: float = 24 / 224,
    translations: int = 5,
) -> tuple[Transform, ...]:
    """Return the grid of transforms in search order.

    The identity comes first, then the largest translations under rotations from the largest to
    none, then the rest, rotation by rotation: on small networks a search finds a transform that
    misleads the network after 4 to 13 transforms, in the published order after 25 to 49.

    Rotations and translations that are equal after scaling or rounding count once: the published
    775 points remain at 32 px, and are fewer below 14 px.

    Parameters
    ----------
    side_px : of the (square) images.
    severity : scale of all rotations and translations; 1 is the published grid, 0 the identity.
    max_rotation_deg, rotations : the largest rotation, and the number of rotations, both ends
        included.
    max_translation, translations : likewise along each axis, as a fraction of the side, rounded to
        whole pixels: -3, -2, 0, 2, 3 at 32 px, -24, -12, 0, 12, 24 at 224 px.

    Raises
    ------
    ValueError
        for a negative severity or limit, and for an even number: the identity must be in the grid.
    """
    _check_limit("severity", severity)
    _check_limit("max_rotation_deg", max_rotation_deg)
    _check_limit("max_translation", max_translation)
    reach_deg, reach_px = severity * max_rotation_deg, severity * max_translation * side_px
    # Adding 0 turns -0 into 0.
    angles = {reach_deg * step + 0.0 for step in _steps("rotations", rotations)}
    shifts = {_rounded(reach_px * step) for step in _steps("translations", translations)}
    points = [Transform(angle, x, y) for angle in angles for x in shifts for y in shifts]
    return tuple(sorted(points, key=partial(_order_of_trial, reach_px=max(shifts))))


def _order_of_trial(point: Transform, reach_px: int) -> tuple[float, ...]:
    """Return the sort key of `spatial_grid`; `reach_px` is its largest translation."""
    distance_px = abs(point.x_px) + abs(point.y_px)
    is_corner = distance_px == 2 * reach_px
    return point != IDENTITY, not is_corner, -abs(point.rotation_deg), -distance_px, *point


def _steps(name: str, number: int) -> list[float]:
    """Return `number` equal steps from -1 to 1, with an exact 0 in the middle."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1 or number % 2 == 0:
        raise ValueError(f"{name} is {number!r}; allowed: odd numbers, so that one is 0")
    half = number // 2
    return [step / max(half, 1) for step in range(-half, half + 1)]


def _rounded(shift_px: float) -> int:
    """Return the nearest whole number, halves away from 0: the grid stays symmetric."""
    return int(math.copysign(math.floor(abs(shift_px) + 0.5), shift_px))


def _check_limit(name: str, value: float) -> None:
    if not (isinstance(value, int | float) and 0 <= value < math.inf):
        raise ValueError(f"{name} is {value!r}; allowed: finite numbers from 0 on")


def transform(
    images: Tensor,
    rotation_deg: float | Tensor,
    translation_x_px: int | Tensor,
    translation_y_px: int | Tensor,
) -> Tensor:
    """Return the images rotated about their centres, then translated, with zeros outside.

    Without rotation, pixels are moved without interpolation: the identity returns equal values.

    Parameters
    ----------
    images : (B, 3, H, W), uint8, or floating point in [0, 1].
    rotation_deg, translation_x_px, translation_y_px : as of `Transform`, for all images or (B,).

    Returns
    -------
    float32 (B, 3, H, W) in [0, 1].
    """
    device = images.device
    shifts = torch.stack(
        [
            torch.as_tensor(shift, device=device).long().expand(len(images))
            for shift in (translation_x_px, translation_y_px)
        ]
    )
    margin_px = int(shifts.abs().max()) if len(images) else 0
    canvas = rotated(as_floats(images), rotation_deg, margin_px)
    return windows(canvas, margin_px, *shifts)


def windows(canvas: Tensor, margin_px: int, x_px: Tensor, y_px: Tensor) -> Tensor:
    """Return the window of each `rotated` canvas that is its image translated.

    Parameters
    ----------
    x_px, y_px : int64 (B,), none further than the margin.
    """
    height, width = (side - 2 * margin_px for side in canvas.shape[2:])
    every = canvas.unfold(2, height, 1).unfold(3, width, 1)
    own = torch.arange(len(canvas), device=canvas.device)
    # (B, 3, Y, X, H, W), a view: one (Y, X) per image is copied.
    return every[own, :, margin_px - y_px, margin_px - x_px]


@dataclass(frozen=True)
class Turns:
    """Some rotations, float32 (T,) on the device of the images.

    is_upright : bool (T,), which rotations turn nothing.
    has_any : whether a rotation turns something.
    """

    cos: Tensor
    sin: Tensor
    is_upright: Tensor
    has_any: bool

    @classmethod
    def of(cls, rotation_deg: float | Sequence[float] | Tensor, device: torch.device) -> Self:
        """Return the rotations by some angles."""
        # In float64 on the host: one rounding, the same in every batch and on every device.
        angles = torch.as_tensor(rotation_deg, dtype=torch.float64, device="cpu").reshape(-1)
        radians = angles.deg2rad()
        return cls(
            radians.cos().float().to(device),
            radians.sin().float().to(device),
            (angles == 0).to(device),
            bool(angles.any()),
        )

    def at(self, index: Tensor | slice) -> Self:
        """Return some of the rotations."""
        parts = self.cos[index], self.sin[index], self.is_upright[index]
        return replace(self, cos=parts[0], sin=parts[1], is_upright=parts[2])


def rotated(pixels: Tensor, rotation_deg: float | Tensor, margin_px: int) -> Tensor:
    """Return float32 images rotated on a canvas with an additional margin on each side.

    Every `translated` window of it is the image rotated, then translated: a translation by whole
    pixels samples the same positions.

    Parameters
    ----------
    pixels : float32 (B, 3, H, W).
    rotation_deg : for all images or (B,).
    margin_px : the largest translation of a later window.

    Returns
    -------
    float32 (B, 3, H + 2 * margin_px, W + 2 * margin_px).
    """
    return turned(pixels, Turns.of(rotation_deg, pixels.device), margin_px)


def turned(pixels: Tensor, turns: Turns, margin_px: int) -> Tensor:
    """Return `rotated` images; `turns` has one rotation for all images, or one each."""
    upright = F.pad(pixels, [margin_px] * 4)
    if not turns.has_any:
        return upright
    places = _places(turns, pixels, margin_px).expand(len(pixels), -1, -1, -1)
    sampled = F.grid_sample(
        pixels, places, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    if len(turns.cos) == 1:
        return sampled
    return torch.where(turns.is_upright[:, None, None, None], upright, sampled)


def _places(turns: Turns, pixels: Tensor, margin_px: int) -> Tensor:
    """Return the position that each pixel of the canvases samples, in `grid_sample`'s format."""
    height, width = pixels.shape[2:]
    cos, sin = turns.cos[:, None, None], turns.sin[:, None, None]
    x = _offsets(width, margin_px, pixels.device)
    y = _offsets(height, margin_px, pixels.device)[:, None]
    # y points down: a pixel right of the centre samples below right, so the image turns left.
    return torch.stack(
        [(cos * x - sin * y) * (2 / width), (sin * x + cos * y) * (2 / height)], dim=-1
    )


def _offsets(side_px: int, margin_px: int, device: torch.device) -> Tensor:
    """Return the distance of each pixel of a line of the canvas from the middle [px]."""
    return torch.arange(-margin_px, side_px + margin_px, device=device) - (side_px - 1) / 2


def translated(canvas: Tensor, margin_px: int, point: Transform) -> Tensor:
    """Return the window of a `rotated` canvas that is its image translated, as a view."""
    top, left = margin_px - point.y_px, margin_px - point.x_px
    height, width = (side - 2 * margin_px for side in canvas.shape[2:])
    return canvas[:, :, top : top + height, left : left + width]


def as_floats(images: Tensor) -> Tensor:
    """Return images as float32 in [0, 1], as a classifier turns uint8 into floats."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()
