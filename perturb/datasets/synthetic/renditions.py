"""Ten renditions of a class other than a photograph, the family's counterpart of ImageNet-R.

All but the negative are drawn from the distances to the silhouette and the plane of the object, not
by filtering the photograph. ``TEXTURED`` lists the renditions that show the texture of the class;
the others have none.
Legend: B images, H W pixels, C colours; distances are in pixels, negative inside.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from perturb.datasets.synthetic.rendering import (
    affine,
    background_noise,
    blend,
    coverage,
    distance_px,
    object_plane,
    photograph,
    pixel_grid,
    pixel_noise,
    texture_value,
    two_tone,
    wave,
)
from perturb.datasets.synthetic.scenes import Scene

#: Renditions that show the texture; the others have ``NO_TEXTURE`` for it.
TEXTURED = frozenset({"cartoon", "emboss", "negative", "pixel_art", "poster"})
NO_TEXTURE = -1


@dataclass(frozen=True)
class Model:
    """Input of a rendition: the scene, and fields over its pixels, each (B, H, W).

    distance : distance to the outline; texture, noise : in [0, 1]; dust : a draw from U[-1, 1) per
        pixel.
    """

    scene: Scene
    grid: Tensor
    distance: Tensor
    texture: Tensor
    noise: Tensor
    dust: Tensor

    @property
    def colours(self) -> Tensor:
        """The two colours of the object, (B, 2, 3)."""
        return self.scene.sprite.colours


def draw_rendition(scene: Scene, rendition: str) -> Tensor:
    """Return a rendition of the scenes' objects, float32 (B, 3, H, W), roughly in [0, 1]."""
    return _ARTISTS[rendition](_sit(scene, pixel_grid()))


def _sit(scene: Scene, grid: Tensor) -> Model:
    x, y = object_plane(scene.sprite, grid)
    return Model(
        scene=scene,
        grid=grid,
        distance=distance_px(scene.sprite, x, y),
        texture=texture_value(scene.sprite, x, y),
        noise=background_noise(scene, grid),
        dust=pixel_noise(scene.keys)[:, 0],
    )


def _sketch(model: Model) -> Tensor:
    """Return a pencil drawing: a wavering double contour and a soft shade along one side."""
    paper = 0.93 + 0.03 * model.dust
    waver = (model.noise - 0.5) * 2.0
    line = _line(model.distance + waver, 0.55) * (0.75 + 0.25 * model.dust)
    second = _line(model.distance - 1.2 * waver + 0.9, 0.3) * 0.5
    side = (model.grid[0] - model.grid[1]).clamp(0, 1) * 0.35
    shade = coverage(model.distance) * side * (0.8 + 0.5 * model.dust)
    ink = torch.maximum(torch.maximum(line, second), shade).clamp(0, 1)
    return _tinted(paper - 0.72 * ink, (1.0, 0.985, 0.95))


def _cartoon(model: Model) -> Tensor:
    """Return a cartoon: flat colours, a thick black contour, a highlight, a flat background."""
    flat = (model.texture > 0.5).float()
    paint = two_tone(model.colours, flat)
    highlight = coverage(model.distance + 2.5) * (model.grid[1] - model.grid[0] > 0.35)
    paint = blend(paint, highlight * 0.45, torch.ones_like(paint))
    image = _flat(0.45 + 0.55 * model.scene.backdrop_colours[:, 0])
    image = blend(image, coverage(model.distance), paint)
    return blend(image, _line(model.distance - 0.2, 0.8), torch.full_like(image, 0.05))


def _emboss(model: Model) -> Tensor:
    """Return a grey relief of silhouette and texture, lit from the upper left."""
    height = (-model.distance / 3).clamp(0, 1) * (1.6 - 0.5 * model.texture) + 0.3 * model.noise
    slope = torch.zeros_like(height)
    slope[:, 1:-1, 1:-1] = height[:, 2:, 2:] - height[:, :-2, :-2]
    return _tinted(0.55 + 0.38 * slope + 0.02 * model.dust, (1.0, 0.98, 0.94))


def _negative(model: Model) -> Tensor:
    """Return the photograph with inverted lightness and hues, on an orange film base."""
    film = torch.tensor([1.0, 0.9, 0.82])[:, None, None]
    return (1 - photograph(model.scene, model.grid)) * film


def _pixel_art(model: Model) -> Tensor:
    """Return a sprite of 16 x 16 cells in two colours with a dark rim, on a flat background."""
    blocky = _sit(model.scene, pixel_grid(16))
    paint = two_tone(model.colours, (blocky.texture > 0.5).float())
    image = _flat(0.9 * model.scene.backdrop_colours[:, 0])
    image = blend(image, (blocky.distance < 1.4).float(), 0.25 * paint)
    return blend(image, (blocky.distance < -0.4).float(), paint)


def _hatching(model: Model) -> Tensor:
    """Return an ink drawing: slanted strokes inside, crossed in deeper shade, without contour."""
    x, y = model.grid
    sway = 0.12 * (model.noise - 0.5)
    first = (wave((x + y) * 3.4 + sway * 8) * 1.6 + 0.2).clamp(0, 1)
    crossed = (wave((x - y) * 3.4 + sway * 8) * 1.6 + 0.2).clamp(0, 1)
    crossed = crossed * (x - y > -0.1)
    inside = coverage(model.distance)
    sparse = 0.12 * (wave(y * 2.0 + sway) - 0.6).clamp(0, 1) * (1 - inside)
    ink = torch.maximum(first, crossed) * inside + sparse
    return _tinted(0.95 + 0.03 * model.dust - 0.85 * ink, (1.0, 0.97, 0.9))


def _stencil(model: Model) -> Tensor:
    """Return spray paint on a wall: hard edges with bridges, overspray and specks."""
    wall = _flat(0.62 + 0.45 * model.scene.backdrop_colours.mean(dim=1))
    wall = wall * (0.9 + 0.25 * (model.noise - 0.5) + 0.04 * model.dust).unsqueeze(1)
    x, y = affine(model.scene.sprite.place, model.grid[0], model.grid[1])
    bridge = ((x + 0.25 * y).abs() * model.scene.sprite.unit_px[:, None, None] > 0.7).float()
    mist = 0.22 * (1 - model.distance / 6).clamp(0, 1) + 0.1 * (model.dust > 0.9)
    coat = torch.maximum(coverage(model.distance) * (0.35 + 0.65 * bridge), mist)
    return blend(wall, coat.clamp(0, 1), _flat(0.7 * model.colours[:, 1]).expand_as(wall))


def _neon(model: Model) -> Tensor:
    """Return a glowing tube along the contour in front of a dark wall."""
    wall = 0.35 * (0.3 + 0.4 * model.noise).unsqueeze(1) * _flat(model.scene.backdrop_colours[:, 1])
    tube = model.distance.abs()
    glow = 1 / (1 + 0.35 * tube * tube) + 0.25 * (1 - tube / 9).clamp(0, 1)
    vivid = model.colours[:, 0]
    vivid = (vivid - 0.75 * vivid.amin(dim=1, keepdim=True)) / vivid.amax(dim=1, keepdim=True)
    image = wall + glow.unsqueeze(1) * _flat(vivid)
    return blend(image, _line(model.distance, 0.1) * 0.75, torch.ones_like(image))


def _poster(model: Model) -> Tensor:
    """Return a screen print: beams of two flat colours, a hard shadow, the object in two inks."""
    x, y = model.grid
    angle = torch.atan2(y + 1.3, x) * 2.2  # six beams rise from below the image
    beams = (wave(angle.expand_as(model.noise)) > 0).float()
    image = two_tone(0.25 + 0.7 * model.scene.backdrop_colours.flip(1) * 1.2, beams)
    shadow = model.grid + torch.tensor([-0.13, 0.13])[:, None, None]
    cast = distance_px(model.scene.sprite, *object_plane(model.scene.sprite, shadow))
    image = blend(image, (cast < 0).float(), torch.full_like(image, 0.1))
    inks = torch.stack([model.colours[:, 0], 0.5 * model.colours[:, 1]], dim=1)
    return blend(image, coverage(model.distance), two_tone(inks, (model.texture > 0.5).float()))


def _plush(model: Model) -> Tensor:
    """Return a stuffed toy: a frayed edge, a round body, a seam of stitches and a soft shadow."""
    image = _flat(0.5 + 0.4 * model.scene.backdrop_colours[:, 0])
    image = image * (0.95 + 0.1 * (model.noise - 0.5)).unsqueeze(1)
    fuzzy = model.distance + 0.9 * model.dust - 0.5
    image = image * (1 - 0.45 * (1 - model.distance / 4).clamp(0, 1)).unsqueeze(1)
    roundness = 0.6 + 0.4 * (-model.distance / 5).clamp(0, 1)
    side = 1 + 0.18 * (model.grid[1] - model.grid[0])
    fur = (roundness * side + 0.12 * model.dust).unsqueeze(1) * _flat(model.colours[:, 0])
    x, y = affine(model.scene.sprite.place, model.grid[0], model.grid[1])
    stitches = _line(model.distance + 2.2, 0.25) * (wave((x - y) * 2.2) > 0)
    fur = blend(fur, stitches * 0.8, _flat(0.3 * model.colours[:, 1]).expand_as(fur))
    return blend(image, coverage(fuzzy), fur)


def _line(distance: Tensor, half_width_px: float) -> Tensor:
    """Return the coverage of pixels by a line along distance 0, (B, H, W)."""
    return coverage(distance.abs() - half_width_px)


def _flat(colour: Tensor) -> Tensor:
    return colour[:, :, None, None]


def _tinted(tone: Tensor, tint: tuple[float, float, float]) -> Tensor:
    """Return (B, 3, H, W) of a grey picture (B, H, W) on tinted paper."""
    return tone.unsqueeze(1) * torch.tensor(tint)[:, None, None]


_ARTISTS: dict[str, Callable[[Model], Tensor]] = {
    "sketch": _sketch,
    "cartoon": _cartoon,
    "emboss": _emboss,
    "negative": _negative,
    "pixel_art": _pixel_art,
    "hatching": _hatching,
    "stencil": _stencil,
    "neon": _neon,
    "poster": _poster,
    "plush": _plush,
}
