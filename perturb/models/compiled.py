"""A classifier with a compiled forward pass, for perturbations that do not change the network.

A compiled pass may ignore later hooks and replaced methods, by which layers are removed and
attention is restricted; numbers would be wrong without an error. Therefore only whole passes are
compiled, `network` stays uncompiled for callers that run its blocks one by one, and a pass through
a changed network is not the compiled one.

A pass is compiled for a batch size, and the number of images that still resist an attack takes
every value. So a batch is padded to one of a few sizes: the largest so far, which has kernels of
its own, and its halves, which share kernels for any size.
"""

from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.classifier import Classifier

# Of the sizes below the largest: what tensor cores are made for, and for fewer images convolutions
# have other kernels.
_MULTIPLE = 16
# The networks of a job share one limit, beyond which dynamo silently compiles no more.
_MOST_GRAPHS = 128


class CompiledClassifier(Classifier):
    """A classifier of the same network and preprocessing with compiled whole passes.

    The first pass compiles, and so does the first one of fewer images, the first one with gradients
    and the first one in another precision. Logits agree with those of the plain classifier up to
    rounding.

    Parameters
    ----------
    classifier : classifier on its device, in evaluation mode; it remains usable.
    backend : backend of ``torch.compile``.
    """

    def __init__(self, classifier: Classifier, backend: Any = "inductor") -> None:
        super().__init__(classifier.network, classifier.preprocessing, classifier._num_classes)
        self.mean, self.std = classifier.mean, classifier.std
        self.train(classifier.training)
        self._changed_before = _changed(self.network)
        self._largest = 0
        # A tuple keeps them from becoming submodules.
        self._passes = tuple(
            torch.compile(self.network, backend=backend, dynamic=dynamic)
            for dynamic in (False, None)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        if len(images) == 0 or _changed(self.network) != self._changed_before:
            return super().forward(images)
        pixels = self.prepare(images)
        self._largest = max(self._largest, len(pixels))
        size = padded_size(len(pixels), self._largest)
        padded = self._padded(pixels, size)
        is_full = size == self._largest
        if not is_full:
            torch._dynamo.maybe_mark_dynamic(padded, 0)
        with torch._dynamo.config.patch(recompile_limit=_MOST_GRAPHS):
            logits: Tensor = self._passes[0 if is_full else 1](padded)
        return logits[: len(images)]

    def _padded(self, pixels: Tensor, size: int) -> Tensor:
        """Return the pixels and rows of zeros, in the one memory format that is compiled for."""
        is_last = self.takes_channels_last(pixels.device.type)
        layout = torch.channels_last if is_last else torch.contiguous_format
        if size > len(pixels):
            pixels = nn.functional.pad(pixels, (0, 0, 0, 0, 0, 0, 0, size - len(pixels)))
        return pixels.contiguous(memory_format=layout)


def padded_size(count: int, largest: int) -> int:
    """Return the number of images that a batch is padded to: the largest, or a half, a quarter ...

    Parameters
    ----------
    count : images of the batch, 1 to `largest`.
    """
    size = largest
    while (half := -(-size // (2 * _MULTIPLE)) * _MULTIPLE) < size and count <= half:
        size = half
    return size


def _changed(network: nn.Module) -> set[int]:
    """Return the ids of modules with hooks or a replaced forward method."""
    return {
        id(module) for module in network.modules() if _hooks(module) or "forward" in vars(module)
    }


def _hooks(module: Any) -> bool:
    return bool(module._forward_pre_hooks or module._forward_hooks)
