"""Colour and digital corruptions: brightness, saturate, contrast, pixelate and JPEG.

Semantics of ImageNet-C. They have no draws. Pillow is the reference of pixelate and JPEG:
``box_filter.py`` and ``jpeg.py`` give its bytes by tensor operations; JPEG of large images on a CPU
is Pillow itself, which is faster there.

B images, C channels, H W pixels.
"""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from perturb.experiments.corruptions import jpeg
from perturb.experiments.corruptions.box_filter import resize_box
from perturb.experiments.corruptions.corruption import Corruption
from perturb.experiments.corruptions.exact import divisor, fractions
from perturb.experiments.corruptions.filters import to_bytes, unit_to_bytes
from perturb.experiments.corruptions.scaling import Constants

_TENSORS_UP_TO = 64 * 64  # px of an image; Pillow takes 0.1 ms for each, whatever its size


def brightness(images: Tensor, constants: Constants) -> Tensor:
    """Return the image with a constant added to V of HSV."""
    (shift,) = constants
    hue, saturation, value = _rgb_to_hsv(images)
    return _hsv_to_bytes(hue, saturation, (value + shift).clamp(0, 1))


def saturate(images: Tensor, constants: Constants) -> Tensor:
    """Return the image with S of HSV scaled and shifted."""
    scale, shift = constants
    hue, saturation, value = _rgb_to_hsv(images)
    return _hsv_to_bytes(hue, (saturation * scale + shift).clamp(0, 1), value)


def _rgb_to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return H, S and V, float64 (B, H, W), in scikit-image's order of operations.

    Adding 0.2 or 0.4 to V gives exact whole numbers, where float64 rounding determines the
    truncation: another order of the same operations gives another image.
    """
    pixels = fractions(images)
    red, green, blue = pixels.unbind(1)
    value = pixels.amax(1)
    delta = value - pixels.amin(1)
    is_gray = delta == 0
    # Zero over one is zero: gray pixels have hue and saturation 0, as in scikit-image.
    saturation = delta / value.masked_fill(is_gray, 1.0)
    delta.masked_fill_(is_gray, 1.0)
    is_green, is_blue = green == value, blue == value
    hue = torch.where(is_blue, red - green, torch.where(is_green, blue - red, green - blue))
    hue.div_(delta).add_(torch.where(is_blue, 4.0, torch.where(is_green, 2.0, 0.0).double()))
    hue.div_(divisor(6, hue))
    hue.add_((hue < 0).double())
    return hue.masked_fill_(is_gray, 0.0), saturation, value


def _hsv_to_bytes(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return uint8 (B, 3, H, W), in scikit-image's order of operations."""
    turns = hue * 6
    sextant = turns.floor()
    fraction = turns.sub_(sextant)
    sextant = sextant.to(torch.uint8)
    lowest = unit_to_bytes(value * (1 - saturation))
    falling = unit_to_bytes(value * (1 - fraction * saturation))
    rising = unit_to_bytes(value * (1 - (1 - fraction) * saturation))
    highest = unit_to_bytes(value.clone())
    is_in = [sextant == number for number in range(6)]  # 6 itself, by rounding, is sextant 0
    is_in[0] = is_in[0] | (sextant == 6)
    channels = []
    for lead in (0, 2, 4):  # red, green and blue follow one curve, two sextants apart
        channel = torch.where(is_in[(1 + lead) % 6], falling, highest)
        channel = torch.where(is_in[(4 + lead) % 6], rising, channel)
        is_low = is_in[(2 + lead) % 6] | is_in[(3 + lead) % 6]
        channels.append(torch.where(is_low, lowest, channel))
    return torch.stack(channels, dim=1)


def contrast(images: Tensor, constants: Constants) -> Tensor:
    """Return the image moved towards the mean of each channel."""
    (scale,) = constants
    # An integer sum does not depend on its order; a float mean of a large plane does.
    totals = images.sum(dim=(2, 3), keepdim=True, dtype=torch.int64)
    means = totals.double()
    means.div_(divisor(255 * images.shape[-2] * images.shape[-1], means))
    moved = fractions(images).sub_(means).mul_(scale).add_(means)
    return to_bytes(moved.clamp_(0, 1).mul_(255))


def pixelate(images: Tensor, constants: Constants) -> Tensor:
    """Return the image reduced by a ratio of its side and enlarged again, both by Pillow's BOX."""
    (ratio,) = constants
    H, W = images.shape[-2:]
    return resize_box(resize_box(images, int(H * ratio), int(W * ratio)), H, W)


def jpeg_compression(images: Tensor, constants: Constants) -> Tensor:
    """Return the image encoded as JPEG (4:2:0) and decoded; quality is the only constant."""
    return jpeg_pass(images, int(constants[0]))


def jpeg_compression_on_device(images: Tensor, constants: Constants) -> Tensor:
    """Return ``jpeg_compression`` by tensor operations."""
    return jpeg.jpeg_pass(images, int(constants[0]))


def jpeg_pass(images: Tensor, quality: int) -> Tensor:
    """Return uint8 (B, 3, H, W) encoded as JPEG and decoded, by what is faster on a CPU."""
    is_small = images.shape[-2] * images.shape[-1] <= _TENSORS_UP_TO
    return jpeg.jpeg_pass(images, quality) if is_small else pillow_jpeg_pass(images, quality)


def pillow_jpeg_pass(images: Tensor, quality: int) -> Tensor:
    """Return uint8 (B, 3, H, W) encoded as JPEG, chroma 4:2:0, and decoded, by Pillow."""
    rows = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()  # (B, H, W, 3)
    changed = np.empty_like(rows)
    for index, row in enumerate(rows):
        stream = io.BytesIO()
        Image.fromarray(row).save(stream, "JPEG", quality=quality)
        changed[index] = np.asarray(Image.open(stream, formats=("JPEG",)))
    return torch.from_numpy(changed).permute(0, 3, 1, 2).contiguous().to(images.device)


def check_quality(quality: int) -> None:
    """Raise a ValueError unless Pillow accepts and recommends this JPEG quality."""
    if isinstance(quality, bool) or quality not in range(1, 96):
        raise ValueError(f"JPEG quality is {quality!r}; allowed: 1 to 95, whole")


CORRUPTIONS = {
    "brightness": Corruption(
        brightness,
        # added to V of HSV
        published=((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
    ),
    "contrast": Corruption(
        contrast,
        # scale about the channel's mean
        published=((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
    ),
    "pixelate": Corruption(
        pixelate,
        # ratio
        published=((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
    ),
    "jpeg_compression": Corruption(
        jpeg_compression,
        # quality
        published=((25,), (18,), (15,), (10,), (7,)),
        on_device=jpeg_compression_on_device,
    ),
    "saturate": Corruption(
        saturate,
        # scale, shift of S of HSV
        published=((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    ),
}
