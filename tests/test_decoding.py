"""Decoding: the exact decoder against Pillow, the fast decoder against it, and unusual files."""

import io
import math
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perturb.datasets.real import decoding
from perturb.datasets.real.decoding import BadImageError, decode, decode_fast
from perturb.models.resizing import AS_IS, Resizing
from tests.image_files import encoded, picture

VIEWS = [
    Resizing(224, "crop", 0.875, "bilinear"),
    Resizing(224, "crop", 0.9, "bicubic"),
    Resizing(384, "squash", 1.0, "bilinear"),
    Resizing(96, "squash", 1.0, "bicubic"),
    Resizing(64, "crop", 1.0, "bilinear"),
]
SIZES = [(500, 375), (375, 500), (256, 256), (333, 500), (100, 61), (640, 97), (224, 225), (31, 30)]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def _by_hand(image: Image.Image, view: Resizing) -> np.ndarray[Any, Any]:
    """Return the view as the transforms of timm and torchvision are described."""
    if view.mode == "squash":
        image = image.resize((view.side, view.side), FILTERS[view.interpolation])
        return np.asarray(image).transpose(2, 0, 1)
    short = math.floor(view.side / view.crop)
    width, height = image.size
    if width < height:
        size = short, int(short * height / width)
    else:
        size = int(short * width / height), short
    image = image.resize(size, FILTERS[view.interpolation])
    left = round((size[0] - view.side) / 2.0)
    top = round((size[1] - view.side) / 2.0)
    image = image.crop((left, top, left + view.side, top + view.side))
    return np.asarray(image).transpose(2, 0, 1)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.id)
def test_views_are_those_of_the_field_and_fast_is_within_one_level(view: Resizing) -> None:
    for seed, (width, height) in enumerate(SIZES):
        for file_format in ("JPEG", "PNG"):
            image = picture(seed, width, height)
            data = encoded(image, file_format, **({"quality": 92} if seed % 2 else {}))
            expected = _by_hand(Image.open(io.BytesIO(data)).convert("RGB"), view)
            exact = decode(data, view)
            assert exact.shape == (3, view.side, view.side)
            np.testing.assert_array_equal(exact, expected)
            fast = decode_fast(data, view)
            assert np.abs(fast.astype(int) - exact).max() <= 1


def test_the_fast_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> Image.Image:
        raise AssertionError(f"{len(data)} bytes went to Pillow")

    monkeypatch.setattr(decoding, "_pillow_rgb", refuse)
    for mode in ("RGB", "L"):
        decode_fast(encoded(picture(0).convert(mode)), VIEWS[0])


def _exif_rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture(1), exif=exif)


UNUSUAL = {
    "greyscale": encoded(picture(1).convert("L")),
    "greyscale png": encoded(picture(1).convert("L"), "PNG"),
    "palette": encoded(picture(1).convert("P"), "PNG"),
    "palette with transparency": encoded(
        picture(1).convert("P"), "PNG", transparency=bytes(range(0, 250, 5))
    ),
    "alpha": encoded(picture(1).convert("RGBA"), "PNG"),
    "grey and alpha": encoded(picture(1).convert("LA"), "PNG"),
    "one bit": encoded(picture(1).convert("1"), "PNG"),
    "CMYK": encoded(picture(1).convert("CMYK")),
    "progressive": encoded(picture(1), progressive=True),
    "EXIF": _exif_rotated(),
    "PNG named JPEG": encoded(picture(1), "PNG"),
    "GIF": encoded(picture(1), "GIF"),
    "TIFF": encoded(picture(1), "TIFF"),
    "WebP": encoded(picture(1), "WEBP"),
    "BMP": encoded(picture(1), "BMP"),
}


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_unusual_files_become_rgb_as_by_pillow(name: str) -> None:
    view = Resizing(20, "crop", 0.875, "bilinear")
    expected = _by_hand(Image.open(io.BytesIO(UNUSUAL[name])).convert("RGB"), view)
    np.testing.assert_array_equal(decode(UNUSUAL[name], view), expected)
    assert np.abs(decode_fast(UNUSUAL[name], view).astype(int) - expected).max() <= 1


def test_orientation_is_ignored_and_animations_show_their_first_frame() -> None:
    view = Resizing(16, "squash", 1.0, "bilinear")
    np.testing.assert_array_equal(decode(_exif_rotated(), view), decode(encoded(picture(1)), view))
    first = picture(2).convert("P")
    animation = encoded(first, "GIF", save_all=True, append_images=[picture(3).convert("P")])
    np.testing.assert_array_equal(decode(animation, view), decode(encoded(first, "GIF"), view))


def test_16_bit_colour_keeps_its_upper_bits() -> None:
    square = picture(4, 24, 24)
    wide = (np.asarray(square).astype(int) * 256 + 77).astype(">u2")
    np.testing.assert_array_equal(
        decode(_png_16(wide), AS_IS), np.asarray(square).transpose(2, 0, 1)
    )


def _png_16(values: np.ndarray[Any, Any]) -> bytes:
    """Return a PNG file of 16 bits a colour, which Pillow cannot write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    made = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        made += len(data).to_bytes(4, "big") + kind + data + crc
    return made


def _bomb() -> bytes:
    data = bytearray(encoded(picture(0), "BMP"))
    data[18:22] = data[22:26] = (30_000).to_bytes(4, "little")
    return bytes(data)


WIDE = np.arange(900, dtype=np.uint16).reshape(30, 30) * 70
BAD = {
    "empty": (b"", "is empty"),
    "text": (b"no image at all, but text", "is not an image"),
    "truncated jpeg": (encoded(picture(0, 200, 150))[:-2000], "truncated"),
    "truncated png": (encoded(picture(0, 200, 150), "PNG")[:-2000], "cannot be decoded"),
    "header alone": (encoded(picture(0))[:200], "cannot be decoded|not an image"),
    "16-bit grey": (encoded(Image.fromarray(WIDE), "PNG"), "more than 8 bits"),
    "float": (encoded(Image.fromarray(WIDE.astype(np.float32)), "TIFF"), "more than 8 bits"),
    "bomb": (_bomb(), "pixels"),
    "narrow": (encoded(Image.new("RGB", (60_000, 1)), "PNG"), "too narrow"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("way", [decode, decode_fast])
def test_bad_files_are_refused_alike(name: str, way: decoding.Decoder) -> None:
    data, message = BAD[name]
    with pytest.raises(BadImageError, match=message):
        way(data, Resizing(224, "crop", 0.875, "bilinear"))


@pytest.mark.parametrize("way", [decode, decode_fast])
def test_as_it_is_takes_squares_alone(way: decoding.Decoder) -> None:
    square = picture(5, 33, 33)
    pixels = np.asarray(square).transpose(2, 0, 1)
    np.testing.assert_array_equal(way(encoded(square, "PNG"), AS_IS), pixels)
    with pytest.raises(BadImageError, match="is 40 x 30 px"):
        way(encoded(picture(5), "PNG"), AS_IS)
