"""Precision of forward passes: float32, mixed precision with bfloat16, or pure bfloat16.

Mixed precision as is usual in evaluation: weights stay float32, matrix products and convolutions
use bfloat16 copies, norms and softmax use float32. In pure bfloat16 the network's weights are
bfloat16 themselves, and so are all activations up to the last layer; `weights_in` makes it so.

Pixels, the updates of an attack, the logits and all that follows from them stay in float32, since
bfloat16 has eight significant bits: pixels near 1 would change by whole gray levels, steps of an
eighth of a level would be lost, and logits between 8 and 16 would be multiples of 1/16, so that the
first two classes often tie.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import chain

import torch
from torch import Tensor, nn

from perturb.models.precisions import PRECISIONS

# The attribute of a network whose weights are bfloat16 that holds their float32 values by name.
_EXACT = "_exact_values"


def resolve_precision(
    precision: str, device: torch.device, network: nn.Module | None = None
) -> str:
    """Return the precision of `auto` on a device, or the precision itself.

    `auto` is bfloat16 on CUDA devices with native bfloat16, pure if the network's weights are, else
    float32: on a CPU bfloat16 is faster only with special instructions.

    Parameters
    ----------
    network : if given, its weights must be those of the precision.

    Raises
    ------
    ValueError
        for another value, or weights of another precision.
    """
    is_pure = network is not None and holds_bfloat16(network)
    if precision == "auto":
        is_native = device.type == "cuda" and torch.cuda.is_bf16_supported(
            including_emulation=False
        )
        precision = "bfloat16" if is_native else "float32"
        precision = "pure_bfloat16" if is_pure else precision
    _check(precision, ("auto", *PRECISIONS))
    if network is not None and is_pure != (precision == "pure_bfloat16"):
        held = "bfloat16" if is_pure else "float32"
        raise ValueError(f"precision is {precision!r}, but the weights were loaded in {held}")
    return precision


def check_native(precision: str, device: torch.device) -> None:
    """Raise a ValueError for a precision that a GPU would only emulate, many times slower."""
    if precision == "float32" or device.type != "cuda":
        return
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        raise ValueError(
            f"precision is {precision!r}, as `auto` is on CUDA, but {name} has no instructions for "
            "it; allowed here: float32"
        )


def _check(precision: str, allowed: tuple[str, ...] = PRECISIONS) -> None:
    if precision not in allowed:
        raise ValueError(f"precision is {precision!r}; allowed: {', '.join(allowed)}")


@contextmanager
def autocast(precision: str, device: torch.device) -> Iterator[None]:
    """Run networks in a precision within a `with` statement.

    With float32, TF32 is off: it keeps ten bits, and is torch's default for convolutions. Of pure
    bfloat16 the weights determine it; see `weights_in`.

    Parameters
    ----------
    precision : float32, bfloat16 or pure_bfloat16.
    device : device of the network.

    Raises
    ------
    ValueError
        for another precision.
    """
    _check(precision)
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(_without_tf32())
        if precision == "bfloat16":
            # Without the cache of casts: it would pass copies of weights made in inference mode to
            # passes that need gradients. A cast takes a hundredth of the time of a pass.
            stack.enter_context(torch.autocast(device.type, torch.bfloat16, cache_enabled=False))
        yield


@contextmanager
def weights_in(precision: str, network: nn.Module) -> Iterator[None]:
    """Hold the weights of a network as a precision has them within a `with` statement.

    Only those of pure bfloat16 differ; afterwards they are the same tensors, bit for bit. What a
    model around the network gives it is rounded to bfloat16, too.

    Parameters
    ----------
    precision : float32, bfloat16 or pure_bfloat16.
    network : in float32; its heads stay so.
    """
    _check(precision)
    if precision != "pure_bfloat16":
        yield
        return
    kept = hold_in_bfloat16(network)
    try:
        with network.register_forward_pre_hook(_round_input):
            yield
    finally:
        if kept:
            for name, tensor in _tensors(network):
                tensor.data = kept.get(name, tensor.data)
            delattr(network, _EXACT)
            drop_copies(network)


def _round_input(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (given[0].to(torch.bfloat16), *given[1:])


def hold_in_bfloat16(network: nn.Module) -> dict[str, Tensor]:
    """Make the weights of a network bfloat16; return the float32 values of those that were not.

    The heads stay float32.
    """
    of_heads = {id(tensor) for head in _heads(network) for _, tensor in _tensors(head)}
    rounded: list[tuple[str, Tensor, Tensor]] = []
    for name, tensor in _tensors(network):
        if tensor.dtype != torch.float32 or id(tensor) in of_heads:
            continue
        # The caller may be in inference mode, whose tensors are of no use for gradients.
        with torch.no_grad(), torch.inference_mode(tensor.is_inference()):
            rounded.append((name, tensor, tensor.data.to(torch.bfloat16)))
    # None is changed before all are there: the memory may run out.
    kept = {name: tensor.data for name, tensor, _ in rounded}
    for _, tensor, value in rounded:
        tensor.data = value
    if kept:
        setattr(network, _EXACT, kept)
        drop_copies(network)
    return kept


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(module.named_parameters(), module.named_buffers())


def holds_bfloat16(network: nn.Module) -> bool:
    """Return whether `weights_in` or `hold_in_bfloat16` made the weights bfloat16."""
    return hasattr(network, _EXACT)


def exact_values(network: nn.Module) -> Mapping[str, Tensor]:
    """Return the float32 values of weights that are held in bfloat16, by name.

    A study that changes weights changes these, and rounds the result.
    """
    values: Mapping[str, Tensor] = getattr(network, _EXACT, {})
    return values


def drop_copies(network: nn.Module) -> None:
    """Drop what was computed from the weights of a network in earlier passes."""
    torch.clear_autocast_cache()  # it may hold the weights in another precision
    # Some networks of timm keep their attention biases until they change between training and
    # evaluation. Without a pass in between nothing else changes.
    modes = [(module, module.training) for module in network.modules()]
    network.train()
    network.eval()
    for module, is_training in modes:
        module.training = is_training


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
    for head in _heads(network):
        if not isinstance(head, _InFloat32):
            head.__class__ = _in_float32(type(head))  # type: ignore[arg-type]


def _heads(network: nn.Module) -> list[nn.Module]:
    find = getattr(network, "get_classifier", None)
    found = () if find is None else find()
    return list(found) if isinstance(found, tuple | list | nn.ModuleList) else [found]


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
