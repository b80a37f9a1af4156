"""A network cut into stages that run one after another: an embedding, its blocks, a head.

Whoever changes a block, masks its attention or reads its output needs the same cut; and what was
computed before the first change can then be kept and shared. The stages are the network's own
modules in its own order, so running all of them gives the classifier's logits bit for bit.

Only timm's VisionTransformer and ResNetV2 are cut here, with those subclasses that keep their order
of stages (DeiT's distillation token and second head are such). What a block consists of is in
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
    blocks : transformer blocks, or the residual blocks of all stages, in the order they run.
    removable : which blocks add to an unchanged input, so that the others can do without them:
        every one of a ViT; of a ResNet all but the first of each stage, whose skip connection is a
        learned projection even where the shape stays.
    num_heads : attention heads of each block; 0 where there is no attention.
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
        classifier : whose network this is; its preprocessing comes first.
        images : as the classifier takes them.
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
        """Return the input of block ``stop``, given that of block ``start``: a slice's meaning.

        Without ``stop`` all blocks from ``start`` on are run, and the result is the head's input.
        """
        for block in self.blocks[start:stop]:
            activations = block(activations)
        return activations

    def head(self, activations: Tensor) -> Tensor:
        """Return logits (B, K) of what leaves the last block: final norm, pooling, classifier."""
        logits: Tensor = self.network.forward_head(self.network.norm(activations))
        return logits


def anatomy(network: nn.Module) -> Anatomy:
    """Return the stages of a network.

    Raises
    ------
    ValueError
        If it is neither timm's VisionTransformer nor its ResNetV2, or a subclass that runs them in
        another way.
    """
    for family, kind in (("vit", VisionTransformer), ("resnet", ResNetV2)):
        if not isinstance(network, kind):
            continue
        for method in ("forward", "forward_features"):
            if getattr(type(network), method) is not getattr(kind, method):
                name = type(network).__name__
                raise ValueError(f"{name} has a {method} of its own, so its order is not known")
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
