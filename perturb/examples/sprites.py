"""Sprites: many small pictures of one size in one WebP file, row by row.

Large pictures are scaled down. WebP halves the resolution of colour: a corrupted picture of 32
pixels a side would lose its colours, so small ones are doubled first, by whole pixels. Without loss
the sprites of the embedded default would have 1.2 MB.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from perturb.files import replacing

_LARGEST_PX = 96
_DOUBLED_PX = 48  # the largest side that is doubled
_COLUMNS = 20
_MOST_PX = 16_383  # of a side of a WebP file
_QUALITY, _DOUBLED_QUALITY = 80, 40
_PAPER = 255


def write_sprite(path: Path, pictures: Sequence[Tensor | None]) -> dict[str, int]:
    """Write a sprite and return its measures: `tile`, the side of a picture [px], and `columns`.

    Parameters
    ----------
    pictures : each (3, H, W), uint8, or floating point in [0, 1]; None leaves its place white.

    Raises
    ------
    ValueError
        if they do not fit into one file.
    """
    side_px = max(
        (max(picture.shape[1:]) for picture in pictures if picture is not None), default=1
    )
    is_doubled = side_px <= _DOUBLED_PX
    tile_px = 2 * side_px if is_doubled else min(side_px, _LARGEST_PX)
    columns, rows = layout(len(pictures), _MOST_PX // tile_px)
    sheet = np.full((rows * tile_px, columns * tile_px, 3), _PAPER, np.uint8)
    for place, picture in enumerate(pictures):
        if picture is not None:
            top, left = place // columns * tile_px, place % columns * tile_px
            sheet[top : top + tile_px, left : left + tile_px] = _tile(picture, tile_px)
    quality = _DOUBLED_QUALITY if is_doubled else _QUALITY
    with replacing(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="WEBP", quality=quality, method=6)
    return {"tile": tile_px, "columns": columns}


def layout(count: int, most: int) -> tuple[int, int]:
    """Return columns and rows of a number of pictures, neither more than `most`."""
    if count > most * most:
        raise ValueError(f"sprite: {count} pictures; allowed: {most * most} of this size")
    columns = max(min(_COLUMNS, most), math.ceil(count / most))
    return columns, max(1, math.ceil(count / columns))


def _tile(picture: Tensor, side_px: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a picture as a square tile, uint8 (side, side, 3)."""
    levels = picture if picture.dtype == torch.uint8 else (picture.float() * 255).round().byte()
    image = Image.fromarray(levels.permute(1, 2, 0).contiguous().cpu().numpy())
    if image.size == (side_px, side_px):
        return np.asarray(image)
    is_whole = all(side_px % side == 0 for side in image.size)
    way = Image.Resampling.NEAREST if is_whole else Image.Resampling.LANCZOS
    return np.asarray(image.resize((side_px, side_px), way))
