"""Residual blocks of timm's networks, by the names of their classes.

A block adds something to its input: without it, the input is passed on. That is so only where its
skip connection is the identity, and not a projection, a pooling or absent, as in the first block of
a stage. How a block of a class tells is a table; a test runs a network of each family with blocks
whose weights are zero, which then return their input.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn


def _always(_: Any) -> bool:
    return True


def _has_skip(block: Any) -> bool:
    return bool(block.has_skip)


def _has_no_downsample(block: Any) -> bool:
    return block.downsample is None or isinstance(block.downsample, nn.Identity)


def _has_identity_as_downsample(block: Any) -> bool:  # None: it has no skip connection
    return isinstance(block.downsample, nn.Identity)


def _has_identity(block: Any) -> bool:
    return isinstance(block.shortcut, nn.Identity)


def _has_identity_in_convolution(block: Any) -> bool:
    return isinstance(block.conv.shortcut, nn.Identity)


# For each class, below timm.models, whether a block's skip connection is the identity.
_SKIPS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        (
            "beit.Block",
            "cait.LayerScaleBlock",
            "davit.ChannelBlock",
            "davit.SpatialBlock",
            "eva.EvaBlock",
            "eva.EvaBlockPostNorm",
            "focalnet.FocalNetBlock",
            "gcvit.GlobalContextVitBlock",
            "inception_next.MetaNeXtBlock",
            "mlp_mixer.MixerBlock",
            "mlp_mixer.ResBlock",
            "mlp_mixer.SpatialGatingBlock",
            "nest.TransformerLayer",
            "pvt_v2.Block",
            "swin_transformer.SwinTransformerBlock",
            "swin_transformer_v2.SwinTransformerV2Block",
            "swin_transformer_v2_cr.SwinTransformerV2CrBlock",
            "twins.Block",
            "vision_transformer.Block",
            "vision_transformer_relpos.RelPosBlock",
            "vision_transformer_relpos.ResPostRelPosBlock",
            "xcit.XCABlock",
        ),
        _always,
    ),
    **dict.fromkeys(
        (
            "_efficientnet_blocks.CondConvResidual",
            "_efficientnet_blocks.ConvBnAct",
            "_efficientnet_blocks.DepthwiseSeparableConv",
            "_efficientnet_blocks.EdgeResidual",
            "_efficientnet_blocks.InvertedResidual",
            "_efficientnet_blocks.MobileAttention",
            "_efficientnet_blocks.UniversalInvertedResidual",
        ),
        _has_skip,
    ),
    **dict.fromkeys(
        (
            "res2net.Bottle2neck",
            "resnest.ResNestBottleneck",
            "resnet.BasicBlock",
            "resnet.Bottleneck",
            "senet.SEBottleneck",
            "senet.SEResNeXtBottleneck",
            "senet.SEResNetBlock",
            "senet.SEResNetBottleneck",
            "sknet.SelectiveKernelBasic",
            "sknet.SelectiveKernelBottleneck",
        ),
        _has_no_downsample,
    ),
    **dict.fromkeys(
        (
            "byobnet.BasicBlock",
            "byobnet.BottleneckBlock",
            "byobnet.DarkBlock",
            "byobnet.EdgeBlock",
            "convnext.ConvNeXtBlock",
            "maxxvit.ConvNeXtBlock",
            "maxxvit.MbConvBlock",
            "maxxvit.TransformerBlock2d",
        ),
        _has_identity,
    ),
    "maxxvit.MaxxVitBlock": _has_identity_in_convolution,
    "regnet.Bottleneck": _has_identity_as_downsample,
    "regnet.PreBottleneck": _has_identity_as_downsample,
}


# Attention between all tokens in some of these blocks, with the argument of its modules that is
# added to the logits of the softmax.
_MASK_ARGUMENTS = {
    "beit.Attention": "shared_rel_pos_bias",
    "eva.EvaAttention": "attn_mask",
    "timm.layers.attention.AttentionRope": "attn_mask",
}


def masked_attention(block: nn.Module) -> tuple[nn.Module, str] | None:
    """Return a block's attention module and its argument for a mask; None if it takes none."""
    attention = getattr(block, "attn", None)
    if attention is None or _name_of(attention) not in _MASK_ARGUMENTS:
        return None
    return attention, _MASK_ARGUMENTS[_name_of(attention)]


def residual_blocks(network: nn.Module) -> Iterator[tuple[nn.Module, bool]]:
    """Yield the outermost blocks of known classes in order, and whether each passes its input on.

    Networks register their blocks in the order in which they run them; the survey of timm's
    networks compares the two (`perturb.models.timm_survey`).
    """
    for child in network.children():
        passes_on = _SKIPS.get(_name_of(child))
        if passes_on is None:
            yield from residual_blocks(child)
        else:
            yield child, passes_on(child)


def _name_of(module: nn.Module) -> str:
    kind = type(module)
    return f"{kind.__module__.removeprefix('timm.models.')}.{kind.__name__}"
