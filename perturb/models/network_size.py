"""Parameters and FLOPs of one forward pass of a network, from its arguments or timm's table.

A FLOP is a multiplication or an addition of a convolution, a linear layer or the attention's two
products; norms, activations and the softmax are left out, as is usual. For networks by timm's name
the numbers are those of its table, at the network's own side; for networks by arguments they are
computed here.

Legend: N tokens, D width of a ViT, M units of its MLP, K classes.
"""

from collections.abc import Mapping
from typing import Any

from perturb.models.timm_table import TimmModel, geometry, model_of

_BOTTLENECK = 4  # a block's outputs over its inner channels


def timm_row(tag: str | None, architecture: str | None) -> TimmModel | None:
    """Return timm's row of a network: of its weights' tag, or of its architecture."""
    if tag is not None:
        return model_of(tag)
    return None if architecture is None else geometry(architecture)


def size_of(
    known: TimmModel | None,
    family: str,
    arguments: Mapping[str, Any],
    *,
    side: int,
    num_classes: int,
) -> tuple[int | None, float | None]:
    """Return the number of parameters and the forward FLOPs of a network, None if unknown.

    Parameters
    ----------
    known : timm's row of the network, if there is one. Without one, only those of the two families
        are known.
    side : of the network's input [px].
    """
    if known is not None:
        flops = None if known.gmacs is None else 2e9 * known.gmacs * _growth(known, side)
        return known.num_parameters, flops
    count = _COUNTS.get(family)
    return (None, None) if count is None else count(arguments, side, num_classes)


def vit_size(arguments: Mapping[str, Any], side: int, num_classes: int) -> tuple[int, int]:
    """Return parameters and forward FLOPs of a ViT: L (2 N (4 D^2 + 2 D M) + 4 N^2 D) and ends."""
    width, depth = int(arguments["embed_dim"]), int(arguments["depth"])
    hidden = int(width * float(arguments.get("mlp_ratio", 4)))
    patch = int(arguments["patch_size"])
    num_patches = (side // patch) ** 2
    num_tokens = num_patches + 1
    weights = 4 * width**2 + 2 * width * hidden
    biases_and_norms = 4 * width + hidden + width + 4 * width
    embedding = 3 * patch**2 * width
    flops = depth * (2 * num_tokens * weights + 4 * num_tokens**2 * width)
    flops += 2 * num_patches * embedding + 2 * width * num_classes
    num_parameters = depth * (weights + biases_and_norms) + embedding + 2 * width
    num_parameters += num_tokens * width + 2 * width + (width + 1) * num_classes
    return num_parameters, flops


def resnet_size(arguments: Mapping[str, Any], side: int, num_classes: int) -> tuple[int, int]:
    """Return parameters and forward FLOPs of a ResNet in the BiT form, convolution by convolution.

    The stem halves the side twice, each stage but the first once more, in the middle convolution of
    its first block.
    """
    stem = int(arguments["stem_channels"])
    side = _half(side)
    num_parameters, flops = 147 * stem, 2 * side**2 * 147 * stem
    side, width = _half(side), stem
    stages = zip(arguments["layers"], arguments["channels"], strict=True)
    for stage, (num_blocks, channels) in enumerate(stages):
        for block in range(num_blocks):
            before = side
            side = _half(side) if stage > 0 and block == 0 else side
            inner = channels // _BOTTLENECK
            reduce, rest = width * inner, 9 * inner**2 + inner * channels
            rest += width * channels if block == 0 else 0  # the projection on the skip connection
            flops += 2 * (before**2 * reduce + side**2 * rest)
            num_parameters += reduce + rest + 2 * (width + 2 * inner)
            width = channels
    flops += 2 * width * num_classes
    return num_parameters + 2 * width + (width + 1) * num_classes, flops


_COUNTS = {"vit": vit_size, "resnet": resnet_size}


def _half(side: int) -> int:
    return -(-side // 2)


def _growth(known: TimmModel, side: int) -> float:
    """Return the ratio of a network's FLOPs at another side to those at the side of the table."""
    if side == known.side:
        return 1.0
    if known.kind != "vit":  # convolutions grow with the area
        return (side / known.side) ** 2
    arguments = {
        "embed_dim": known.embed_dim,
        "depth": known.depth,
        "patch_size": known.patch_size,
    }
    flops = (vit_size(arguments, px, known.num_classes)[1] for px in (side, known.side))
    asked, counted = flops
    return asked / counted
