"""In which precision are forward passes computed, and what must stay in float32 beside them?

Mixed precision as the field evaluates in: weights stay float32, matrix products and convolutions
take bfloat16 copies of them, norms and softmax take float32. Pixels, the updates of an attack, the
logits and everything that follows them stay in float32: bfloat16 has eight significant bits. Pixels
near 1 would move by whole gray levels, and steps of an eighth of one would be lost; logits between
8 and 16 would be sixteenths, so that the first two classes often tie.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

import torch
from torch import Tensor, nn

PRECISIONS = ("float32", "bfloat16")


def resolved(precision: str, device: torch.device) -> str:
    """Return the precision that `auto` stands for on a device, or the precision itself.

    bfloat16 on CUDA devices that compute in it, float32 on all others: on a CPU it pays only where
    the processor has instructions for it.

    Raises
    ------
    ValueError
        for another word.
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
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Run networks in a precision while the `with` statement lasts.

    float32 means that: TF32, which keeps ten bits and which torch lets convolutions use unless it
    is told otherwise, is off.

    Parameters
    ----------
    precision : float32 or bfloat16.
    device : of the network.

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
            # Without the cache of casts: it would hand copies of weights that were made in
            # inference mode to passes that take gradients. A cast is a hundredth of a pass.
            stack.enter_context(torch.autocast(device.type, torch.bfloat16, cache_enabled=False))
        yield


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """Compute as written while the `with` statement lasts, also within `computing_in`."""
    with torch.autocast(device.type, enabled=False):
        yield


def keep_logits_exact(network: nn.Module) -> None:
    """Let the modules that give a network's logits compute in float32, also in `computing_in`.

    Such a module gets a subclass of its class and is otherwise as it was: its weights, their names
    and its hooks stay, so it does the same in whole passes, in passes stage by stage and in
    compiled ones. Nothing changes outside `computing_in`.

    Parameters
    ----------
    network : of timm's, which says which modules these are; other networks stay as they are. A head
        that is put in later is as it comes.
    """
    find = getattr(network, "get_classifier", None)
    found = () if find is None else find()
    for head in found if isinstance(found, tuple | list | nn.ModuleList) else (found,):
        if not isinstance(head, _InFloat32):
            head.__class__ = _in_float32(type(head))  # type: ignore[arg-type]


class _InFloat32(nn.Module):
    """What precedes a module's class in its subclass."""

    def forward(self, input: Tensor) -> Tensor:
        with exactly(input.device):
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
