"""Corruptions of images of any kind."""

from collections.abc import Sequence

import torch
from torch import Tensor

from perturb.experiments.corruptions import corruptions
from perturb.library.arrays import Keys, Pixels, as_keys, as_levels, as_pixels, like
from perturb.models.precision import autocast, float32


def corrupt(
    images: Pixels,
    corruption: str,
    severity: int,
    keys: Keys | None = None,
    *,
    seed: int = 2021,
    frost_textures: Sequence[Tensor] | None = None,
    jpeg_quality: int | None = None,
) -> Pixels:
    """Return the images under one of ImageNet-C's corruptions, optionally followed by JPEG.

    Parameters
    ----------
    images : (B, 3, H, W), sides of 16 px or more, a tensor or a NumPy array: uint8, or floating
        point in [0, 1] on gray levels, k / 255, as decoded images are; not changed.
    corruption : one of `perturb.CORRUPTIONS`.
    severity : 1 to 5; 0 returns the images unchanged.
    keys : one for each image, which its random draws depend on: image ids as texts, or whole
        numbers as `perturb.image_key` returns them. None takes a hash of each image's pixels.
    seed : of the draws; the default is that of a study.
    frost_textures : in place of the procedural ones: five or more, uint8 (3, height, width), larger
        than the images.
    jpeg_quality : 1 to 95, of a JPEG pass that follows; 85 in the published files of ImageNet-C.

    Returns
    -------
    (B, 3, H, W), uint8 for uint8 images, else float32 in [0, 1]; a tensor on the images' device, or
    an array if the images are one. Image b depends on its own pixels, its key, the corruption, the
    severity and the seed alone.

    Raises
    ------
    ValueError
        if an argument has another type, shape or range, or floats lie between gray levels.

    References
    ----------
    Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations", ICLR 2019.
    """
    pixels = as_pixels(images)
    levels = as_levels(pixels)
    draws = as_keys(keys, levels)
    # As in a study, whatever precision the caller computes in.
    with autocast("float32", pixels.device), float32(pixels.device):
        made = corruptions.corrupt(
            levels,
            corruption,
            severity,
            draws,
            seed,
            frost_textures=frost_textures,
            jpeg_quality=jpeg_quality,
        )
    return like(images, made if pixels.dtype == torch.uint8 else made.float() / 255)
