"""Outputs of the blocks of a network: the features of layer correlations.

Legend: B images.
"""

from collections.abc import Iterator
from contextlib import ExitStack

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
    layers: list[Tensor] = []
    for activations in _run(classifier, body, images.to(classifier.mean.device)):
        if not torch.isfinite(activations).all():
            raise ValueError(f"output of block {len(layers)} is not finite")
        layers.append(activations)
    return layers


def _run(classifier: Classifier, body: Anatomy, images: Tensor) -> Iterator[Tensor]:
    """Yield the output of each block."""
    if not body.is_staged:
        yield from _recorded(classifier, body, images)
        return
    activations = body.embed(classifier, images)
    for block in body.blocks:
        activations = block(activations)
        yield activations


def _recorded(classifier: Classifier, body: Anatomy, images: Tensor) -> list[Tensor]:
    """Return the output of each block, recorded in a pass of the whole network."""
    outputs: list[Tensor] = []
    with ExitStack() as stack:
        for block in body.blocks:
            # A copy: the next layer may change its input in place.
            hook = block.register_forward_hook(lambda *given: outputs.append(given[-1].clone()))
            stack.callback(hook.remove)
        classifier(images)
    return outputs
