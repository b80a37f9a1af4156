"""Outputs of the blocks of a network: the features of layer correlations.

Legend: B images.
"""

import torch
from torch import Tensor

from perturb.models.anatomy import Anatomy
from perturb.models.classifier import Classifier


def block_outputs(
    classifier: Classifier, body: Anatomy, images: Tensor, at_once: int | None = None
) -> list[Tensor]:
    """Return the output of each block, (B, ...).

    Parameters
    ----------
    images : (B, 3, H, W), on any device.
    at_once : number of images per run of the network. If it is less than B, the outputs are kept on
        the host; otherwise they stay on the network's device.

    Raises
    ------
    ValueError
        if a feature is not finite.
    """
    num_images = len(images)
    if at_once is None or num_images <= at_once:
        return _outputs(classifier, body, images)
    parts = [
        [layer.cpu() for layer in _outputs(classifier, body, images[start : start + at_once])]
        for start in range(0, num_images, at_once)
    ]
    return [torch.cat(layers) for layers in zip(*parts, strict=True)]


def _outputs(classifier: Classifier, body: Anatomy, images: Tensor) -> list[Tensor]:
    activations = body.embed(classifier, images.to(classifier.mean.device))
    layers: list[Tensor] = []
    for block in body.blocks:
        activations = block(activations)
        if not torch.isfinite(activations).all():
            raise ValueError(f"output of block {len(layers)} is not finite")
        layers.append(activations)
    return layers
