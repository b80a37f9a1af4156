"""Contact sheets: one picture of many small images, each with a caption."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from perturb.datasets.store import ImageStore
from perturb.datasets.synthetic.family import RENDITIONS, SHAPES, TEXTURES

_COLUMNS = 12
_ZOOM = 3
_MARGIN_PX = 6
_CAPTION_PX = 14
_PAPER = (250, 250, 248)
_INK = (60, 60, 66)


def contact_sheet(images: Tensor, captions: Sequence[str]) -> Image.Image:
    """Return a picture of all images, enlarged, row by row, each above its caption.

    Parameters
    ----------
    images : uint8 (N, 3, H, W).
    captions : N texts; a text wider than its image is cut.

    Raises
    ------
    ValueError : there are no images, or another number of captions.
    """
    if not len(images) or len(images) != len(captions):
        raise ValueError(
            f"captions are {len(captions)} for {len(images)} images; allowed: one an image"
        )
    width, height = images.shape[3] * _ZOOM, images.shape[2] * _ZOOM
    step_x, step_y = width + _MARGIN_PX, height + _CAPTION_PX + _MARGIN_PX
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    size = (columns * step_x + _MARGIN_PX, rows * step_y + _MARGIN_PX)
    sheet = Image.new("RGB", size, _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left = _MARGIN_PX + index % columns * step_x
        top = _MARGIN_PX + index // columns * step_y
        tile = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        sheet.paste(tile.resize((width, height), Image.Resampling.NEAREST), (left, top))
        pen.text((left, top + height), _fitting(caption, font, width), fill=_INK, font=font)
    return sheet


def _fitting(caption: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return the longest prefix of a caption that is at most ``width`` pixels wide."""
    while caption and font.getlength(caption) > width:
        caption = caption[:-1]
    return caption


def sheet_of_store(store: ImageStore, num_images: int = 60) -> Image.Image:
    """Return a contact sheet of a sample of a decoded dataset, captioned from its manifest.

    Images are sorted by class and sampled evenly in that order. The caption is the shape with the
    rendition or texture if the manifest has one, else the target.
    """
    by_class = torch.argsort(store.targets, stable=True).tolist()
    num_shown = min(num_images, len(store))
    rows = [by_class[place * len(store) // num_shown] for place in range(num_shown)]
    captions = [_caption(row) for row in store.manifest.take(rows).to_pylist()]
    return contact_sheet(torch.from_numpy(np.array(store.pixels[rows])), captions)


def _caption(row: Mapping[str, int]) -> str:
    if "texture" not in row:
        return f"class {row['target']}"
    second = RENDITIONS[row["rendition"]] if "rendition" in row else TEXTURES[row["texture"]]
    return f"{SHAPES[row['target']]} {second}".replace("_", " ")
