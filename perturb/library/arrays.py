"""Images, classes and keys of a caller as tensors: accepted where unambiguous, else refused.

B images, H W pixels, K classes.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perturb.random import image_key

Array = NDArray[Any]
Pixels = TypeVar("Pixels", Tensor, Array)
Targets = Tensor | Array | Sequence[int]
Keys = Tensor | Array | Sequence[str] | Sequence[int]

_LEVELS = 255  # gray levels above black
# Rounding errors of levels / 255 in float32, times 255, are a tenth of it at most.
_SAME_LEVEL = 1e-3
_LARGEST_KEY = (1 << 63) - 1


def as_pixels(images: Tensor | Array) -> Tensor:
    """Return images as uint8, or float32 in [0, 1], (B, 3, H, W), on the device they are on.

    Raises
    ------
    ValueError
        If they are no tensor and no array, or have another shape, type or range.
    """
    pixels = _tensor("images", images)
    _check_shape(pixels)
    if pixels.dtype == torch.uint8:
        return pixels
    if not pixels.is_floating_point():
        raise ValueError(f"images are {pixels.dtype}; allowed: uint8, or floats in [0, 1]")
    lowest, highest = torch.aminmax(pixels) if pixels.numel() else (0.0, 1.0)
    if not (lowest >= 0 and highest <= 1):  # also refuses NaN
        raise ValueError(
            f"images lie in [{lowest:.4g}, {highest:.4g}]; allowed: floats in [0, 1], normalised "
            "inside the model (`perturb.Classifier` does), or uint8"
        )
    return pixels.detach().float()


def as_floats(images: Tensor | Array) -> Tensor:
    """Return images as float32 in [0, 1], as a classifier turns uint8 into floats."""
    pixels = as_pixels(images)
    return pixels.float() / _LEVELS if pixels.dtype == torch.uint8 else pixels


def as_levels(images: Tensor | Array) -> Tensor:
    """Return images as uint8.

    Raises
    ------
    ValueError
        as `as_pixels`, and for floats between gray levels.
    """
    pixels = as_pixels(images)
    if pixels.dtype == torch.uint8:
        return pixels
    levels = pixels * _LEVELS
    rounded = levels.round()
    if pixels.numel() and (levels - rounded).abs().max() > _SAME_LEVEL:
        raise ValueError(
            "images are floats between gray levels; allowed: uint8, or multiples of 1/255 as "
            "floats. To round them: (images * 255).round(), as uint8"
        )
    return rounded.to(torch.uint8)


def like(images: Pixels, made: Tensor) -> Pixels:
    """Return a result as a NumPy array if the caller's images are one."""
    return made.cpu().numpy() if isinstance(images, np.ndarray) else made


def as_targets(targets: Targets, num_images: int, device: torch.device | str) -> Tensor:
    """Return the class of each image, int64 (B,), on a device.

    Raises
    ------
    ValueError
        If they are not one whole number of 0 or more for each image.
    """
    classes = _tensor("targets", targets)
    if classes.shape != (num_images,):
        raise ValueError(
            f"targets have shape {tuple(classes.shape)}; allowed: ({num_images},), the class of "
            "each image by its number, no one-hot code"
        )
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise ValueError(f"targets are {classes.dtype}; allowed: integers, such as int64")
    classes = classes.to(device, torch.int64)
    if num_images and classes.min() < 0:
        raise ValueError(f"a target is {int(classes.min())}; allowed: classes from 0 on")
    return classes


def check_classes(targets: Tensor, num_classes: int) -> None:
    """Raise a ValueError if a target is none of the model's classes."""
    if len(targets) and int(targets.max()) >= num_classes:
        raise ValueError(
            f"a target is {int(targets.max())}; allowed: 0 to {num_classes - 1}, the "
            f"{num_classes} classes of the model"
        )


def as_keys(keys: Keys | None, pixels: Tensor) -> Tensor:
    """Return the keys for random draws of each image, int64 (B,), on the images' device.

    Parameters
    ----------
    keys : texts are image ids and become `perturb.image_key` of each; whole numbers are keys
        themselves; None takes a hash of each image's own pixels. In each case the draws of an image
        do not depend on its batch.
    pixels : of the images.

    Raises
    ------
    ValueError
        If they are not one text or one whole number of 64 bits for each image.
    """
    if keys is None:
        found = torch.tensor([_content_key(image) for image in pixels], dtype=torch.int64)
    elif isinstance(keys, Tensor | np.ndarray) and _kind(keys) in "iu":
        found = _tensor("keys", keys)
    else:
        found = torch.tensor(_listed_keys(keys), dtype=torch.int64)
    if found.shape != pixels.shape[:1]:
        raise ValueError(
            f"keys have shape {tuple(found.shape)}; allowed: ({len(pixels)},), one for each image"
        )
    return found.to(pixels.device, torch.int64)


def _listed_keys(keys: Any) -> list[int]:
    if isinstance(keys, str):
        raise ValueError(  # noqa: TRY004
            f"keys are the text {keys!r}; allowed: a list with a key for each image"
        )
    values = keys.tolist() if isinstance(keys, Tensor | np.ndarray) else list(keys)
    if all(isinstance(value, str) for value in values):
        return [image_key(value) for value in values]
    for value in values:
        is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not is_whole or not -_LARGEST_KEY - 1 <= value <= _LARGEST_KEY:
            raise ValueError(
                f"a key is {value!r}; allowed: image ids as texts for all images, or whole numbers "
                "of 64 bits for all, as `perturb.image_key` returns them"
            )
    return [int(value) for value in values]


def _content_key(image: Tensor) -> int:
    pixels = image.contiguous().cpu().numpy()
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _kind(values: Tensor | Array) -> str:
    if isinstance(values, np.ndarray):
        return values.dtype.kind
    is_whole = not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)
    return "i" if is_whole else "f"


def _tensor(name: str, values: Any) -> Tensor:
    """Return a tensor as it is, or that of an array or a list of numbers, copied."""
    if isinstance(values, Tensor):
        return values
    if isinstance(values, np.ndarray) or (name == "targets" and isinstance(values, Sequence)):
        array = np.array(values)
        if array.dtype.kind in "biuf":
            return torch.from_numpy(array)
        raise ValueError(f"{name} are an array of {array.dtype}; allowed: an array of numbers")
    allowed = "a tensor or a NumPy array" + (", or a list" if name == "targets" else "")
    raise ValueError(f"{name} are a {type(values).__name__}; allowed: {allowed}")


def _check_shape(pixels: Tensor) -> None:
    shape = tuple(pixels.shape)
    if len(shape) == 4 and shape[1] == 3:
        return
    hint = ""
    if len(shape) == 3 and 3 in (shape[0], shape[-1]):
        hint = ". One image is a batch of one: images[None]"
    elif len(shape) == 4 and shape[-1] == 3:
        hint = ". Channels come first: np.moveaxis(images, -1, 1), or images.movedim(-1, 1)"
    raise ValueError(f"images have shape {shape}; allowed: (B, 3, H, W){hint}")
