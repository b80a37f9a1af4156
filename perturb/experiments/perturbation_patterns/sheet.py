"""Figure 5 as a picture: images, and each model's adversarial perturbation of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_TILE_PX = 112
_GAP_PX = 6
_MARGIN_PX = 16
_HEAD_PT, _CAPTION_PT = 14, 12
_LINE = 1.3  # height of a line of text, in font sizes
_PAPER = (255, 255, 255)
_INK = (32, 32, 36)
_FAINT_INK = (104, 104, 112)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def pattern_sheet(
    images: Tensor, deltas: Mapping[str, Tensor], captions: Sequence[str]
) -> Image.Image:
    """Return one row per image: the image, then its perturbation against each model.

    Perturbations are mapped linearly from [-1, 1] to [0, 255], so gray is no change. Pixels are
    enlarged by a whole factor: any other zoom would add a grid pattern.

    Parameters
    ----------
    images : uint8 (N, 3, H, W).
    deltas : for each model, by the label over its column, float (N, 3, H, W) in [-1, 1].
    captions : N texts, each under its image; they need no space if all are empty.

    Raises
    ------
    ValueError
        if there is no image, the number of captions or a shape differs, or a value is out of range.
    """
    _check(images, deltas, captions)
    font = ImageFont.load_default(_HEAD_PT)
    zoom = max(1, round(_TILE_PX / images.shape[3]))
    width, height = images.shape[3] * zoom, images.shape[2] * zoom
    heads = [_wrapped(label, font, width) for label in ("Image", *deltas)]
    layout = _Layout(
        width=width,
        height=height,
        head_px=round(max(map(len, heads)) * _HEAD_PT * _LINE),
        caption_px=round(_CAPTION_PT * _LINE) if any(captions) else 0,
    )
    right, bottom = layout.corner(len(images), len(heads))
    size = (right - _GAP_PX + _MARGIN_PX, bottom - _GAP_PX + _MARGIN_PX)
    sheet = Image.new("RGB", size, _PAPER)
    columns = [images, *(_as_levels(delta) for delta in deltas.values())]
    for column, (lines, tiles) in enumerate(zip(heads, columns, strict=True)):
        _draw_head(sheet, lines, column, layout, font)
        for row, tile in enumerate(tiles):
            picture = Image.fromarray(tile.permute(1, 2, 0).contiguous().cpu().numpy())
            picture = picture.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(picture, layout.corner(row, column))
    _draw_captions(sheet, captions, layout)
    return sheet


@dataclass(frozen=True)
class _Layout:
    """Sizes of a tile, of the column heads and of the caption under each row [px]."""

    width: int
    height: int
    head_px: int
    caption_px: int

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Return the upper left corner of a tile."""
        left = _MARGIN_PX + column * (self.width + _GAP_PX)
        top = _MARGIN_PX + self.head_px + row * (self.height + self.caption_px + _GAP_PX)
        return left, top


def _draw_head(
    sheet: Image.Image, lines: Sequence[str], column: int, layout: _Layout, font: _Font
) -> None:
    """Write the lines over a column, centred, the last one next to the tiles."""
    left, top = layout.corner(0, column)
    for above, line in enumerate(reversed(lines)):
        place = (left + layout.width / 2, top - 6 - above * _HEAD_PT * _LINE)
        ImageDraw.Draw(sheet).text(place, line, fill=_INK, font=font, anchor="ms")


def _draw_captions(sheet: Image.Image, captions: Sequence[str], layout: _Layout) -> None:
    font = ImageFont.load_default(_CAPTION_PT)
    for row, caption in enumerate(captions):
        left, top = layout.corner(row, 0)
        place = (left + layout.width / 2, top + layout.height + 1)
        text = _shortened(caption, font, layout.width)
        ImageDraw.Draw(sheet).text(place, text, fill=_FAINT_INK, font=font, anchor="ma")


def _as_levels(delta: Tensor) -> Tensor:
    """Return perturbations in [-1, 1] as uint8 levels."""
    return ((delta.float() + 1) * 127.5).round().byte()


def _wrapped(text: str, font: _Font, width: int) -> list[str]:
    """Return the text in lines of at most that width [px], split between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [_shortened(line, font, width) for line in lines if line]


def _shortened(text: str, font: _Font, width: int) -> str:
    """Return the text, or as much of it as fits a width [px] with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _check(images: Tensor, deltas: Mapping[str, Tensor], captions: Sequence[str]) -> None:
    if not len(images) or len(images) != len(captions):
        raise ValueError(
            f"captions are {len(captions)} for {len(images)} images; allowed: one per image"
        )
    for label, delta in deltas.items():
        if delta.shape != images.shape:
            raise ValueError(
                f"delta of {label!r} has shape {tuple(delta.shape)}; "
                f"allowed: that of the images, {tuple(images.shape)}"
            )
        if not (delta.abs() <= 1).all():  # also refuses NaN
            raise ValueError(f"delta of {label!r} has values outside [-1, 1], or NaN")
