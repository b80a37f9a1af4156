"""Pictures inside the page, as WebP."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

# Of photographs, where pixels need not be kept.
_QUALITY = 50


@dataclass(frozen=True)
class ShownPicture:
    """A picture as a data: URI, and its size: its place is kept until it is decoded."""

    uri: str
    width_px: int
    height_px: int


def shown_picture(file: Path) -> ShownPicture:
    """Return a picture as WebP with or without loss, whichever is smaller."""
    with Image.open(file) as image:
        pixels = image.convert("RGBA" if image.has_transparency_data else "RGB")
    found = [_webp(pixels, is_lossless=True), _webp(pixels, is_lossless=False)]
    return ShownPicture(data_uri("image/webp", min(found, key=len)), *pixels.size)


def data_uri(media_type: str, content: bytes) -> str:
    """Return content as a data: URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _webp(image: Image.Image, *, is_lossless: bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=is_lossless, quality=_QUALITY, method=4)
    return buffer.getvalue()
