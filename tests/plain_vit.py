"""A ViT in a few lines of plain torch: what the changed classifiers are held against.

Nothing of timm but a network's sizes, and nothing of the library but the weights: patches are cut
out by hand, attention is a softmax over logits in which what is masked is minus infinity, and
whatever is left out is not there. In double precision the two must agree to rounding errors.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.timm_modules import VisionTransformer

# Prefix tokens, pooling, norms and scales as timm's ViTs have them; grids of 4 x 4 and 4 x 8.
VARIANTS: dict[str, dict[str, Any]] = {
    "class_token": {},
    "wide_grid": {"patch_size": (4, 2)},
    "registers": {"reg_tokens": 3, "no_embed_class": True},
    "average": {"global_pool": "avg", "init_values": 0.5},
    "no_class_token": {"class_token": False, "global_pool": "avg", "pre_norm": True},
    "only_registers": {"class_token": False, "reg_tokens": 2, "global_pool": "avg"},
    "distilled": {"is_distilled": True, "qk_norm": True},
}
WITH_CLASS_TOKEN = [name for name in VARIANTS if VARIANTS[name].get("class_token", True)]
DEPTH = 3
SIDE = 16


class Distilled(VisionTransformer):
    """A ViT with a distillation token between class token and patches, as DeiT has it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.num_prefix_tokens = 2
        self.dist_token = nn.Parameter(torch.zeros(1, 1, self.embed_dim))
        length = self.patch_embed.num_patches + 2
        self.pos_embed = nn.Parameter(torch.zeros(1, length, self.embed_dim))

    def _pos_embed(self, x: Tensor) -> Tensor:
        tokens = [token.expand(len(x), -1, -1) for token in (self.cls_token, self.dist_token)]
        return torch.cat([*tokens, x], dim=1) + self.pos_embed


def images_of(count: int = 4) -> Images:
    """Return noise with keys from 100 on; every target is the first class."""
    return Images(some_images(count), torch.arange(count) + 100, torch.zeros(count).long())


def small_resnet() -> Classifier:
    """Return a classifier without attention, in two stages of two blocks."""
    torch.manual_seed(0)
    arguments = {"layers": [2, 2], "channels": [16, 32], "num_groups": 4, "stem_channels": 8}
    network = build_network("resnet", arguments, 7, SIDE)
    return Classifier(network, Preprocessing(side=SIDE)).eval().double()


def small_vit(variant: str = "class_token", *, is_fused: bool = True, **changes: Any) -> Classifier:
    """Return a classifier whose layers all matter: random weights of usual size, in double."""
    torch.manual_seed(3)
    arguments = {
        "img_size": SIDE,
        "patch_size": 4,
        "embed_dim": 24,
        "depth": DEPTH,
        "num_heads": 2,
        "mlp_ratio": 2,
        "num_classes": 7,
    }
    arguments |= VARIANTS[variant] | changes
    kind = Distilled if arguments.pop("is_distilled", False) else VisionTransformer
    network = kind(**arguments)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            scale = 1.0 if "token" in name or "pos" in name else 1.5
            fan_in = 1 if scale == 1.0 else parameter[0].numel()
            nn.init.normal_(parameter, std=scale / math.sqrt(fan_in))
        else:
            nn.init.normal_(parameter, mean=parameter.detach().mean().item(), std=0.2)
    for module in network.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = is_fused
    return Classifier(network, Preprocessing.of_trained(SIDE)).eval().double()


def some_images(count: int = 4) -> Tensor:
    """Return uint8 images of the network's size."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)


def plain_logits(classifier: Classifier, images: Tensor, *masks: Any, **changes: Any) -> Tensor:
    """Return logits (B, K) of uint8 images of the network's size, changed as by `vit_logits`."""
    return vit_logits(classifier.network, (images.double() / 255 - 0.5) / 0.25, *masks, **changes)


def vit_logits(
    network: Any,
    pixels: Tensor,
    masks: Sequence[Tensor | None] = (),
    *,
    removed: Collection[tuple[int, str]] = (),
    heads: Collection[tuple[int, int]] = (),
    kept: Mapping[int, Tensor] | None = None,
) -> Tensor:
    """Return logits (B, K) of pixels as the network takes them.

    masks : of each block, true where a token may attend; none masks nothing.
    removed : blocks, attentions and MLPs that are left out.
    heads : heads, by their block, whose output is zero.
    kept : the tokens (B, N') that stay after so many blocks.
    """
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    tokens = _embedded(network, weights, pixels)
    for index, layer in enumerate(network.blocks):
        block = f"blocks.{index}"
        if not {(index, "block"), (index, "attention")} & set(removed):
            normed = _norm(weights, f"{block}.norm1", tokens)
            silent = {head for place, head in heads if place == index}
            mask = masks[index] if masks else None
            attended = _attention(weights, block, normed, layer.attn.num_heads, mask, silent)
            tokens = tokens + attended * weights.get(f"{block}.ls1.gamma", 1.0)
        if not {(index, "block"), (index, "mlp")} & set(removed):
            hidden = _linear(weights, f"{block}.mlp.fc1", _norm(weights, f"{block}.norm2", tokens))
            hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
            added = _linear(weights, f"{block}.mlp.fc2", hidden)
            tokens = tokens + added * weights.get(f"{block}.ls2.gamma", 1.0)
        if kept and index + 1 in kept:
            tokens = torch.stack([t[rows] for t, rows in zip(tokens, kept[index + 1], strict=True)])
    if network.global_pool != "token":
        pooled = _norm(weights, "fc_norm", tokens[:, network.num_prefix_tokens :].mean(dim=1))
        return _linear(weights, "head", pooled)
    tokens = _norm(weights, "norm", tokens)
    logits = _linear(weights, "head", tokens[:, 0])
    if "head_dist.weight" in weights:
        return (logits + _linear(weights, "head_dist", tokens[:, 1])) / 2
    return logits


def _embedded(network: Any, weights: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    filters = weights["patch_embed.proj.weight"]
    height, width = filters.shape[2:]
    patches = [
        pixels[:, :, row : row + height, column : column + width].flatten(1)
        for row in range(0, pixels.shape[2], height)
        for column in range(0, pixels.shape[3], width)
    ]
    tokens = torch.stack(patches, dim=1) @ filters.flatten(1).T
    tokens = tokens + weights.get("patch_embed.proj.bias", 0.0)
    names = [name for name in ("cls_token", "dist_token", "reg_token") if name in weights]
    prefix = [weights[name].expand(len(pixels), -1, -1) for name in names]
    if network.no_embed_class:
        tokens = torch.cat([*prefix, tokens + weights["pos_embed"]], dim=1)
    else:
        tokens = torch.cat([*prefix, tokens], dim=1) + weights["pos_embed"]
    return _norm(weights, "norm_pre", tokens)


def _attention(
    weights: Mapping[str, Tensor],
    block: str,
    tokens: Tensor,
    num_heads: int,
    mask: Tensor | None,
    silent: Collection[int],
) -> Tensor:
    joint = _linear(weights, f"{block}.attn.qkv", tokens)
    parts = (part.chunk(num_heads, dim=2) for part in joint.chunk(3, dim=2))
    mixed = []
    for head, (queries, keys, values) in enumerate(zip(*parts, strict=True)):
        queries = _norm(weights, f"{block}.attn.q_norm", queries)
        keys = _norm(weights, f"{block}.attn.k_norm", keys)
        scores = queries @ keys.transpose(1, 2) / math.sqrt(queries.shape[2])
        if mask is not None:
            scores[:, ~mask] = -math.inf
        mixed.append(scores.softmax(dim=2) @ values * (head not in silent))
    return _linear(weights, f"{block}.attn.proj", torch.cat(mixed, dim=2))


def _linear(weights: Mapping[str, Tensor], name: str, inputs: Tensor) -> Tensor:
    return inputs @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)


def _norm(weights: Mapping[str, Tensor], name: str, inputs: Tensor) -> Tensor:
    if f"{name}.weight" not in weights:
        return inputs
    centred = inputs - inputs.mean(dim=-1, keepdim=True)
    deviation = (centred.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]
