"""Stages of a network that run one after another: an embedding, its blocks, a head.

Perturbations that change a block, mask its attention or read its output share these stages, and can
reuse activations from before the first change. The stages are the network's own modules in their
own order: running all of them gives the classifier's logits bit for bit.

That is so for timm's VisionTransformer and ResNetV2, with subclasses that keep the order of stages
(such as DeiT, with a distillation token and a second head). Of timm's other networks only the
residual blocks are known (`perturb.models.residual_blocks`): they are changed and read where they
are, while the network runs as a whole. The parts of a block are in
`perturb.experiments.lesions.surgery`.

Legend: B images, C channels, H W pixels, N tokens, D width, K classes.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from perturb.models.classifier import Classifier
from perturb.models.residual_blocks import masked_attention, residual_blocks
from perturb.models.timm_modules import ResNetV2, VisionTransformer

# A single block of a known class is the stem of a network of other blocks.
_FEWEST_BLOCKS = 2


@dataclass(frozen=True)
class Anatomy:
    """The stages of a network.

    family : ``vit`` or ``resnet``; ``other`` for networks of which only the blocks are known.
    blocks : transformer blocks, or the residual blocks of all stages, in the order of execution.
    removable : indices of blocks with an identity skip connection, which can be removed: all of a
        ViT; of a ResNet all but the first of each stage, whose skip connection is a learned
        projection even if it keeps the shape.
    num_heads : attention heads of each block; 0 without attention, or where heads are unknown.
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

    @property
    def attention(self) -> str | None:
        """The class of the attention over all tokens in each block of a network of family other.

        None if it is unknown, takes no mask, or blocks differ.
        """
        found = [masked_attention(block) for block in self.blocks if not self.is_staged]
        kinds = {type(taker[0]).__name__ if taker else None for taker in found}
        return kinds.pop() if len(kinds) == 1 else None

    @property
    def is_staged(self) -> bool:
        """Whether `embed`, `run` and `head` run the network; else only a whole pass does."""
        return self.family != "other"

    def embed(self, classifier: Classifier, images: Tensor) -> Tensor:
        """Return the input of block 0: tokens (B, N, D), or the stem's (B, C, H, W).

        Parameters
        ----------
        classifier : classifier of this network; its preprocessing is applied.
        images : as of `Classifier.forward`.
        """
        if not self.is_staged:
            raise ValueError(f"stages of {type(self.network).__name__} do not run one by one")
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
        If it has no residual blocks of known classes, or is a subclass of timm's VisionTransformer
        or ResNetV2 with another forward pass.
    """
    for family, kind in (("vit", VisionTransformer), ("resnet", ResNetV2)):
        if not isinstance(network, kind):
            continue
        for method in ("forward", "forward_features"):
            if getattr(type(network), method) is not getattr(kind, method):
                name = type(network).__name__
                raise ValueError(f"{name} overrides {method}, so its order is not known")
        return _of_vit(network) if family == "vit" else _of_resnet(network)
    return _of_other(network)


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


def describe_blocks(body: Anatomy) -> dict[str, Any]:
    """Return the facts on a network of which only the blocks are known, for planning.

    Number of blocks, those that cannot be removed, and where attention between all tokens takes a
    mask the class of its modules and the number of tokens before the patches.
    """
    fixed = tuple(sorted(set(range(body.num_blocks)) - set(body.removable)))
    facts: dict[str, Any] = {"num_blocks": body.num_blocks, "fixed_blocks": fixed}
    if body.attention is not None:
        facts |= {"attention": body.attention, "num_prefix_tokens": body.network.num_prefix_tokens}
    return facts


def _of_other(network: nn.Module) -> Anatomy:
    found = list(residual_blocks(network))
    if len(found) < _FEWEST_BLOCKS:
        raise ValueError(
            f"network is {type(network).__name__}; allowed: timm's VisionTransformer and ResNetV2, "
            "and networks of residual blocks that are known (perturb.models.residual_blocks)"
        )
    return Anatomy(
        family="other",
        network=network,
        blocks=tuple(block for block, _ in found),
        removable=tuple(index for index, (_, passes_on) in enumerate(found) if passes_on),
        num_heads=0,
    )
