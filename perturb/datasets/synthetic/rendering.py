"""Renderer of scenes, batched, with at most a few hundred operations per pixel.

Pixels are computed by additions, products, comparisons, and bilinear look-ups in the silhouette,
texture and noise tables: rounding does not depend on the division into batches.
Legend: B images, H W pixels (both 32), C colours.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.datasets.synthetic.family import SIDE
from perturb.datasets.synthetic.scenes import Scene, Sprite
from perturb.datasets.synthetic.silhouettes import EXTENT, distance_tables
from perturb.datasets.synthetic.textures import TILE_SIDE, texture_tiles
from perturb.datasets.synthetic.tiles import smooth_noise
from perturb.random import bits


def pixel_grid(num_cells: int = SIDE) -> Tensor:
    """Return float32 (2, H, W), x and y of the centres of pixels in half image widths.

    With fewer cells than pixels, all pixels of a cell have its centre, which gives a mosaic.
    """
    index = (torch.arange(SIDE) * num_cells) // SIDE
    line = (index.float() + 0.5) * (2 / num_cells) - 1
    return torch.stack([line.expand(SIDE, SIDE), -line[:, None].expand(SIDE, SIDE)])


def photograph(scene: Scene, grid: Tensor) -> Tensor:
    """Return the scenes as photographs, float32 (B, 3, H, W) in [0, 1] up to grain."""
    image = background(scene, grid)
    for clutter in (scene.clutter_0, scene.clutter_1, scene.clutter_2):
        x, y = object_plane(clutter, grid)
        mask = coverage(distance_px(clutter, x, y)) * clutter.opacity[:, None, None]
        image = blend(image, mask, two_tone(clutter.colours, texture_value(clutter, x, y)))
    x, y = object_plane(scene.sprite, grid)
    distance = distance_px(scene.sprite, x, y)
    image *= (1 - scene.shadow[:, None, None] * (1 - distance / 3).clamp(0, 1)).unsqueeze(1)
    paint = two_tone(scene.sprite.colours, texture_value(scene.sprite, x, y))
    image = blend(image, coverage(distance), paint)
    return lit(scene, occluded(scene, image, grid), grid)


def background(scene: Scene, grid: Tensor) -> Tensor:
    """Return the scenes' backgrounds, (B, 3, H, W): two colours mixed by noise and a texture."""
    u, v = affine(scene.backdrop_place, grid[0], grid[1])
    pattern = wrapped(texture_tiles()[scene.backdrop_texture], u, v) - 0.5
    noise = background_noise(scene, grid) - 0.5
    mix = 0.5 + noise.mul_(scene.noise_contrast[:, None, None] * 2)
    mix += pattern.mul_(scene.backdrop_contrast[:, None, None])
    return two_tone(scene.backdrop_colours, mix.clamp_(0, 1))


def background_noise(scene: Scene, grid: Tensor) -> Tensor:
    """Return the scenes' crops of a noise tile, (B, H, W) in [0, 1]."""
    u, v = affine(scene.noise_place, grid[0], grid[1])
    return wrapped(_noise_tile().expand(len(u), -1, -1), u, v)


def occluded(scene: Scene, image: Tensor, grid: Tensor) -> Tensor:
    """Return the images behind the scenes' bars."""
    x, y, offset, width = scene.bar.T[:, :, None, None]
    mask = coverage(((grid[0] * x + grid[1] * y - offset).abs() - width) * (SIDE / 2))
    return blend(image, mask, scene.bar_colour[:, :, None, None].expand_as(image))


def lit(scene: Scene, image: Tensor, grid: Tensor) -> Tensor:
    """Return the images under the scenes' light, with grain, in place."""
    slope = scene.light[:, :, None, None]
    image *= (1 + slope[:, 0] * grid[0] + slope[:, 1] * grid[1]).unsqueeze(1)
    return image.add_(pixel_noise(scene.keys).mul_(scene.grain[:, None, None, None]))


def pixel_noise(keys: Tensor) -> Tensor:
    """Return (B, 3, H, W) from U[-1, 1): three draws of 20 bits from one hash a pixel."""
    draw = bits(keys, SIDE * SIDE)
    parts = torch.stack([(draw >> shift) & 0xFFFFF for shift in (0, 20, 40)], dim=1)
    return parts.float().mul_(2.0**-19).sub_(1).view(-1, 3, SIDE, SIDE)


def object_plane(sprite: Sprite, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels' warped object coordinates x and y, each (B, H, W)."""
    x, y = affine(sprite.place, grid[0], grid[1])
    warp = sprite.warp.T[:, :, None, None]
    return (
        x + warp[0] * wave(y * warp[1] + warp[2]),
        y + warp[3] * wave(x * warp[4] + warp[5]),
    )


def distance_px(sprite: Sprite, x: Tensor, y: Tensor) -> Tensor:
    """Return signed distances to the outline in pixels, (B, H, W), negative inside."""
    tables = distance_tables()[sprite.shape]
    return bilinear(tables, x / EXTENT, y / EXTENT) * sprite.unit_px[:, None, None]


def texture_value(sprite: Sprite, x: Tensor, y: Tensor) -> Tensor:
    """Return the texture at object coordinates, (B, H, W) in [0, 1]."""
    return wrapped(texture_tiles()[sprite.texture], *affine(sprite.texture_place, x, y))


def affine(place: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return both rows of the map ``place`` (B, 6) at x and y."""
    p = place.T[:, :, None, None]
    return p[0] * x + p[1] * y + p[2], p[3] * x + p[4] * y + p[5]


def wave(turns: Tensor) -> Tensor:
    """Return sin(2 pi turns) by a polynomial, which every processor rounds alike."""
    phase = turns - turns.floor() - 0.5
    parabola = phase * (phase.abs() - 0.5) * 16
    return parabola * (0.775 + 0.225 * parabola.abs())


def wrapped(tiles: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return tiles (B, TILE_SIDE + 2, TILE_SIDE + 2) at (u, v), periodic with 1; (B, H, W)."""
    scale, start = 2 * TILE_SIDE / (TILE_SIDE + 2), TILE_SIDE / (TILE_SIDE + 2)
    return bilinear(tiles, (u - u.floor()) * scale - start, (v - v.floor()) * scale - start)


def bilinear(tables: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return tables (B, S, S) at x and y in [-1, 1]; beyond, the value at the rim."""
    points = torch.stack([x, y], dim=-1)
    looked_up = F.grid_sample(
        tables.unsqueeze(1), points, mode="bilinear", padding_mode="border", align_corners=False
    )
    return looked_up.squeeze(1)


def coverage(distance: Tensor) -> Tensor:
    """Return the fraction of each pixel that an outline covers, from its distance in pixels."""
    return (0.5 - distance).clamp(0, 1)


def two_tone(colours: Tensor, mix: Tensor) -> Tensor:
    """Return (B, 3, H, W): the first of two colours (B, 2, 3) where mix is 0, the second at 1."""
    first, second = colours[:, 0, :, None, None], colours[:, 1, :, None, None]
    return first + (second - first) * mix.unsqueeze(1)


def blend(image: Tensor, mask: Tensor, paint: Tensor) -> Tensor:
    """Return paint over image (B, 3, H, W) where the mask (B, H, W) is 1."""
    return image + (paint - image) * mask.unsqueeze(1)


@cache
def _noise_tile() -> Tensor:
    """Return float32 (1, TILE_SIDE + 2, TILE_SIDE + 2): noise in three octaves."""
    octaves = [(2.0, 0.55), (5.0, 0.3), (11.0, 0.15)]
    tile = sum(w * smooth_noise(f"noise-{f}", TILE_SIDE, f) for f, w in octaves)
    return torch.from_numpy(np.pad(np.asarray(tile), 1, mode="wrap")).float()[None]
