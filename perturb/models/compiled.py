"""A classifier whose forward pass is compiled, for perturbations that leave the network as it is.

A compiled pass is the network as it was when it was compiled: it need not notice hooks and replaced
methods, by which layers are removed and attention is restricted, and a mask that is ignored in
silence would be a wrong number. So only whole passes are compiled, `network` itself stays as it is
for whoever runs its blocks one by one, and a pass through a network that is being changed is not
the compiled one.
"""

from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.classifier import Classifier


class CompiledClassifier(Classifier):
    """A classifier of the same network and preprocessing, whose whole passes are compiled.

    Compilation takes place in the first pass, and again where gradients or another precision are
    asked for. Logits agree with those of the plain classifier but for rounding.

    Parameters
    ----------
    classifier : on its device, in evaluation mode; it can still be used itself.
    backend : of ``torch.compile``.
    """

    def __init__(self, classifier: Classifier, backend: str = "inductor") -> None:
        super().__init__(classifier.network, classifier.preprocessing)
        self.to(classifier.mean)
        self.train(classifier.training)
        self._changed_before = _changed(self.network)
        # The number of images varies: the last batch, and those that an attack has not broken yet.
        compiled = torch.compile(self.network, backend=backend, dynamic=None)
        self._whole_pass = (compiled,)  # in a tuple it is not a second submodule

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        if _changed(self.network) != self._changed_before:
            return super().forward(images)
        logits: Tensor = self._whole_pass[0](self.prepare(images))
        return logits


def _changed(network: nn.Module) -> set[int]:
    """Return which modules have hooks or do something else than their class says."""
    return {
        id(module) for module in network.modules() if _hooks(module) or "forward" in vars(module)
    }


def _hooks(module: Any) -> bool:
    return bool(module._forward_pre_hooks or module._forward_hooks)
