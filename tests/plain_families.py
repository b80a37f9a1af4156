"""Networks of three families in plain torch, from the state dicts of timm's.

Written from the papers: ConvNeXt (Liu et al. 2022), MLP-Mixer (Tolstikhin et al. 2021) and BEiT
(Bao et al. 2022). Each returns the logits and the outputs of its blocks, without some of these.
"""

from collections.abc import Collection, Mapping
from itertools import count

import torch
from torch import Tensor
from torch.nn import functional

State = Mapping[str, Tensor]
Run = tuple[Tensor, list[Tensor]]
_EPS = 1e-6


def convnext(state: State, pixels: Tensor, removed: Collection[int] = ()) -> Run:
    """Return logits and block outputs (B, C, H, W) of a ConvNeXt."""
    x = functional.conv2d(pixels, *_pair(state, "stem.0"), stride=4)
    x = _norm_of_channels(state, "stem.1", x)
    outputs: list[Tensor] = []
    for stage in count():
        name = f"stages.{stage}"
        if f"{name}.blocks.0.gamma" not in state:
            break
        if f"{name}.downsample.1.weight" in state:
            x = _norm_of_channels(state, f"{name}.downsample.0", x)
            x = functional.conv2d(x, *_pair(state, f"{name}.downsample.1"), stride=2)
        for block in range(_depth(state, f"{name}.")):
            if len(outputs) not in removed:
                x = x + _convnext_branch(state, f"{name}.blocks.{block}", x)
            outputs.append(x)
    pooled = x.mean(dim=(2, 3))
    pooled = functional.layer_norm(pooled, pooled.shape[1:], *_pair(state, "head.norm"), _EPS)
    return functional.linear(pooled, *_pair(state, "head.fc")), outputs


def _convnext_branch(state: State, name: str, x: Tensor) -> Tensor:
    width = x.shape[1]
    x = functional.conv2d(x, *_pair(state, f"{name}.conv_dw"), padding=3, groups=width)
    x = x.permute(0, 2, 3, 1)
    x = functional.layer_norm(x, (width,), *_pair(state, f"{name}.norm"), _EPS)
    return (_mlp(state, f"{name}.mlp", x) * state[f"{name}.gamma"]).permute(0, 3, 1, 2)


def mixer(state: State, pixels: Tensor, removed: Collection[int] = ()) -> Run:
    """Return logits and block outputs (B, N, D) of an MLP-Mixer."""
    patch = state["stem.proj.weight"].shape[-1]
    x = functional.conv2d(pixels, *_pair(state, "stem.proj"), stride=patch)
    x = x.flatten(2).transpose(1, 2)
    outputs: list[Tensor] = []
    for block in range(_depth(state)):
        name = f"blocks.{block}"
        if block not in removed:
            tokens = _norm(state, f"{name}.norm1", x).transpose(1, 2)
            x = x + _mlp(state, f"{name}.mlp_tokens", tokens).transpose(1, 2)
            x = x + _mlp(state, f"{name}.mlp_channels", _norm(state, f"{name}.norm2", x))
        outputs.append(x)
    pooled = _norm(state, "norm", x).mean(dim=1)
    return functional.linear(pooled, *_pair(state, "head")), outputs


def beit(
    state: State, pixels: Tensor, removed: Collection[int] = (), *, heads: int, mask: Tensor
) -> Run:
    """Return logits and block outputs (B, N, D) of a BEiT with relative positions and mean pooling.

    Parameters
    ----------
    mask : (N, N), true where the token of the row may attend to that of the column.
    """
    patch = state["patch_embed.proj.weight"].shape[-1]
    x = functional.conv2d(pixels, *_pair(state, "patch_embed.proj"), stride=patch)
    side = x.shape[-1]
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    outputs: list[Tensor] = []
    for block in range(_depth(state)):
        name = f"blocks.{block}"
        if block not in removed:
            bias = _distances(state[f"{name}.attn.relative_position_bias_table"], side)
            bias = bias.masked_fill(~mask, -torch.inf)
            attended = _beit_attention(state, name, _norm(state, f"{name}.norm1", x), heads, bias)
            x = x + attended * state[f"{name}.gamma_1"]
            inner = _mlp(state, f"{name}.mlp", _norm(state, f"{name}.norm2", x))
            x = x + inner * state[f"{name}.gamma_2"]
        outputs.append(x)
    pooled = _norm(state, "fc_norm", x[:, 1:].mean(dim=1))
    return functional.linear(pooled, *_pair(state, "head")), outputs


def _beit_attention(state: State, name: str, x: Tensor, heads: int, bias: Tensor) -> Tensor:
    width = x.shape[-1]
    zeros = torch.zeros(width, dtype=x.dtype)
    offsets = torch.cat([state[f"{name}.attn.q_bias"], zeros, state[f"{name}.attn.v_bias"]])
    projected = functional.linear(x, state[f"{name}.attn.qkv.weight"], offsets)
    parts = projected.reshape(*x.shape[:2], 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    queries, keys, values = parts
    logits = queries @ keys.transpose(-2, -1) / (width // heads) ** 0.5 + bias
    mixed = (logits.softmax(dim=-1) @ values).transpose(1, 2).flatten(2)
    return functional.linear(mixed, *_pair(state, f"{name}.attn.proj"))


def _distances(table: Tensor, side: int) -> Tensor:
    """Return the bias of each head and pair of tokens (heads, N, N), of the class token first."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    down = rows[:, None] - rows + side - 1
    right = columns[:, None] - columns + side - 1
    number = side * side + 1
    bias = table.new_empty(number, number, table.shape[1])
    bias[1:, 1:] = table[down * (2 * side - 1) + right]
    bias[0, :], bias[:, 0], bias[0, 0] = table[-3], table[-2], table[-1]
    return bias.permute(2, 0, 1)


def _depth(state: State, before: str = "") -> int:
    """Return the number of blocks, of a stage if it is named."""
    blocks = [name for name in state if name.startswith(f"{before}blocks.")]
    return len({name.removeprefix(before).split(".")[1] for name in blocks})


def _pair(state: State, name: str) -> tuple[Tensor, Tensor]:
    return state[f"{name}.weight"], state[f"{name}.bias"]


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], *_pair(state, name), _EPS)


def _norm_of_channels(state: State, name: str, x: Tensor) -> Tensor:
    normed = functional.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], *_pair(state, name), _EPS)
    return normed.permute(0, 3, 1, 2)


def _mlp(state: State, name: str, x: Tensor) -> Tensor:
    hidden = functional.gelu(functional.linear(x, *_pair(state, f"{name}.fc1")))
    return functional.linear(hidden, *_pair(state, f"{name}.fc2"))
