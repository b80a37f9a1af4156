"""How the input of a network is written: its memory format and its number format.

Channels last makes convolutions and group norms of small networks a quarter faster on a CPU. A ViT
convolves only to embed its patches, with the same logits and the same speed in either format, and
copies the tokens when it adds a class token: its input is left as it is. On CUDA only convolutions
with batch norms gain from channels last; PyTorch's kernels for group norms take the other format.
"""

from typing import Any

import torch
from torch import nn

from perturb.models.precision import holds_bfloat16
from perturb.models.timm_modules import ResNetV2, VisionTransformer

_BATCH_NORM = nn.modules.batchnorm._BatchNorm


def takes_channels_last(network: nn.Module, kind: str) -> bool:
    """Return whether the input of a network is written in channels-last format.

    Parameters
    ----------
    kind : type of the device, ``cpu`` or ``cuda``.
    """
    if isinstance(network, VisionTransformer):
        # Without a class token or registers the tokens keep the strides of the convolution's
        # output, and every norm would copy them if these were not the channels' last.
        return not (network.num_prefix_tokens and _embeds_by_one_convolution(network))
    if kind == "cpu":
        return True
    return any(isinstance(module, _BATCH_NORM) for module in network.modules())


def input_dtype(network: nn.Module, kind: str) -> torch.dtype:
    """Return the number format of a network's input: bfloat16 if its first layer reads that.

    That is so if its weights are held in bfloat16, and within `autocast` if the first layer is
    known to be a convolution, which would itself round each pixel to the same number.

    Parameters
    ----------
    kind : type of the device.
    """
    if holds_bfloat16(network):
        return torch.bfloat16
    if torch.is_autocast_enabled(kind) and _starts_with_convolution(network):
        return torch.get_autocast_dtype(kind)
    return torch.float32


def _starts_with_convolution(network: nn.Module) -> bool:
    is_vit = isinstance(network, VisionTransformer)
    return isinstance(network, ResNetV2) or (is_vit and _embeds_by_one_convolution(network))


def _embeds_by_one_convolution(network: Any) -> bool:
    return isinstance(getattr(network.patch_embed, "proj", None), nn.Conv2d) and not hasattr(
        network.patch_embed, "backbone"
    )
