"""Parameters of the networks of a study, and FLOPs of one forward pass.

A FLOP is a multiplication or an addition of a convolution, a linear layer or the attention's two
products; norms, activations and the softmax are left out, as is usual. For networks by timm's name
the numbers are those of its table, at the network's own side; for networks by arguments they are
computed here.

Legend: N tokens, D width of a ViT, M units of its MLP, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perturb.config import Config
from perturb.datasets.real.bundled_sets import BUNDLED_CLASSES
from perturb.datasets.synthetic.family import NUM_TARGET_CLASSES
from perturb.models.timm_table import TimmModel, geometry, model_of
from perturb.records import Model

_BOTTLENECK = 4  # a block's outputs over its inner channels
_IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Network:
    """The network of a model; num_parameters and forward_flops are None if unknown.

    side_px : of the network's input.
    """

    family: str
    side_px: int
    num_parameters: int | None
    forward_flops: float | None


def network_of(config: Config, model: Model) -> Network:
    """Return the network of a model at the side of its input in the study."""
    architecture = model.architecture
    side = side_of(model)
    known = _known(model)
    if known is not None:
        flops = None if known.gmacs is None else 2e9 * known.gmacs * _growth(known, side)
        return Network(architecture.family, side, known.num_parameters, flops)
    if model.factory is not None:
        return Network(architecture.family, side, None, None)
    arguments, num_classes = architecture.arguments, num_classes_of(config)
    count = vit_size if architecture.family == "vit" else resnet_size
    num_parameters, flops = count(arguments, side, num_classes)
    return Network(architecture.family, side, num_parameters, flops)


def side_of(model: Model) -> int:
    """Return the side of a network's input [px]."""
    return model.own_preprocessing.view.side if model.own_preprocessing else EMBEDDED_SIDE


#: Side of generated and of bundled images [px].
EMBEDDED_SIDE = 32


def num_classes_of(config: Config) -> int:
    """Return the number of classes of the study."""
    clean = config.clean_dataset
    if clean.bundled is not None:
        return BUNDLED_CLASSES[clean.bundled["set"]]
    if clean.generate is not None:
        return NUM_TARGET_CLASSES
    return clean.num_classes or _IMAGENET_CLASSES


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


def _half(side: int) -> int:
    return -(-side // 2)


def _known(model: Model) -> TimmModel | None:
    """Return timm's row of a model: of its tag, or of its architecture."""
    if model.timm_tag is not None:
        return model_of(model.timm_tag)
    return None if model.architecture.timm is None else geometry(model.architecture.timm)


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
