"""Positions of another input size, resampled by timm's own functions to the grid of a network.

A vision transformer has an embedding for each place of the patch grid, or a table of biases for
each distance within a window. Weights of another input size have another number of them. As timm
does for its own tags, absolute positions are resampled bicubically, biases geometrically. Every
other tensor of another shape is an error of its own (`perturb.models.weights_files`).
"""

import warnings
from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from perturb.models.timm_modules import resample_abs_pos_embed, resize_rel_pos_bias_table

_ABSOLUTE, _RELATIVE = "pos_embed", "relative_position_bias_table"


def resample_positions(
    network: Any, tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return tensors of a network with positions on its grid, and sentences on what was resampled.

    Tensors that cannot be resampled stay as they are: another width, a grid that is no square.

    Parameters
    ----------
    network : timm network, with the module of each position and its grid or window.
    tensors : tensors of a file by the network's names.
    """
    expected = network.state_dict()
    changed: dict[str, Tensor] = {}
    notes = []
    for name, tensor in tensors.items():
        needed = expected[name].shape if name in expected else None
        if needed is None or not _is_dense(tensor) or tensor.shape == needed:
            continue
        if name == _ABSOLUTE:
            found = _absolute(network, tensor)
        elif name.rpartition(".")[2] == _RELATIVE:
            found = _relative(network.get_submodule(name.rpartition(".")[0]), tensor)
        else:
            continue
        if found is not None and found.shape == needed:
            changed[name] = found
            notes += [_note(network, name, tensor)] if name == _ABSOLUTE else []
    biases = [name for name in changed if name != _ABSOLUTE]
    if biases:
        sides = f"{_side(tensors[biases[0]])} to {_side(changed[biases[0]])} distances a side"
        notes.append(
            f"{len(biases)} {_RELATIVE} are resampled as in timm, {biases[0]} from {sides}"
        )
    return {**tensors, **changed}, tuple(notes)


def _is_dense(tensor: Tensor) -> bool:
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_meta:
        return False
    return tensor.is_floating_point()


def num_prefix_positions(network: Any) -> int:
    """Return the number of positions of a network that are no patch's: class token, registers."""
    if getattr(network, "no_embed_class", False):
        return 0
    return int(getattr(network, "num_prefix_tokens", 0))


def _absolute(network: Any, positions: Tensor) -> Tensor | None:
    """Return the embedding (1, N, D) of the network's patch grid, None if timm has no way to it."""
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    num_prefix = num_prefix_positions(network)
    if positions.ndim != 3 or grid is None or not _is_square(positions.shape[1] - num_prefix):
        return None
    resampled: Tensor = resample_abs_pos_embed(
        positions.float(), list(grid), num_prefix_tokens=num_prefix
    )
    return resampled


def _relative(attention: Any, biases: Tensor) -> Tensor | None:
    """Return the table of biases (places, heads) of the network's window, None as above."""
    needed = attention.relative_position_bias_table.shape
    window = getattr(attention, "window_size", None)
    if window is None or biases.ndim != 2 or biases.shape[1] != needed[1]:
        return None
    num_extra = needed[0] - (2 * window[0] - 1) * (2 * window[1] - 1)
    if not _is_square(biases.shape[0] - num_extra):
        return None
    with warnings.catch_warnings():  # torch's, on how timm interpolates
        warnings.filterwarnings("ignore", module=r"timm\.layers\.interpolate")
        resampled: Tensor = resize_rel_pos_bias_table(biases.float(), tuple(window), tuple(needed))
    return resampled


def _is_square(number: int) -> bool:
    return number > 0 and isqrt(number) ** 2 == number


def _side(table: Tensor) -> int:
    return isqrt(table.shape[0])


def _note(network: Any, name: str, positions: Tensor) -> str:
    side = isqrt(positions.shape[1] - num_prefix_positions(network))
    rows, columns = network.patch_embed.grid_size
    patch = network.patch_embed.patch_size[0]
    return (
        f"{name} is resampled as in timm from {side} x {side} patches, an input of {side * patch} "
        f"px, to {rows} x {columns}"
    )
