"""Where the object is in an image of the generated family.

The scene of an image is drawn a second time from the same numbers, and only the silhouette of its
target is rendered: what the picture shows over it (a bar in hard images) or around it (clutter,
shadow) is not looked at, nor how a rendition draws it.
"""

import torch
from torch import Tensor

from perturb.datasets.synthetic.family import NUM_TARGET_CLASSES, SIDE
from perturb.datasets.synthetic.generated import draw
from perturb.datasets.synthetic.rendering import coverage, distance_px, object_plane, pixel_grid

_CHUNK = 256


def object_masks(
    set_name: str,
    split: str,
    seed: int,
    indices: Tensor,
    *,
    num_classes: int = NUM_TARGET_CLASSES,
    texture_correlation: float = 0.95,
) -> Tensor:
    """Return how much of each pixel the target's silhouette covers, 255 being all of it.

    Parameters and errors are those of ``perturb.datasets.synthetic.generated.generate``.

    Returns
    -------
    uint8 (B, 1, 32, 32).
    """
    scene, _, _ = draw(
        set_name,
        split,
        seed,
        indices,
        num_classes=num_classes,
        texture_correlation=texture_correlation,
    )
    masks = torch.empty((len(indices), 1, SIDE, SIDE), dtype=torch.uint8)
    for start in range(0, len(masks), _CHUNK):
        part = slice(start, start + _CHUNK)
        sprite = scene.sprite.rows(part)
        covered = coverage(distance_px(sprite, *object_plane(sprite, pixel_grid())))
        masks[part, 0] = covered.mul_(255).add_(0.5).to(torch.uint8)
    return masks
