"""ViTs and ResNets written from torch's own functions on nothing but a state dict.

The independent side of the tests of lesions: nothing of timm's runs here, and a layer or a head is
left out where the formula would add it.
"""

from collections.abc import Callable, Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.models.classifier import Classifier
from tests.test_anatomy import some_images

Layer = tuple[int, str]
Head = tuple[int, int]


class PlainVit:
    """A ViT of a state dict, without some layers and heads; and nothing of timm's."""

    def __init__(self, network: Any, removed: Collection[Layer], heads: Collection[Head] = ()):
        self.weights = dict(network.state_dict())
        self.removed, self.heads = removed, heads
        self.num_heads = network.blocks[0].attn.num_heads
        self.num_prefix = network.num_prefix_tokens

    def __call__(self, pixels: Tensor) -> Tensor:
        tokens = self.embed(pixels)
        depth = 1 + max(int(name.split(".")[1]) for name in self.weights if name[:6] == "blocks")
        for index in range(depth):
            if not {(index, "block"), (index, "attention")} & set(self.removed):
                tokens = tokens + self.attention(tokens, index)
            if not {(index, "block"), (index, "mlp")} & set(self.removed):
                tokens = tokens + self.mlp(tokens, index)
        if "fc_norm.weight" in self.weights:  # pooled over the patches, then normalised
            return self.linear(
                self.norm(tokens[:, self.num_prefix :].mean(dim=1), "fc_norm"), "head"
            )
        tokens = self.norm(tokens, "norm")
        if "head_dist.weight" in self.weights:
            heads = [self.linear(tokens[:, 0], "head"), self.linear(tokens[:, 1], "head_dist")]
            return torch.stack(heads).mean(dim=0)
        return self.linear(tokens[:, 0], "head")

    def embed(self, pixels: Tensor) -> Tensor:
        kernel = self.weights["patch_embed.proj.weight"]
        patches = F.unfold(pixels, kernel.shape[-1], stride=kernel.shape[-1]).transpose(1, 2)
        tokens = patches @ kernel.flatten(1).T + self.weights["patch_embed.proj.bias"]
        prefix = [self.weights[name] for name in ("cls_token", "reg_token") if name in self.weights]
        prefix = [token.expand(len(pixels), -1, -1) for token in prefix]
        positions = self.weights["pos_embed"]
        if positions.shape[1] == tokens.shape[1]:
            return torch.cat([*prefix, tokens + positions], dim=1)
        return torch.cat([*prefix, tokens], dim=1) + positions

    def attention(self, tokens: Tensor, index: int) -> Tensor:
        name = f"blocks.{index}"
        joint = self.linear(self.norm(tokens, f"{name}.norm1"), f"{name}.attn.qkv")
        queries, keys, values = (part.chunk(self.num_heads, -1) for part in joint.chunk(3, -1))
        outputs = []
        for head in range(self.num_heads):
            scores = queries[head] @ keys[head].transpose(1, 2) / queries[head].shape[-1] ** 0.5
            output = scores.softmax(dim=-1) @ values[head]
            outputs.append(output * 0 if (index, head) in self.heads else output)
        projected = self.linear(torch.cat(outputs, dim=-1), f"{name}.attn.proj")
        return projected * self.weights.get(f"{name}.ls1.gamma", 1)

    def mlp(self, tokens: Tensor, index: int) -> Tensor:
        name = f"blocks.{index}"
        hidden = self.linear(self.norm(tokens, f"{name}.norm2"), f"{name}.mlp.fc1")
        output = self.linear(F.gelu(hidden), f"{name}.mlp.fc2")
        return output * self.weights.get(f"{name}.ls2.gamma", 1)

    def linear(self, tokens: Tensor, name: str) -> Tensor:
        return tokens @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, tokens: Tensor, name: str) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(tokens, weight.shape, weight, bias, eps=1e-6)


class PlainResNet:
    """A BiT ResNet of a state dict, with the identity in place of some blocks."""

    def __init__(self, network: Any, removed: Collection[Layer]):
        self.weights = dict(network.state_dict())
        self.removed = [index for index, _ in removed]

    def __call__(self, pixels: Tensor) -> Tensor:
        x = F.pad(self.conv(pixels, "stem.conv", stride=2), (1, 1, 1, 1))
        x = F.max_pool2d(x, kernel_size=3, stride=2)
        names = dict.fromkeys(
            name[: name.index(".conv")] for name in self.weights if ".conv1.weight" in name
        )
        for index, name in enumerate(names):
            if index not in self.removed:
                is_first = name.endswith("blocks.0") and "stages.0" not in name
                x = self.block(x, name, stride=2 if is_first else 1)
        x = self.norm(x, "norm").mean(dim=(2, 3))
        return x @ self.weights["head.fc.weight"].flatten(1).T + self.weights["head.fc.bias"]

    def block(self, x: Tensor, name: str, stride: int) -> Tensor:
        before = self.norm(x, f"{name}.norm1")
        if f"{name}.downsample.conv.weight" in self.weights:
            x = self.conv(before, f"{name}.downsample.conv", stride)
        inside = self.conv(before, f"{name}.conv1")
        inside = self.conv(self.norm(inside, f"{name}.norm2"), f"{name}.conv2", stride)
        return x + self.conv(self.norm(inside, f"{name}.norm3"), f"{name}.conv3")

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        mean = weight.mean(dim=(1, 2, 3), keepdim=True)
        variance = weight.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
        standardised = (weight - mean) / (variance + 1e-8).sqrt()
        return F.conv2d(x, standardised, stride=stride, padding=weight.shape[-1] // 2)

    def norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.group_norm(x, 4, weight, bias).relu()


def plain_logits(plain: Callable[[Tensor], Tensor], classifier: Classifier) -> Tensor:
    side = classifier.preprocessing.side
    pixels = some_images().double() / 255
    pixels = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    return plain((pixels - 0.5) / 0.25)
