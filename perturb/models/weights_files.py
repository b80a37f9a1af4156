"""Files of weights as people have them: safetensors, files of torch.save, Google's ``.npz``.

A file must be the network's, no more and no less. Nothing is fitted to it in silence: a missing
tensor would leave random weights, a head of another task would be dropped, a deeper network's last
blocks would be ignored. The one exception is timm's own: it resizes a ``.npz`` file's position
embeddings to the network's grid, as Google's code does. Floats become float32 whatever their width;
numbers of another kind are not weights.

No code in a file is run: torch's files are read with ``weights_only``, NumPy's without pickles.
"""

import argparse
import logging
import pickle
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from perturb.models.npz_files import load_npz
from perturb.models.timm_modules import VisionTransformer

logger = logging.getLogger(__name__)

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".tar")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES, ".npz")
# Where training code puts a state dict beside its other things. Averaged weights come first, as in
# timm: they are what such a run reports the accuracy of.
_ENTRIES = ("state_dict_ema", "model_ema", "state_dict", "model", "net", "network")
_PREFIXES = ("_orig_mod.", "module.")  # of torch.compile and of parallel training
# What torch and Python raise where a file's bytes are not what they were: torch checks few of them.
_DAMAGED_TORCH = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def load_weights_file(network: nn.Module, path: Path) -> None:
    """Load a file's weights into a network, all of both.

    Parameters
    ----------
    network : any for state dicts; timm's VisionTransformer or ResNetV2 for ``.npz``.
    path : its suffix says what it is: one of `SUFFIXES`.

    Raises
    ------
    ValueError
        If the file is of another kind or cannot be read, or its tensors do not fit: missing or
        unexpected ones, other shapes, another number of classes, values that are not finite.
    """
    if path.suffix == ".npz":
        load_npz(network, path)
    else:
        load_state(network, read_state(path), str(path))
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} has values that are not finite")


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file, its names without the prefixes of wrappers.

    Raises
    ------
    ValueError
        If there is none, or the file asks for code to be run.
    """
    if path.suffix == ".safetensors":
        try:
            return _without_prefixes(load_file(path))
        except SafetensorError as error:
            raise ValueError(f"{path}: not a safetensors file ({error})") from error
    if path.suffix not in TORCH_SUFFIXES:
        raise ValueError(f"{path}: kind {path.suffix!r}; allowed: {', '.join(SUFFIXES)}")
    return _without_prefixes(_state_in(_read_torch(path), path))


def load_state(network: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Load tensors by name; ValueError, which begins with ``origin``, if they do not fit."""
    expected = network.state_dict()
    for problem, names in (
        ("missing", expected.keys() - state.keys()),
        ("unexpected", state.keys() - expected.keys()),
    ):
        if names:
            listed = ", ".join(sorted(names)[:5])
            raise ValueError(f"{origin}: {problem} tensors {listed} ({len(names)} in all)")
    for name, tensor in state.items():
        _check_kind(name, tensor, expected[name], origin)
        if tensor.shape != expected[name].shape:
            found, needed = tuple(tensor.shape), tuple(expected[name].shape)
            hint = _hint(network, name, found)
            raise ValueError(f"{origin}: {name} has shape {found}; the network has {needed}{hint}")
    network.load_state_dict(state)


def _read_torch(path: Path) -> object:
    try:
        # Training code of the field puts its command line beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path}: holds more than tensors, and no code in it is run, or is damaged; allowed: a "
            f"state dict, torch.save(model.state_dict(), ...) ({str(error).partition(chr(10))[0]})"
        ) from error
    except _DAMAGED_TORCH as error:
        raise ValueError(f"{path}: not a file of torch.save ({error})") from error


def _state_in(content: object, path: Path) -> Mapping[str, Any]:
    """Return the mapping of names and tensors in what a file holds."""
    outer = content if isinstance(content, Mapping) else {}
    entry = next((name for name in _ENTRIES if isinstance(outer.get(name), Mapping)), None)
    if entry is not None:
        logger.info("%s: the weights are its entry %r", path, entry)
    state: Mapping[str, Any] = outer if entry is None else outer[entry]
    others = [
        repr(name)
        for name, value in state.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    if others or not state:
        found = ", ".join(others[:5]) if state else f"a {type(content).__name__}"
        raise ValueError(
            f"{path}: no state dict, it holds {found}; allowed: tensors by name, by themselves or "
            f"as the entry {', '.join(_ENTRIES)}"
        )
    return state


def _without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = dict(state)
    for prefix in (*_PREFIXES, *_PREFIXES):  # wrappers go around each other either way
        if all(name.startswith(prefix) for name in names):
            names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
    return names


def _check_kind(name: str, tensor: Tensor, expected: Tensor, origin: str) -> None:
    """Raise a ValueError if a tensor is no weight as it is, or only after a cast in silence."""
    problem = ""
    if tensor.is_nested or tensor.layout != torch.strided:
        problem = f"its layout is {'nested' if tensor.is_nested else tensor.layout}"
    elif tensor.is_quantized or tensor.is_meta:
        problem = "it is quantised" if tensor.is_quantized else "it has no values (device meta)"
    elif tensor.is_floating_point() != expected.is_floating_point() or tensor.is_complex():
        problem = f"its numbers are {tensor.dtype}"
    if problem:
        raise ValueError(
            f"{origin}: {name} is no plain tensor of the network's kind, {problem}; allowed: dense "
            f"tensors, floating point where the network has {expected.dtype}"
        )


def _hint(network: Any, name: str, found: tuple[int, ...]) -> str:
    """Return what a tensor's other shape most likely means, for the end of a message."""
    if name == "pos_embed" and len(found) == 3 and isinstance(network, VisionTransformer):
        num_prefix = 0 if network.no_embed_class else network.num_prefix_tokens
        grid = round((found[1] - num_prefix) ** 0.5)
        patch = network.patch_embed.patch_size[0]
        if grid * grid == found[1] - num_prefix:
            return f": it belongs to a side of {grid * patch} px (`preprocessing: side`)"
    if name.rpartition(".")[0] in _heads(network):
        return f": it belongs to {found[0]} classes"
    return ""


def _heads(network: Any) -> Collection[str]:
    """Return the names of the modules that give the logits."""
    config = getattr(network, "default_cfg", None) or {}
    heads = config.get("classifier") or ("head", "head.fc")
    return (heads,) if isinstance(heads, str) else heads
