"""Precision of forward passes: float32, or mixed precision with bfloat16.

Mixed precision as is usual in evaluation: weights stay float32, matrix products and convolutions
use bfloat16 copies, norms and softmax use float32. Pixels, the updates of an attack, the logits and
all that follows from them stay in float32, since bfloat16 has eight significant bits: pixels near 1
would change by whole gray levels, steps of an eighth of a level would be lost, and logits between 8
and 16 would be multiples of 1/16, so that the first two classes often tie.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

import torch
from torch import Tensor, nn

PRECISIONS = ("float32", "bfloat16")


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return the precision of `auto` on a device, or the precision itself.

    `auto` is bfloat16 on CUDA devices with native bfloat16, else float32: on a CPU bfloat16 is
    faster only with special instructions.

    Raises
    ------
    ValueError
        for another value.
    """
    if precision == "auto":
        is_native = device.type == "cuda" and torch.cuda.is_bf16_supported(
            including_emulation=False
        )
        return "bfloat16" if is_native else "float32"
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; allowed: auto, {', '.join(PRECISIONS)}")
    return precision


@contextmanager
def autocast(precision: str, device: torch.device) -> Iterator[None]:
    """Run networks in a precision within a `with` statement.

    With float32, TF32 is off: it keeps ten bits, and is torch's default for convolutions.

    Parameters
    ----------
    precision : float32 or bfloat16.
    device : device of the network.

    Raises
    ------
    ValueError
        for another precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; allowed: {', '.join(PRECISIONS)}")
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(_without_tf32())
        if precision == "bfloat16":
            # Without the cache of casts: it would pass copies of weights made in inference mode to
            # passes that need gradients. A cast takes a hundredth of the time of a pass.
            stack.enter_context(torch.autocast(device.type, torch.bfloat16, cache_enabled=False))
        yield


@contextmanager
def float32(device: torch.device) -> Iterator[None]:
    """Compute without autocast in a `with` statement, also within `autocast`."""
    with torch.autocast(device.type, enabled=False):
        yield


def keep_logits_exact(network: nn.Module) -> None:
    """Let the heads of a network compute logits in float32, also within `autocast`.

    The class of a head is replaced by a subclass. Its weights, their names and its hooks stay, so
    that whole passes, passes stage by stage and compiled passes agree. Results outside
    `autocast` do not change.

    Parameters
    ----------
    network : a timm network, which lists its heads; other networks stay unchanged. A head that is
        replaced later is not changed.
    """
    find = getattr(network, "get_classifier", None)
    found = () if find is None else find()
    for head in found if isinstance(found, tuple | list | nn.ModuleList) else (found,):
        if not isinstance(head, _InFloat32):
            head.__class__ = _in_float32(type(head))  # type: ignore[arg-type]


class _InFloat32(nn.Module):
    """First base class of the subclass of a head."""

    def forward(self, input: Tensor) -> Tensor:
        with float32(input.device):
            dtype = next(self.parameters(), input).dtype
            logits: Tensor = super().forward(input.to(dtype))
        return logits


@cache
def _in_float32(kind: type[nn.Module]) -> type[nn.Module]:
    return type(kind.__name__, (_InFloat32, kind), {})


@contextmanager
def _without_tf32() -> Iterator[None]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before
