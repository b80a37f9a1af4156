"""Zero-shot heads: logits are the scaled cosines of an image's vector with text vectors.

An image tower of CLIP's kind, such as timm's ``vit_*_clip_*``, projects its features into a space
that it shares with a text tower: D is the width of the network's head. Beyond the projection the
logits follow Radford et al. [1]_: for each class the logit scale times the cosine of the image's
vector and the class's text vector. Lesions, masks and attacks see a network as any other.

Legend: B images, K classes, D width of the shared space.

References
----------
.. [1] Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
   ICML 2021.
"""

from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.class_vectors import ClassVectors


class ZeroShotHead(nn.Module):
    """The projection of an image tower, and the scaled cosines with text vectors.

    ``class_vectors`` (K, D) are unit vectors. They are no parameters: a study that changes the
    weights of a network leaves them as they are.
    """

    class_vectors: Tensor
    logit_scale: Tensor

    def __init__(self, projection: nn.Module, num_classes: int, width: int) -> None:
        super().__init__()
        self.projection = projection
        self.register_buffer("class_vectors", torch.zeros(num_classes, width))
        self.register_buffer("logit_scale", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, K) of the features before the projection."""
        embedded = nn.functional.normalize(self.projection(features), dim=-1)
        return self.logit_scale * (embedded @ self.class_vectors.T)


def with_zero_shot_head(network: Any, num_classes: int) -> nn.Module:
    """Return an image tower with an empty zero-shot head behind its projection.

    Parameters
    ----------
    network : timm network whose head is one linear layer, of D outputs; changed in place.
    num_classes : number of classes, K.

    Raises
    ------
    ValueError
        If its head is not one linear layer.
    """
    projection = network.get_classifier()
    place = next((name for name, module in network.named_modules() if module is projection), "")
    if not isinstance(projection, nn.Linear) or not place:
        raise ValueError(
            f"the head of {type(network).__name__} is {type(projection).__name__}; allowed with "
            "class vectors: networks whose head is one linear layer, the projection to their space"
        )
    head = ZeroShotHead(projection, num_classes, projection.out_features)
    network.set_submodule(place, head)
    network.num_classes = num_classes
    return network  # type: ignore[no-any-return]


def fill(network: Any, vectors: ClassVectors) -> None:
    """Put class vectors into a network's zero-shot head."""
    head: ZeroShotHead = network.get_classifier()
    with torch.no_grad():
        head.class_vectors.copy_(torch.from_numpy(vectors.vectors))
        head.logit_scale.fill_(vectors.logit_scale)
