"""Pictures inside the page, as WebP."""

import base64
import io
from pathlib import Path

from PIL import Image

# Of photographs, where pixels need not be kept.
_QUALITY = 50


def picture_uri(file: Path) -> str:
    """Return a picture as a data: URI: of WebP with and without loss, whichever is smaller."""
    with Image.open(file) as image:
        pixels = image.convert("RGBA" if image.has_transparency_data else "RGB")
    found = [_webp(pixels, is_lossless=True), _webp(pixels, is_lossless=False)]
    return data_uri("image/webp", min(found, key=len))


def data_uri(media_type: str, content: bytes) -> str:
    """Return content as a data: URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _webp(image: Image.Image, *, is_lossless: bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=is_lossless, quality=_QUALITY, method=4)
    return buffer.getvalue()
