"""Loads files of weights: safetensors, files of torch.save, Google's ``.npz``.

A file must hold exactly the tensors of the network: otherwise a missing tensor would leave random
weights, the head of another task would be dropped, or the last blocks of a deeper network would be
ignored. There are four exceptions: the counters of `AveragedModel` and of batch norms, which
evaluation does not use (`perturb.models.state_dicts`); mean and deviation of pixels, if they are
those of the model's preprocessing (`perturb.models.normalisers`); and positions of another input
size, which timm resamples to the grid of the network (`perturb.models.positions`; those of a
``.npz`` file as Google's code does). Floats of any width become float32; numbers of another kind
are refused.

No code in a file is run: torch's files are read with ``weights_only``, NumPy's without pickles.
"""

from collections.abc import Collection, Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from perturb.models.classifier import Preprocessing
from perturb.models.file_kinds import NPZ, SAFETENSORS, kind_of_file
from perturb.models.npz_files import load_npz
from perturb.models.positions import num_prefix_positions, resample_positions
from perturb.models.state_dict_errors import misfit
from perturb.models.state_dicts import FoundState, find_state
from perturb.models.torch_files import read_torch

_NUM_LISTED = 5


def load_weights_file(
    network: nn.Module,
    path: Path,
    entry: str | None = None,
    *,
    preprocessing: Preprocessing | None = None,
) -> Mapping[str, Any]:
    """Load all weights of a file into a network; return facts on the loading for the card.

    Parameters
    ----------
    network : any network for state dicts; timm's VisionTransformer or ResNetV2 for ``.npz``.
    path : file of safetensors, of torch.save or ``.npz``, by its content.
    entry : entry of the file, if several hold fitting weights.
    preprocessing : of the model, which tensors of a normaliser in the file must repeat; None: they
        are refused.

    Returns
    -------
    ``entry``, unless the whole file is the state dict, and ``notes``, if there are any.

    Raises
    ------
    ValueError
        If the file has another kind or cannot be read, or its tensors do not fit: missing or
        unexpected tensors, other shapes, another number of classes, values that are not finite.
    """
    kind = kind_of_file(path)
    found = FoundState({}, "", ())
    resampled: tuple[str, ...] = ()
    if kind == NPZ:
        if entry is not None:
            raise ValueError(f"{path}: holds NumPy arrays, and no entry {entry!r}")
        load_npz(network, path)
    else:
        content = _read_safetensors(path) if kind == SAFETENSORS else read_torch(path)
        names = network.state_dict().keys()
        found = find_state(content, names, str(path), entry, preprocessing=preprocessing)
        tensors, resampled = resample_positions(network, found.tensors)
        load_state(network, _completed(tensors, network), str(path))
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} has values that are not finite")
    facts = {"entry": found.entry, "notes": [*found.notes, *resampled]}
    return {name: value for name, value in facts.items() if value}


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from error


def _completed(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return tensors with the counters that a file may lack, taken from the new network."""
    return {**network.state_dict(), **tensors}


def load_state(network: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Load tensors by name; raise a ValueError that begins with ``origin`` if they do not fit."""
    expected = network.state_dict()
    if expected.keys() != state.keys():
        names = misfit(expected.keys() - state.keys(), state.keys() - expected.keys())
        raise ValueError(f"{origin}: {names}")
    unlike = []
    for name, tensor in state.items():
        _check_kind(name, tensor, expected[name], origin)
        if tensor.shape != expected[name].shape:
            found, needed = tuple(tensor.shape), tuple(expected[name].shape)
            hint = _hint(network, name, found)
            unlike.append(f"{name} has shape {found}; the network has {needed}{hint}")
    if unlike:
        rest = f" ({len(unlike)} in all)" if len(unlike) > 1 else ""
        raise ValueError(f"{origin}: {', '.join(unlike[:_NUM_LISTED])}{rest}")
    network.load_state_dict(state)


def _check_kind(name: str, tensor: Tensor, expected: Tensor, origin: str) -> None:
    """Raise a ValueError if a tensor is not dense, has no values, or is of another kind."""
    problem = ""
    if tensor.is_nested or tensor.layout != torch.strided:
        problem = f"its layout is {'nested' if tensor.is_nested else tensor.layout}"
    elif tensor.is_quantized or tensor.is_meta:
        problem = "it is quantised" if tensor.is_quantized else "it has no values (device meta)"
    elif tensor.is_floating_point() != expected.is_floating_point() or tensor.is_complex():
        problem = f"its numbers are {tensor.dtype}"
    if problem:
        raise ValueError(
            f"{origin}: {name} is not a plain tensor of the network's kind, {problem}; allowed: "
            f"dense tensors, floating point where the network has {expected.dtype}"
        )


def _hint(network: Any, name: str, found: tuple[int, ...]) -> str:
    """Return the likely reason for the other shape of a tensor, to end a message."""
    expected = tuple(network.state_dict()[name].shape)
    if name == "pos_embed" and hasattr(network, "patch_embed") and found[::2] == expected[::2]:
        num_patches = found[1] - num_prefix_positions(network)
        if num_patches < 1 or isqrt(num_patches) ** 2 != num_patches:
            return f": {num_patches} patches are no square, so they cannot be resampled"
    if name.rpartition(".")[0] in _heads(network) and found[0] != expected[0]:
        return f": the file's head has {found[0]} classes, the network's {expected[0]}"
    return ""


def _heads(network: Any) -> Collection[str]:
    """Return the names of the modules that compute logits."""
    config = getattr(network, "default_cfg", None) or {}
    heads = config.get("classifier") or ("head", "head.fc")
    return (heads,) if isinstance(heads, str) else heads
