"""Loads ``.npz`` files of Google's ViT and BiT code with timm's loaders, and checks the result.

timm's loaders ignore surplus arrays, and copying broadcasts and casts without errors. Therefore the
network is filled with NaN before loading and checked afterwards; arrays of integers, and smaller
arrays that would be broadcast, are refused.
"""

import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Errors of Python and NumPy on damaged files.
_DAMAGED_NPZ = (
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
# Errors of timm's loaders on arrays or networks of another shape.
_UNFIT = (AssertionError, AttributeError, IndexError, RuntimeError, TypeError)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_BLOCKS = {
    "vit": re.compile(r"Transformer/encoderblock_(\d+)/"),
    "resnet": re.compile(r"(block\d+/unit\d+)/"),
}


def load_npz(network: nn.Module, path: Path) -> None:
    """Load a file of Google's ViT or BiT code through timm's own loader.

    Raises
    ------
    ValueError
        If the network has no such loader, or the file cannot be read or does not fit: missing
        arrays, other shapes, integers, more blocks, another number of classes.
    """
    if not hasattr(network, "load_pretrained"):
        kind = type(network).__name__
        raise ValueError(f"{path}: .npz files are of ViTs and BiT's ResNets; the network is {kind}")
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():  # tensors that timm does not fill stay NaN
                tensor.fill_(torch.nan)
    shapes = _npz_shapes(path)
    _check_blocks(network, shapes, path)
    problem = ""
    try:
        with _NoBroadcast():
            network.load_pretrained(str(path))  # type: ignore[operator]
    except KeyError as error:
        problem = f"no array for the network: {error.args[0]}"
    except _UNFIT as error:
        problem = f"an array does not fit the network: {error}"
    except _DAMAGED_NPZ as error:
        problem = f"damaged, or in no layout of Google's ({error})"
    if problem:  # raised here, since the frames of the error would keep the file open
        raise ValueError(f"{path}: {problem}")
    _check_all_loaded(network, shapes, path)


def _npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of a file by name, from their headers."""
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    version = np.lib.format.read_magic(file)
                    shape, _, dtype = _HEADERS[version](file)
                if dtype.hasobject:
                    raise ValueError(f"{name} holds Python objects")
                if dtype.kind != "f" and shape:  # scalars are counters of a training run
                    raise ValueError(f"{name} holds {dtype}; allowed: floating point numbers")
                shapes[name.removesuffix(".npy")] = shape
    except _DAMAGED_NPZ as error:
        raise ValueError(f"{path}: not a .npz file of arrays ({error})") from error
    return shapes


class _NoBroadcast(TorchFunctionMode):
    """Refuses copies of a smaller array to a larger one, which would be broadcast."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.copy_ and args[0].numel() != args[1].numel():
            found, needed = tuple(args[1].shape), tuple(args[0].shape)
            raise RuntimeError(f"its shape is {found}; the network has {needed}")
        return func(*args, **(kwargs or {}))


def _check_blocks(network: Any, shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raise a ValueError if a file has more blocks than the network, which timm would ignore."""
    stages = getattr(network, "stages", None)
    family = "vit" if stages is None else "resnet"
    found = {match[1] for name in shapes for match in _BLOCKS[family].finditer(name)}
    stacked = next(
        (s for name, s in shapes.items() if "/encoderblock/LayerNorm_0/scale" in name), None
    )
    num_found = stacked[0] if stacked else len(found)
    num_blocks = len(network.blocks) if stages is None else sum(len(s.blocks) for s in stages)
    if num_found > num_blocks:
        raise ValueError(f"{path}: has {num_found} blocks; the network has {num_blocks}")


def _check_all_loaded(
    network: nn.Module, shapes: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    missing = [name for name, tensor in network.state_dict().items() if tensor.isnan().any()]
    if not missing:
        return
    heads = [shape for name, shape in shapes.items() if name.endswith(("head/bias", "conv2d/bias"))]
    if heads and heads[0] and all(name.startswith("head") for name in missing):
        needed = network.num_classes
        raise ValueError(f"{path}: has {heads[0][-1]} classes; the network has {needed}")
    raise ValueError(f"{path}: nothing for, or NaN in, the network's {', '.join(missing[:5])}")
