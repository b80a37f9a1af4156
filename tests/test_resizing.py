"""Preprocessing: names in paths, and squashed images of timm's models."""

import numpy as np
import pytest
from PIL import Image

from perturb.datasets.real.decoding import BadImageError, decode, decode_fast
from perturb.models.resizing import AS_IS, Resizing
from tests.image_files import encoded, picture

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
IDS = [
    (Resizing(224), "224-crop0.875-bilinear"),
    (Resizing(64, "crop", 1.0, "bicubic"), "64-crop1-bicubic"),
    (Resizing(384, "squash", 1.0, "bilinear"), "384-squash-bilinear"),
    (Resizing(384, "squash", 0.95, "bicubic"), "384-squash0.95-bicubic"),
    (Resizing(448, "squash", 0.951, "bicubic"), "448-squash0.951-bicubic"),
    (AS_IS, "as-is"),
]


@pytest.mark.parametrize(("view", "name"), IDS)
def test_id(view: Resizing, name: str) -> None:
    assert view.id == name


# The sides are those of timm's models that squash with a crop, and an odd rest on either side.
@pytest.mark.parametrize(
    ("side", "crop", "resized"),
    [(192, 0.9, 213), (224, 0.91, 246), (384, 0.951, 403), (96, 0.95, 101), (64, 1.0, 64)],
)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_squash_is_that_of_timm(side: int, crop: float, resized: int, interpolation: str) -> None:
    """Each side is resized to floor(side / crop), then the central square is taken."""
    view = Resizing(side, "squash", crop, interpolation)
    first = round((resized - side) / 2.0)  # as torchvision's CenterCrop, halves to even
    for seed, (width, height) in enumerate([(90, 260), (333, 225), (resized, resized)]):
        image = picture(seed, width, height)
        whole = image.resize((resized, resized), FILTERS[interpolation])
        expected = np.asarray(whole)[first : first + side, first : first + side].transpose(2, 0, 1)
        data = encoded(image, "PNG")
        np.testing.assert_array_equal(decode(data, view), expected)
        fast = decode_fast(data, view).astype(int)
        assert np.abs(fast - expected).max() <= 1


@pytest.mark.parametrize("mode", ["crop", "squash"])
def test_a_crop_that_would_need_a_giant_image_is_refused(mode: str) -> None:
    data = encoded(picture(0, 30, 30), "PNG")
    with pytest.raises(BadImageError, match="would be 224000 x 224000 px"):
        decode(data, Resizing(224, mode, 0.001, "bilinear"))
