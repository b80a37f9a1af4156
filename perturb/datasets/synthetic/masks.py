"""Object masks of images of the generated family.

The scene of an image is drawn again from the same random numbers, and only the silhouette of its
target is rendered, without occlusion (a bar in hard images), clutter, shadow or rendition.
"""

from typing import Any

import torch
from torch import Tensor

from perturb.datasets.synthetic.family import SIDE
from perturb.datasets.synthetic.generated import draw
from perturb.datasets.synthetic.rendering import coverage, distance_px, object_plane, pixel_grid

_CHUNK = 256


def object_masks(set_name: str, split: str, seed: int, indices: Tensor, **options: Any) -> Tensor:
    """Return the coverage of each pixel by the silhouette of the target, 255 for full coverage.

    Parameters and errors are those of ``perturb.datasets.synthetic.generated.generate``.

    Returns
    -------
    uint8 (B, 1, 32, 32).
    """
    scene, _, _ = draw(set_name, split, seed, indices, **options)
    masks = torch.empty((len(indices), 1, SIDE, SIDE), dtype=torch.uint8)
    for start in range(0, len(masks), _CHUNK):
        part = slice(start, start + _CHUNK)
        sprite = scene.sprite.rows(part)
        covered = coverage(distance_px(sprite, *object_plane(sprite, pixel_grid())))
        masks[part, 0] = covered.mul_(255).add_(0.5).to(torch.uint8)
    return masks
