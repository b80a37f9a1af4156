"""The worst of rotations and translations of images, for any model."""

from collections.abc import Sequence

from torch import nn

from perturb.experiments.spatial import evaluate as spatial
from perturb.experiments.spatial.transforms import Transform, spatial_grid
from perturb.library.arrays import Pixels, Targets, as_targets, check_classes
from perturb.library.classifiers import as_classifier
from perturb.library.models import check_model, floats_for
from perturb.models.precision import autocast


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
    check_model(model)
    pixels = floats_for(model, images)
    classes = as_targets(targets, len(pixels), pixels.device)
    if not len(pixels):
        raise ValueError("images are an empty batch; allowed: one image or more")
    tried = spatial_grid(min(pixels.shape[2:])) if transforms is None else _checked(transforms)
    with as_classifier(model, pixels) as classifier, autocast("float32", pixels.device):
        check_classes(classes, classifier.num_classes)
        return spatial.worst_spatial(classifier, pixels, classes, tried)


def _checked(transforms: Sequence[Transform]) -> list[Transform]:
    tried = [Transform(*point) for point in transforms]
    if not tried:
        raise ValueError("transforms are empty; allowed: one or more")
    return tried
