"""From the bytes of an image file to the square of uint8 pixels that a network sees.

`exact` is what the evaluation transforms of timm and torchvision do with Pillow, bit for bit.
`fast` decodes JPEG with libjpeg-turbo directly and resizes bilinear views with torch's kernel for
integers: within one level of `exact`. A file that the fast decoder has doubts about goes to Pillow,
so that both ways accept the same files.

How unusual files are read, after the habits of the loaders of timm and torchvision:

- greyscale, palette, transparency, CMYK and YCCK become RGB as by Pillow's `convert("RGB")`;
- the orientation that a camera noted in EXIF is ignored;
- of an animation the first frame counts;
- 16-bit colour keeps its upper 8 bits, as Pillow decodes it. 16-bit greyscale and floating point
  are refused: Pillow's conversion clips them to white, so no published number rests on them.

torch is imported by the fast way only, when it is first used.
"""

import io
import math
import struct
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from perturb.models.views import View

DECODINGS = ("exact", "fast")
MAX_PIXELS = 89_478_485
"""Most pixels of an image, Pillow's own bound for a file that is not meant to exhaust memory."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_WIDE_MODES = ("I", "F")
# Pillow's readers raise whatever their parsing meets in a damaged file.
_DAMAGE = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError),
    *(ArithmeticError, AttributeError, MemoryError, struct.error),
)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Decoder = Callable[[bytes, View], Pixels]


class BadImageError(ValueError):
    """An image that cannot be used, and why."""


def decoder(decoding: str) -> Decoder:
    """Return the function (bytes, view) -> uint8 (3, S, S) of a way to decode.

    Raises
    ------
    ValueError : no such way.
    """
    decoders: dict[str, Decoder] = {"exact": decode, "fast": decode_fast}
    if decoding not in decoders:
        raise ValueError(f"decoding is {decoding!r}; allowed: {', '.join(DECODINGS)}")
    return decoders[decoding]


def decode(data: bytes, view: View) -> Pixels:
    """Return the view of an encoded image, uint8 (3, S, S), by Pillow.

    Raises
    ------
    BadImageError
        if the bytes are no image, are cut off, too large, of 16-bit greyscale, or, in the view
        that takes images as they are, not square.
    """
    image = _pillow_rgb(data)
    if view.mode == "as_is":
        return _as_is(np.asarray(image))
    width, height = resized(view, *image.size)
    if image.size != (width, height):
        image = image.resize((width, height), _FILTERS[view.interpolation])
    left, top = _corner(width, view.side), _corner(height, view.side)
    return _planes(np.asarray(image.crop((left, top, left + view.side, top + view.side))))


def decode_fast(data: bytes, view: View) -> Pixels:
    """Return the same as `decode`, each value within one level of it."""
    rgb = _turbo_rgb(data)
    if rgb is None:
        rgb = np.asarray(_pillow_rgb(data))
    if view.mode == "as_is":
        return _as_is(rgb)
    height, width = rgb.shape[:2]
    new_width, new_height = resized(view, width, height)
    if (width, height) != (new_width, new_height):
        resize = _torch_bilinear if view.interpolation == "bilinear" else _pillow_bicubic
        rgb = resize(rgb, new_width, new_height)
    left, top = _corner(new_width, view.side), _corner(new_height, view.side)
    return _planes(rgb[top : top + view.side, left : left + view.side])


def resized(view: View, width: int, height: int) -> tuple[int, int]:
    """Return the width and height that an image is resized to before it is cropped [px].

    Raises
    ------
    BadImageError
        if they are beyond what memory should hold.
    """
    short = math.floor(view.side / view.crop)
    if short * short > MAX_PIXELS:
        raise BadImageError(f"would be {short} x {short} px before it is cropped, too many")
    if view.mode == "squash":
        return short, short
    long = int(short * max(width, height) / min(width, height))
    if short * long > MAX_PIXELS:
        raise BadImageError(f"is {width} x {height} px, too narrow to be resized by its short side")
    return (short, long) if width <= height else (long, short)


def _corner(length: int, side: int) -> int:
    """Return where the central crop begins, halves rounded to even as torchvision does."""
    return round((length - side) / 2)


def _pillow_rgb(data: bytes) -> Image.Image:
    if not data:
        raise BadImageError("is empty")
    with warnings.catch_warnings():
        # Pillow warns of damaged EXIF and of palettes with transparency, and decodes as ever.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_header(image)
                return image.convert("RGB")
        except BadImageError:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise BadImageError(f"is larger than {MAX_PIXELS} pixels") from error
        except UnidentifiedImageError as error:
            raise BadImageError(f"is not an image ({', '.join(FORMATS)})") from error
        except _DAMAGE as error:
            raise BadImageError(f"cannot be decoded ({str(error) or repr(error)})") from error


def _check_header(image: Image.Image) -> None:
    _check_size(*image.size)
    if image.mode.startswith(_WIDE_MODES):
        raise BadImageError(
            f"has more than 8 bits a pixel (mode {image.mode}), which Pillow would clip to white; "
            "convert it to 8 bits"
        )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadImageError(f"is {width} x {height} px, more than {MAX_PIXELS} pixels")
    if width * height == 0:
        raise BadImageError(f"is {width} x {height} px")


def _turbo_rgb(data: bytes) -> Pixels | None:
    """Return uint8 (H, W, 3) of a plain JPEG file, None where Pillow has to look at it."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    simplejpeg = _simplejpeg()
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace not in ("YCbCr", "Gray"):
            return None
        _check_size(width, height)
        # Strict: what libjpeg-turbo merely warns about is Pillow's to judge.
        rgb: Pixels = simplejpeg.decode_jpeg(data, strict=True)
    except BadImageError:
        raise
    except ValueError:
        return None
    return rgb


@cache
def _simplejpeg() -> Any:
    import simplejpeg

    return simplejpeg


def _torch_bilinear(rgb: Pixels, width: int, height: int) -> Pixels:
    """Return the image resized by torch's kernel for integers.

    Its weights are positive, so the roundings between its two passes stay below one level.
    """
    import torch
    from torch.nn.functional import interpolate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the array of a Pillow image cannot be written to
        # A view with channels last, (1, 3, H, W), meets the fastest kernel.
        pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    made = interpolate(pixels, size=(height, width), mode="bilinear", antialias=True)
    resized_rgb: Pixels = made[0].permute(1, 2, 0).numpy()
    return resized_rgb


def _pillow_bicubic(rgb: Pixels, width: int, height: int) -> Pixels:
    """Return the image resized by Pillow.

    Bicubic weights overshoot, and what is clipped between the passes depends on which comes first:
    torch's kernel was up to 6 levels away from Pillow, whose order changes with the sizes.
    """
    return np.asarray(Image.fromarray(rgb).resize((width, height), _FILTERS["bicubic"]))


def _as_is(rgb: Pixels) -> Pixels:
    height, width = rgb.shape[:2]
    if height != width:
        raise BadImageError(f"is {width} x {height} px; allowed as it is: squares of one size")
    return _planes(rgb)


def _planes(rgb: Pixels) -> Pixels:
    """Return uint8 (3, H, W) from (H, W, 3)."""
    return np.ascontiguousarray(rgb.transpose(2, 0, 1))
