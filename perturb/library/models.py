"""Checks of any model of a caller: its mode, its device, what it returns.

A plain `nn.Module` takes float32 pixels in [0, 1], (B, 3, H, W), and returns logits (B, K).
"""

from typing import Any

import torch
from torch import Tensor, nn

from perturb.library.arrays import Array, as_floats


def check_model(model: nn.Module) -> None:
    """Raise a ValueError unless a model can be evaluated."""
    check_kind(model)
    if model.training:
        raise ValueError(
            "model is in training mode, in which dropout and batch norms act; allowed: "
            "model.eval() first"
        )


def check_uncompiled(model: nn.Module) -> None:
    """Raise a ValueError for a compiled model: its passes may ignore a change of its layers."""
    # By an attribute of its class, whose import takes longer than that of torch.
    if any("_orig_mod" in module._modules for module in model.modules()):
        raise ValueError("model is compiled; allowed: the module before torch.compile")


def num_classes_of(model: nn.Module, images: Tensor) -> int:
    """Return the width of the logits of an image.

    Raises
    ------
    ValueError
        If the model returns something else than logits (B, K).
    """
    with torch.no_grad():
        logits: Any = model(as_floats(images[:1]))
    if not isinstance(logits, Tensor) or logits.ndim != 2 or not logits.is_floating_point():
        shape = f" {tuple(logits.shape)}" if isinstance(logits, Tensor) else ""
        raise ValueError(
            f"model returns a {type(logits).__name__}{shape}; allowed: logits (B, K), floats, "
            "which a module around the model can take from it"
        )
    return int(logits.shape[1])


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's weights; that of a model without any is the CPU.

    Raises
    ------
    ValueError
        If they lie on several devices.
    """
    tensors = [*model.parameters(), *model.buffers()]
    devices = {tensor.device for tensor in tensors}
    if len(devices) > 1:
        named = " and ".join(sorted(map(str, devices)))
        raise ValueError(f"weights of the model are on {named}; allowed: one device")
    return devices.pop() if devices else torch.device("cpu")


def floats_for(model: nn.Module, images: Tensor | Array) -> Tensor:
    """Return images as float32 in [0, 1] on the device of a model.

    Raises
    ------
    ValueError
        If they are no valid images, or a tensor on another device; arrays are moved there.
    """
    pixels = as_floats(images)
    has_weights = any(True for _ in (*model.parameters(), *model.buffers()))
    device = device_of(model) if has_weights else pixels.device
    if isinstance(images, Tensor) and pixels.device != device:
        raise ValueError(
            f"images are on {pixels.device}, the model on {device}; allowed: one device"
        )
    return pixels.to(device)


def check_kind(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is a {type(model).__name__}; allowed: an nn.Module")  # noqa: TRY004
