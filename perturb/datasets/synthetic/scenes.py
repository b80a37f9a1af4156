"""Scenes, the parameters of images: pose, warp, texture, colours, background, light.

Scenes of a batch are drawn from the keys of their images; ``rendering`` turns them into pixels.
Hardness in [0, 1] widens the range of poses, adds clutter and reduces contrast.
Legend: B images. Lengths are in object units (a disc has the radius 0.8), places in half image
widths, both with y upwards; hues are turns.
"""

import math
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from perturb.datasets.synthetic.draws import Draws
from perturb.datasets.synthetic.family import SHAPES
from perturb.datasets.synthetic.placements import (
    draw_place,
    draw_texture_place,
    draw_tile_place,
    draw_warp,
)

NUM_CLUTTER = 3


@dataclass(frozen=True)
class Rows:
    """Tensors that share their first axis and are indexed together."""

    def rows(self, index: Tensor | slice) -> Self:
        """Return the same fields for some of the images."""
        cut = {}
        for field in fields(self):
            value = getattr(self, field.name)
            cut[field.name] = value.rows(index) if isinstance(value, Rows) else value[index]
        return type(self)(**cut)


@dataclass(frozen=True)
class Sprite(Rows):
    """One silhouette with its texture; float32 unless noted.

    shape, texture : int64 (B,).
    place : (B, 6), object x = p0 * image x + p1 * image y + p2, object y likewise from p3.
    unit_px : (B,), pixels per object unit.
    warp : (B, 6), amplitude, frequency and phase (turns) of the x and of the y wave.
    texture_place : (B, 6), tile (u, v) from the warped object (x, y), laid out as ``place``.
    colours : (B, 2, 3) in [0, 1].
    opacity : (B,).
    """

    shape: Tensor
    texture: Tensor
    place: Tensor
    unit_px: Tensor
    warp: Tensor
    texture_place: Tensor
    colours: Tensor
    opacity: Tensor


@dataclass(frozen=True)
class Scene(Rows):
    """The content of an image; float32 unless noted.

    keys : int64 (B,), for draws per pixel.
    backdrop_texture : int64 (B,); backdrop_place (B, 6); backdrop_contrast (B,).
    backdrop_colours : (B, 2, 3).
    noise_place : (B, 6), of the background's noise; noise_contrast (B,).
    bar : (B, 4), the occluder's normal (x, y), offset and half width, in half image widths.
    bar_colour : (B, 3); light (B, 2), its slope; grain (B,); shadow (B,).
    """

    keys: Tensor
    hardness: Tensor
    sprite: Sprite
    clutter_0: Sprite
    clutter_1: Sprite
    clutter_2: Sprite
    backdrop_texture: Tensor
    backdrop_place: Tensor
    backdrop_contrast: Tensor
    backdrop_colours: Tensor
    noise_place: Tensor
    noise_contrast: Tensor
    bar: Tensor
    bar_colour: Tensor
    light: Tensor
    grain: Tensor
    shadow: Tensor


def draw_scene(
    draws: Draws, shape: Tensor, texture: Tensor, hue: Tensor, *, hardness: Tensor, pool: Tensor
) -> Scene:
    """Return the scenes of objects of given shapes and textures.

    Parameters
    ----------
    draws : the batch's draws.
    shape, texture : int64 (B,), positions in ``SHAPES`` and ``TEXTURES``.
    hue : float64 (B,), base hue of the object's colours, in turns.
    hardness : float64 (B,) in [0, 1].
    pool : int64 (T,), textures of the background and the clutter.
    """
    colours, backdrop = _colours(draws, hue, hardness)
    clutter = [_clutter(draws, f"clutter-{i}", hardness, pool) for i in range(NUM_CLUTTER)]
    angle = draws.uniform("light-angle", 0, 2 * math.pi)
    slope = draws.uniform("light", 0.0, 0.15 + 0.25 * hardness)
    return Scene(
        keys=draws.stream("pixels"),
        hardness=hardness.float(),
        sprite=_object(draws, shape, texture, colours, hardness),
        clutter_0=clutter[0],
        clutter_1=clutter[1],
        clutter_2=clutter[2],
        backdrop_texture=pool[draws.integers("backdrop", len(pool))],
        backdrop_place=draw_tile_place(draws, "backdrop", 0.55, 1.1),
        backdrop_contrast=draws.uniform("backdrop-contrast", 0.0, 0.45 + 0.3 * hardness).float(),
        backdrop_colours=backdrop.float(),
        noise_place=draw_tile_place(draws, "noise", 0.12, 0.5),
        noise_contrast=draws.uniform("noise-contrast", 0.15, 0.6).float(),
        bar=_bar(draws, hardness),
        bar_colour=_rgb(draws.uniform("bar-hue"), draws.uniform("bar-s"), draws.uniform("bar-v")),
        light=torch.stack([slope * angle.cos(), slope * angle.sin()], dim=1).float(),
        grain=draws.uniform("grain", 0.01, 0.05 + 0.06 * hardness).float(),
        shadow=draws.uniform("shadow", 0.0, 0.5).float(),
    )


def _object(
    draws: Draws, shape: Tensor, texture: Tensor, colours: Tensor, hardness: Tensor
) -> Sprite:
    radius = 0.75 - 0.16 * hardness
    place, unit_px = draw_place(
        draws,
        "pose",
        scale=radius * draws.symmetric("scale", 0.2).exp(),
        offset=0.09 + 0.22 * hardness,
        turn=0.12 + 0.9 * hardness,
        bend=0.08 + 0.25 * hardness,
    )
    return Sprite(
        shape=shape,
        texture=texture,
        place=place,
        unit_px=unit_px,
        warp=draw_warp(draws, "warp", 0.02 + 0.1 * hardness),
        texture_place=draw_texture_place(draws, "texture", texture),
        colours=colours.float(),
        opacity=torch.ones_like(unit_px),
    )


def _clutter(draws: Draws, name: str, hardness: Tensor, pool: Tensor) -> Sprite:
    """Return a small distractor near the rim of the image."""
    place, unit_px = draw_place(
        draws,
        name,
        scale=draws.uniform(f"{name}-scale", 0.16, 0.28 + 0.1 * hardness),
        offset=torch.zeros_like(hardness),
        turn=torch.full_like(hardness, math.pi),
        bend=torch.full_like(hardness, 0.3),
    )
    angle = draws.uniform(f"{name}-angle", 0, 2 * math.pi)
    away = draws.uniform(f"{name}-away", 0.65, 1.1)
    x, y = (away * angle.cos()).float(), (away * angle.sin()).float()
    place[:, 2] -= place[:, 0] * x + place[:, 1] * y
    place[:, 5] -= place[:, 3] * x + place[:, 4] * y
    texture = pool[draws.integers(f"{name}-texture", len(pool))]
    hue, s = draws.uniform(f"{name}-hue"), draws.uniform(f"{name}-s", 0.2, 0.9)
    light, dark = draws.uniform(f"{name}-v", 0.5, 1.0), draws.uniform(f"{name}-w", 0.1, 0.6)
    return Sprite(
        shape=draws.integers(f"{name}-shape", len(SHAPES)),
        texture=texture,
        place=place,
        unit_px=unit_px,
        warp=draw_warp(draws, f"{name}-warp", torch.full_like(hardness, 0.1)),
        texture_place=draw_texture_place(draws, f"{name}-texture", texture),
        colours=torch.stack([_rgb(hue, s, light), _rgb(hue + 0.1, s, dark)], dim=1),
        opacity=draws.coin(f"{name}-shown", 0.3 + 0.6 * hardness).float(),
    )


def _bar(draws: Draws, hardness: Tensor) -> Tensor:
    """Return the occluding bar; its width is negative if there is none."""
    angle = draws.uniform("bar-angle", 0, 2 * math.pi)
    is_shown = draws.coin("bar", (hardness - 0.3).clamp(0, 1))
    width = torch.where(is_shown, draws.uniform("bar-width", 0.06, 0.16), -1.0)
    offset = draws.uniform("bar-offset", 0.0, 0.45)
    return torch.stack([angle.cos(), angle.sin(), offset, width], dim=1).float()


def _colours(draws: Draws, hue: Tensor, hardness: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two colours of the object and of the background, each float32 (B, 2, 3).

    An object is light with darker markings on an even darker background, or the reverse. Hard
    images have the reverse more often, and smaller steps of lightness.
    """
    # A texture has two complementary colourways whose mean is neutral, so no linear function of the
    # pixels yields the hue.
    hue = hue / 2 + 0.5 * draws.coin("colourway", 0.5) + 0.013 * draws.normal("hue")
    saturation = draws.uniform("saturation", 0.4, 0.95)
    contrast = 1 - 0.4 * hardness
    light = draws.uniform("light-value", 0.82, 1.0)
    dark = light - draws.uniform("contrast", 0.36, 0.52) * contrast
    ground = dark - draws.uniform("gap", 0.12, 0.34) * contrast
    is_mirrored = draws.coin("mirrored", 0.12 + 0.3 * hardness)
    values = torch.stack([light, dark, ground], dim=1)
    light, dark, ground = torch.where(is_mirrored[:, None], 1.1 - values, values).T
    other = hue + draws.symmetric("second-hue", 0.12)
    first, second = _rgb(hue, saturation, light), _rgb(other, saturation, dark)

    hue = hue + 0.5 + draws.symmetric("backdrop-hue", 0.42)
    s = draws.uniform("backdrop-saturation", 0.05, 0.6)
    step = draws.uniform("backdrop-step", 0.04, 0.12)
    near = _rgb(hue, s, (ground + step).clamp(0.02, 1))
    far = _rgb(hue + draws.symmetric("backdrop-hue-2", 0.15), s, (ground - step).clamp(0.02, 1))
    return torch.stack([first, second], dim=1), torch.stack([near, far], dim=1)


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return float32 (B, 3) of HSV colours; the hue in turns, any real number."""
    wheel = hue[:, None] * 6 + torch.tensor([0.0, 4.0, 2.0], dtype=hue.dtype)
    ramp = ((wheel % 6 - 3).abs() - 1).clamp(0, 1)
    return (value[:, None] * (1 - saturation[:, None] * (1 - ramp))).float()
