"""Counts of what a GPU would be asked to do, taken from the same code on a CPU.

Kernels and host synchronisations do not depend on the device if the code does not branch on it, so
they are counted here on CPU tensors: a dispatch mode sees each operation below autograd, and a
function mode sees the Python methods that bring values to the host, which on a CPU do nothing.

An operation counts as one kernel; a GPU starts more for some, such as a sort. Views and empty
tensors count as none. Work of other threads and inside compiled code is not seen.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Methods and functions that wait for the device, because Python needs their values.
_READS = {
    torch.Tensor.item,
    torch.Tensor.tolist,
    torch.Tensor.numpy,
    torch.Tensor.cpu,
    torch.Tensor.__bool__,
    torch.Tensor.__int__,
    torch.Tensor.__float__,
    torch.Tensor.__index__,
    torch.Tensor.__contains__,
    torch.Tensor.__array__,
}
# Operations that wait for the device, because the shape of their result depends on values.
_WAITING = {
    "aten::_local_scalar_dense",
    "aten::equal",
    "aten::is_nonzero",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::bincount",
}
_INDEXED = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
# Functions that make a tensor of values on the host, which are then copied to the device.
_UPLOADS = {torch.tensor, torch.as_tensor}
# Operations without a kernel; all views are found by their schema.
_FREE = {
    "aten::empty",
    "aten::empty_strided",
    "aten::empty_like",
    "aten::new_empty",
    "aten::new_empty_strided",
    "aten::lift_fresh",
    "aten::_local_scalar_dense",
    "aten::is_nonzero",
    "aten::_unsafe_view",
    "aten::set_",
    "aten::resize_",
}


@dataclass
class Counts:
    """What happened within a `with counted()` statement.

    kernels : operations that start a kernel.
    syncs : times that Python waits for the device.
    uploads : tensors of values on the host, each of them a copy to the device.
    operations, waits : the same kernels and synchronisations by name.
    """

    operations: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    uploads: int = 0

    @property
    def kernels(self) -> int:
        return self.operations.total()

    @property
    def syncs(self) -> int:
        return self.waits.total()


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, counts: Counts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = counts
        self.is_read = False  # inside a read, which counts once

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func._schema.name
        waits = name in _WAITING or (name in _INDEXED and _has_mask(args[1]))
        if name == "aten::repeat_interleave" and (kwargs or {}).get("output_size") is None:
            waits = True
        if waits and not self.is_read:
            self.counts.waits[name.removeprefix("aten::")] += 1
        if name not in _FREE and not _is_view(func):
            self.counts.operations[name.removeprefix("aten::")] += 1
        return func(*args, **(kwargs or {}))


class _Functions(TorchFunctionMode):
    def __init__(self, counts: Counts, operations: _Operations) -> None:
        super().__init__()
        self.counts, self.operations = counts, operations

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        is_outermost = not self.operations.is_read
        is_read = func in _READS or _is_copy_to_host(func, args, kwargs or {})
        if is_read and is_outermost:
            self.counts.waits[func.__name__] += 1
            self.operations.is_read = True
        if func in _UPLOADS and is_outermost and not _is_tensor(args, func):
            self.counts.uploads += 1
        try:
            return func(*args, **(kwargs or {}))
        finally:
            if is_outermost:
                self.operations.is_read = False


def _has_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    return bool(returns) and all(
        value.alias_info is not None and not value.alias_info.is_write for value in returns
    )


def _is_copy_to_host(func: Any, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether `Tensor.to` names the host: ``to("cpu")``; a tensor's device is the device."""
    if func is not torch.Tensor.to:
        return False
    return any(isinstance(value, str) and value == "cpu" for value in (*args[1:], *kwargs.values()))


def _is_tensor(args: Any, func: Any) -> bool:
    return func is torch.as_tensor and bool(args) and isinstance(args[0], Tensor)


@contextmanager
def counted() -> Iterator[Counts]:
    """Count kernels and host synchronisations of this thread within a `with` statement."""
    counts = Counts()
    operations = _Operations(counts)
    from_numpy = torch.from_numpy  # no mode sees it

    def uploaded(array: Any) -> Tensor:
        counts.uploads += 1
        return from_numpy(array)

    with (
        patch.object(torch, "from_numpy", uploaded),
        operations,
        _Functions(counts, operations),
    ):
        yield counts
