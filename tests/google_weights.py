"""Weights of small networks under the names and in the shapes of Google's ``.npz`` files.

Written from the layouts of the published ViT and BiT checkpoints: kernels are (H, W, in, out) and
(in, out), heads are a dimension of their own, queries, keys and values are separate.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Arrays = dict[str, NDArray[Any]]


def vit_arrays(state: dict[str, Tensor], num_heads: int) -> Arrays:
    """Return the arrays of a fine-tuned ViT file that hold a state dict of timm's."""
    width = state["cls_token"].shape[-1]
    arrays = {
        "cls": state["cls_token"].numpy(),
        "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0).numpy(),
        "embedding/bias": state["patch_embed.proj.bias"].numpy(),
        "Transformer/posembed_input/pos_embedding": state["pos_embed"].numpy(),
        "head/kernel": state["head.weight"].T.numpy(),
        "head/bias": state["head.bias"].numpy(),
    }
    arrays |= _norm("Transformer/encoder_norm", state, "norm")
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    for block in range(depth):
        theirs, ours = f"Transformer/encoderblock_{block}", f"blocks.{block}"
        arrays |= _norm(f"{theirs}/LayerNorm_0", state, f"{ours}.norm1")
        arrays |= _norm(f"{theirs}/LayerNorm_2", state, f"{ours}.norm2")
        attention = f"{theirs}/MultiHeadDotProductAttention_1"
        weights = state[f"{ours}.attn.qkv.weight"].T.reshape(width, 3, num_heads, -1)
        biases = state[f"{ours}.attn.qkv.bias"].reshape(3, num_heads, -1)
        for index, name in enumerate(("query", "key", "value")):
            arrays[f"{attention}/{name}/kernel"] = weights[:, index].numpy()
            arrays[f"{attention}/{name}/bias"] = biases[index].numpy()
        out = state[f"{ours}.attn.proj.weight"].T.reshape(num_heads, -1, width)
        arrays[f"{attention}/out/kernel"] = out.numpy()
        arrays[f"{attention}/out/bias"] = state[f"{ours}.attn.proj.bias"].numpy()
        for index in (0, 1):
            dense = f"{theirs}/MlpBlock_3/Dense_{index}"
            arrays[f"{dense}/kernel"] = state[f"{ours}.mlp.fc{index + 1}.weight"].T.numpy()
            arrays[f"{dense}/bias"] = state[f"{ours}.mlp.fc{index + 1}.bias"].numpy()
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def bit_arrays(state: dict[str, Tensor]) -> Arrays:
    """Return the arrays of a fine-tuned BiT file that hold a state dict of timm's."""
    arrays = {
        "resnet/root_block/standardized_conv2d/kernel": state["stem.conv.weight"],
        "resnet/head/conv2d/kernel": state["head.fc.weight"],
    }
    others = {"resnet/head/conv2d/bias": state["head.fc.bias"]}
    others |= {f"resnet/group_norm/{theirs}": state[f"norm.{ours}"] for theirs, ours in _GROUP_NORM}
    blocks = {tuple(name.split(".")[1:4:2]) for name in state if name.startswith("stages.")}
    for stage, block in blocks:
        theirs = f"resnet/block{int(stage) + 1}/unit{int(block) + 1:02d}"
        ours = f"stages.{stage}.blocks.{block}"
        for index, letter in enumerate("abc", start=1):
            kernel = f"{theirs}/{letter}/standardized_conv2d/kernel"
            arrays[kernel] = state[f"{ours}.conv{index}.weight"]
            for name, own in _GROUP_NORM:
                others[f"{theirs}/{letter}/group_norm/{name}"] = state[f"{ours}.norm{index}.{own}"]
        if f"{ours}.downsample.conv.weight" in state:
            projection = f"{theirs}/a/proj/standardized_conv2d/kernel"
            arrays[projection] = state[f"{ours}.downsample.conv.weight"]
    kernels = {name: tensor.permute(2, 3, 1, 0) for name, tensor in arrays.items()}
    return {name: np.ascontiguousarray(t.numpy()) for name, t in (kernels | others).items()}


_GROUP_NORM = (("gamma", "weight"), ("beta", "bias"))


def _norm(theirs: str, state: dict[str, Tensor], ours: str) -> Arrays:
    return {
        f"{theirs}/scale": state[f"{ours}.weight"].numpy(),
        f"{theirs}/bias": state[f"{ours}.bias"].numpy(),
    }
