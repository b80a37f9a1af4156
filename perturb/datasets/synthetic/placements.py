"""Random maps of scenes: from the image to an object, and from an object to a texture tile.

Legend: B images. A map (B, 6) has the rows of an affine transform, as in ``scenes.Sprite``.
"""

import math

import torch
from torch import Tensor

from perturb.datasets.synthetic.draws import Draws
from perturb.datasets.synthetic.textures import is_centred


def draw_place(
    draws: Draws, name: str, *, scale: Tensor, offset: Tensor, turn: Tensor, bend: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the map from image to object (B, 6) and pixels per object unit (B,).

    The object is stretched, sheared, rotated, scaled and moved; the map is the inverse.
    """
    stretch = draws.symmetric(f"{name}-stretch", bend).exp()
    shear = draws.symmetric(f"{name}-shear", bend)
    angle = draws.symmetric(f"{name}-turn", turn)
    x0, y0 = draws.symmetric(f"{name}-x", offset), draws.symmetric(f"{name}-y", offset)
    # Image to object: undo rotation, shear and stretch, in this order; each has determinant 1.
    cos, sin = angle.cos() / scale, angle.sin() / scale
    ax, ay = (cos + shear * sin) / stretch, (sin - shear * cos) / stretch
    bx, by = -sin * stretch, cos * stretch
    columns = [ax, ay, -(ax * x0 + ay * y0), bx, by, -(bx * x0 + by * y0)]
    return torch.stack(columns, dim=1).float(), (16.0 * scale).float()


def draw_warp(draws: Draws, name: str, amplitude: Tensor) -> Tensor:
    """Return amplitude, frequency and phase of the x and of the y wave of a warp, (B, 6)."""
    columns = []
    for axis in (f"{name}-x", f"{name}-y"):
        columns += [draws.uniform(axis) * amplitude]
        columns += [draws.uniform(f"{axis}-frequency", 0.35, 0.9), draws.uniform(f"{axis}-phase")]
    return torch.stack(columns, dim=1).float()


def draw_texture_place(draws: Draws, name: str, texture: Tensor) -> Tensor:
    """Return the map from object to tile; centred textures keep their centre near the object's."""
    place = draw_tile_place(draws, name, 0.23, 0.28, turn=0.1)
    slack = torch.where(is_centred()[texture], 0.06, 1.0)
    place[:, 2] = 0.5 + slack * (place[:, 2] - 0.5)
    place[:, 5] = 0.5 + slack * (place[:, 5] - 0.5)
    return place


def draw_tile_place(
    draws: Draws, name: str, low: float, high: float, turn: float = math.pi
) -> Tensor:
    """Return a map to a tile, float32 (B, 6): random phase, ``low`` to ``high`` tiles per unit."""
    zoom = draws.uniform(f"{name}-zoom", low, high)
    angle = draws.symmetric(f"{name}-angle", turn)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    u, v = draws.uniform(f"{name}-u"), draws.uniform(f"{name}-v")
    return torch.stack([cos, sin, u, -sin, cos, v], dim=1).float()
