"""Networks without initial values, whose weights a file fills afterwards.

Random weights of a ViT-L take many seconds in every job. On torch's meta device nothing is drawn
either, but its operations are written in Python and import torch's compiler and SymPy, which takes
as long as all other imports of a job. So parameters are allocated, and no initialiser is called.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Each sets the values of a tensor in place, and neither its shape nor its type.
_OF_TENSORS = ("normal_", "uniform_", "erfinv_", "clamp_", "zero_", "fill_", "add_", "mul_", "div_")
_OF_TORCH = ("normal_", "uniform_", "constant_", "kaiming_uniform_")
_INITIALISERS = {getattr(Tensor, name) for name in _OF_TENSORS}
_INITIALISERS |= {getattr(nn.init, name) for name in _OF_TORCH}


class _WithoutInitialisers(TorchFunctionMode):
    """Leaves parameters as they were allocated; tensors of other kinds get their values."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _INITIALISERS:
            tensor = args[0] if args else named["tensor"]
            if isinstance(tensor, nn.Parameter):
                return tensor
        return func(*args, **named)


@contextmanager
def without_initial_values() -> Iterator[None]:
    """Build modules whose parameters hold what was in the memory; the generator's state stays."""
    with torch.random.fork_rng(devices=[]), _WithoutInitialisers():
        yield
