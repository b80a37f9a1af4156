"""A classifier with a compiled forward pass, for perturbations that do not change the network.

A compiled pass may ignore later hooks and replaced methods, by which layers are removed and
attention is restricted; numbers would be wrong without an error. Therefore only whole passes are
compiled, `network` stays uncompiled for callers that run its blocks one by one, and a pass through
a changed network is not the compiled one.
"""

from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.classifier import Classifier


class CompiledClassifier(Classifier):
    """A classifier of the same network and preprocessing with compiled whole passes.

    The first pass compiles, and so does the first pass with gradients or in another precision.
    Logits agree with those of the plain classifier up to rounding.

    Parameters
    ----------
    classifier : classifier on its device, in evaluation mode; it remains usable.
    backend : backend of ``torch.compile``.
    """

    def __init__(self, classifier: Classifier, backend: str = "inductor") -> None:
        super().__init__(classifier.network, classifier.preprocessing, classifier._num_classes)
        self.to(classifier.mean)
        self.train(classifier.training)
        self._changed_before = _changed(self.network)
        # The batch size varies: the last batch, and images that resist an attack.
        compiled = torch.compile(self.network, backend=backend, dynamic=None)
        self._whole_pass = (compiled,)  # a tuple keeps it from becoming a submodule

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        if _changed(self.network) != self._changed_before:
            return super().forward(images)
        logits: Tensor = self._whole_pass[0](self.prepare(images))
        return logits


def _changed(network: nn.Module) -> set[int]:
    """Return the ids of modules with hooks or a replaced forward method."""
    return {
        id(module) for module in network.modules() if _hooks(module) or "forward" in vars(module)
    }


def _hooks(module: Any) -> bool:
    return bool(module._forward_pre_hooks or module._forward_hooks)
