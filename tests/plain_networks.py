"""BiT ResNets written from torch's own functions on nothing but a state dict.

The independent side of the tests of lesions: nothing of timm's runs here, and a block is left out
where the formula would add it.
"""

from collections.abc import Callable, Collection
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from perturb.models.classifier import Classifier
from tests.test_anatomy import some_images

Layer = tuple[int, str]


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
