"""In which precision are forward passes computed, and what must stay in float32 beside them?

Mixed precision as the field evaluates in: weights stay float32, matrix products and convolutions
take bfloat16 copies of them, norms and softmax take float32. Pixels, the updates of an attack and
everything that follows the logits stay in float32: bfloat16 has eight significant bits, so near 1
it moves by whole gray levels, and steps of an eighth of one would be lost.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

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


@contextmanager
def _without_tf32() -> Iterator[None]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before
