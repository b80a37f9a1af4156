"""Perturbations of images: corruptions, and the worst of rotations and translations."""

from collections.abc import Sequence

from torch import Tensor, nn

from perturb.experiments.corruptions import corruptions
from perturb.experiments.spatial import evaluate as spatial
from perturb.experiments.spatial.transforms import Transform, spatial_grid
from perturb.library.arrays import (
    Keys,
    Pixels,
    Targets,
    as_floats,
    as_keys,
    as_levels,
    as_targets,
    check_classes,
    like,
)
from perturb.library.models import as_classifier, check_device, device_of


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
    pixels = as_levels(images)
    made = corruptions.corrupt(
        pixels,
        corruption,
        severity,
        as_keys(keys, pixels),
        seed,
        frost_textures=frost_textures,
        jpeg_quality=jpeg_quality,
    )
    is_of_levels = str(images.dtype).endswith("uint8")
    return like(images, made if is_of_levels else made.float() / 255)


def worst_spatial(
    model: nn.Module,
    images: Pixels,
    targets: Targets,
    transforms: Sequence[Transform] | None = None,
) -> spatial.WorstCase:
    """Return the worst case of each image over rotations and translations, tried in their order.

    The search ends for an image at the first transform that is classified incorrectly.

    Parameters
    ----------
    model, images, targets : as of `perturb.pgd`.
    transforms : one or more, each (rotation_deg, x_px, y_px); neighbours of the same rotation share
        it. None takes the published grid of 775, ``perturb.spatial_grid(min(H, W))``.

    Returns
    -------
    A `WorstCase` of tensors on the model's device: ``is_broken``, bool (B,); ``transform``, int64
    (B,), the position among the transforms; ``logits``, float32 (B, K), under it.

    Raises
    ------
    ValueError
        as `perturb.pgd`, and if there is no transform.

    References
    ----------
    Engstrom et al., "Exploring the Landscape of Spatial Robustness", ICML 2019.
    """
    pixels = as_floats(images)
    if not isinstance(images, Tensor):
        pixels = pixels.to(device_of(model))
    check_device(model, pixels)
    classes = as_targets(targets, len(pixels), pixels.device)
    if not len(pixels):
        raise ValueError("images are an empty batch; allowed: one image or more")
    tried = spatial_grid(min(pixels.shape[2:])) if transforms is None else _checked(transforms)
    with as_classifier(model, pixels) as classifier:
        check_classes(classes, classifier.num_classes)
        return spatial.worst_spatial(classifier, pixels, classes, tried)


def _checked(transforms: Sequence[Transform]) -> list[Transform]:
    tried = [Transform(*point) for point in transforms]
    if not tried:
        raise ValueError("transforms are empty; allowed: one or more")
    return tried
