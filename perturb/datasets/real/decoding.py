"""Decoding of image files into the square of uint8 pixels that a network takes.

`exact` equals the evaluation transforms of timm and torchvision with Pillow, bit for bit. `fast`
decodes JPEG with libjpeg-turbo and resizes bilinearly with torch's integer kernel: within one level
of `exact`. Files that the fast decoder does not fully support go to Pillow, so both decoders accept
the same files.

Unusual files are read as by the loaders of timm and torchvision:

- greyscale, palette, transparency, CMYK and YCCK are converted by Pillow's `convert("RGB")`;
- the EXIF orientation is ignored;
- an animation yields its first frame;
- 16-bit colour keeps its upper 8 bits, as Pillow decodes it. 16-bit greyscale and floating point
  are refused: Pillow's conversion clips them to white, so no published number rests on them.

Only the fast decoder imports torch, at its first use.
"""

import io
import math
import struct
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from perturb.models.resizing import Resizing

DECODINGS = ("exact", "fast")
MAX_PIXELS = 89_478_485
"""Maximum number of pixels of an image, Pillow's bound against decompression bombs."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_WIDE_MODES = ("I", "F")
# Errors that Pillow's readers raise on damaged files.
_DAMAGE = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError),
    *(ArithmeticError, AttributeError, MemoryError, struct.error),
)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Decoder = Callable[[bytes, Resizing], Pixels]


class BadImageError(ValueError):
    """An unusable image; the message is the reason."""


def decoder(decoding: str) -> Decoder:
    """Return the decoder of a name, a function (bytes, view) -> uint8 (3, S, S).

    Raises
    ------
    ValueError : the name is unknown.
    """
    decoders: dict[str, Decoder] = {"exact": decode, "fast": decode_fast}
    if decoding not in decoders:
        raise ValueError(f"decoding is {decoding!r}; allowed: {', '.join(DECODINGS)}")
    return decoders[decoding]


def decode(data: bytes, view: Resizing) -> Pixels:
    """Return the preprocessed pixels of an encoded image, uint8 (3, S, S), by Pillow.

    Raises
    ------
    BadImageError
        if the bytes are not an image or cut off, the image is too large or in 16-bit greyscale, or
        is not square in mode `as_is`.
    """
    image = _pillow_rgb(data)
    if view.mode == "as_is":
        return _as_is(np.asarray(image))
    width, height = resized(view, *image.size)
    if image.size != (width, height):
        image = image.resize((width, height), _FILTERS[view.interpolation])
    left, top = _corner(width, view.side), _corner(height, view.side)
    return _planes(np.asarray(image.crop((left, top, left + view.side, top + view.side))))


def decode_fast(data: bytes, view: Resizing) -> Pixels:
    """Return the pixels of `decode`, each value within one level."""
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


def resized(view: Resizing, width: int, height: int) -> tuple[int, int]:
    """Return width and height of the resized image before the crop [px].

    Raises
    ------
    BadImageError
        if they exceed `MAX_PIXELS`.
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
    """Return the start of the central crop, halves rounded to even as in torchvision."""
    return round((length - side) / 2)


def _pillow_rgb(data: bytes) -> Image.Image:
    if not data:
        raise BadImageError("is empty")
    with warnings.catch_warnings():
        # Pillow warns of damaged EXIF and of palettes with transparency, and decodes correctly.
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
    """Return uint8 (H, W, 3) of a plain JPEG file, None if Pillow has to decode the file."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    import simplejpeg

    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace not in ("YCbCr", "Gray"):
            return None
        _check_size(width, height)
        # Strict: files on which libjpeg-turbo only warns go to Pillow.
        rgb: Pixels = simplejpeg.decode_jpeg(data, strict=True)
    except BadImageError:
        raise
    except ValueError:
        return None
    return rgb


def _torch_bilinear(rgb: Pixels, width: int, height: int) -> Pixels:
    """Return the image resized by torch's integer kernel.

    Its weights are positive, so rounding between its two passes stays below one level.
    """
    import torch
    from torch.nn.functional import interpolate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the array of a Pillow image is read-only
        # Channels last, (1, 3, H, W), selects the fastest kernel.
        pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    made = interpolate(pixels, size=(height, width), mode="bilinear", antialias=True)
    resized_rgb: Pixels = made[0].permute(1, 2, 0).numpy()
    return resized_rgb


def _pillow_bicubic(rgb: Pixels, width: int, height: int) -> Pixels:
    """Return the image resized by Pillow.

    Bicubic weights overshoot, and clipping between the passes depends on their order, which in
    Pillow changes with the sizes: torch's kernel differs from it by up to 6 levels.
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
