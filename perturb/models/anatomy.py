"""Stages of a network that run one after another: an embedding, its blocks, a head.

Perturbations that change a block, mask its attention or read its output share these stages, and can
reuse activations from before the first change. The stages are the network's own modules in their
own order: running all of them gives the classifier's logits bit for bit.

Only timm's VisionTransformer and ResNetV2 are supported, with subclasses that keep the order of
stages (such as DeiT, with a distillation token and a second head). The parts of a block are in
`perturb.experiments.lesions.surgery`.

Legend: B images, C channels, H W pixels, N tokens, D width, K classes.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from perturb.models.classifier import Classifier
from perturb.models.timm_modules import ResNetV2, VisionTransformer


@dataclass(frozen=True)
class Anatomy:
    """The stages of a network.

    family : ``vit`` or ``resnet``.
    blocks : transformer blocks, or the residual blocks of all stages, in the order of execution.
    removable : indices of blocks with an identity skip connection, which can be removed: all of a
        ViT; of a ResNet all but the first of each stage, whose skip connection is a learned
        projection even if it keeps the shape.
    num_heads : attention heads of each block; 0 without attention.
    """

    family: str
    network: Any  # timm has no types
    blocks: tuple[nn.Module, ...]
    removable: tuple[int, ...]
    num_heads: int

    @property
    def num_blocks(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    def embed(self, classifier: Classifier, images: Tensor) -> Tensor:
        """Return the input of block 0: tokens (B, N, D), or the stem's (B, C, H, W).

        Parameters
        ----------
        classifier : classifier of this network; its preprocessing is applied.
        images : as of `Classifier.forward`.
        """
        pixels = classifier.prepare(images)
        network = self.network
        if self.family == "resnet":
            embedded: Tensor = network.stem(pixels)
        else:
            tokens = network.patch_drop(network._pos_embed(network.patch_embed(pixels)))
            embedded = network.norm_pre(tokens)
        return embedded

    def run(self, activations: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the input of block ``stop``, given the input of block ``start``.

        Without ``stop`` all blocks from ``start`` on run, and the result is the input of the head.
        """
        for block in self.blocks[start:stop]:
            activations = block(activations)
        return activations

    def head(self, activations: Tensor) -> Tensor:
        """Return logits (B, K) from the output of the last block: norm, pooling, classifier."""
        logits: Tensor = self.network.forward_head(self.network.norm(activations))
        return logits


def anatomy(network: nn.Module) -> Anatomy:
    """Return the stages of a network.

    Raises
    ------
    ValueError
        If it is neither timm's VisionTransformer nor its ResNetV2, or a subclass with another
        forward pass.
    """
    for family, kind in (("vit", VisionTransformer), ("resnet", ResNetV2)):
        if not isinstance(network, kind):
            continue
        for method in ("forward", "forward_features"):
            if getattr(type(network), method) is not getattr(kind, method):
                name = type(network).__name__
                raise ValueError(f"{name} overrides {method}, so its order is not known")
        return _of_vit(network) if family == "vit" else _of_resnet(network)
    raise ValueError(
        f"network is {type(network).__name__}; allowed: timm's VisionTransformer and ResNetV2, "
        "whose blocks run one after another on all tokens (no attention in windows or pooled)"
    )


def _of_vit(network: Any) -> Anatomy:
    blocks = tuple(network.blocks)
    num_heads = {getattr(getattr(block, "attn", block), "num_heads", 0) for block in blocks}
    return Anatomy(
        family="vit",
        network=network,
        blocks=blocks,
        removable=tuple(range(len(blocks))),
        num_heads=num_heads.pop() if len(num_heads) == 1 else 0,
    )


def _of_resnet(network: Any) -> Anatomy:
    blocks = tuple(block for stage in network.stages for block in stage.blocks)
    return Anatomy(
        family="resnet",
        network=network,
        blocks=blocks,
        removable=tuple(i for i, block in enumerate(blocks) if block.downsample is None),
        num_heads=0,
    )
