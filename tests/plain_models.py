"""Small models that are not timm's, and small ViTs of timm's with random weights."""

from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.timm_modules import VisionTransformer

NUM_CLASSES = 5


class Normalise(nn.Module):
    """The normalisation that many models do by themselves."""

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - 0.45) / 0.25


class SmallCnn(nn.Module):
    """A convolutional network of pixels in [0, 1] that says nothing about its classes."""

    def __init__(self, num_classes: int = NUM_CLASSES) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Normalise(), nn.Conv2d(3, 12, 5, stride=2), nn.GELU(), nn.Conv2d(12, 16, 3), nn.GELU()
        )
        self.classify = nn.Linear(16, num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(pixels).mean(dim=(2, 3)) * 8)
        return logits


def small_cnn(num_classes: int = NUM_CLASSES) -> nn.Module:
    """Return a network with the same random weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return SmallCnn(num_classes).eval()


def small_vit(**arguments: Any) -> nn.Module:
    """Return timm's ViT of four blocks on 32 px, with the same random weights each time."""
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 4, "num_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        network: nn.Module = VisionTransformer(**(sizes | {"num_classes": NUM_CLASSES} | arguments))
        for weight in network.parameters():  # far enough from the start to tell images apart
            nn.init.normal_(weight, std=0.3) if weight.ndim > 1 else None
    return network.eval()


def wrapped_vit() -> tuple[nn.Module, Any]:
    """Return a model of a normalisation and a ViT, and that ViT."""
    network = small_vit()
    return nn.Sequential(Normalise(), network).eval(), network


def some_images(num_images: int = 8, side: int = 32, seed: int = 0) -> Tensor:
    """Return smooth images, uint8 (B, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num_images, 3, 5, 5, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (smooth * 255).round().to(torch.uint8)


def predicted(model: nn.Module, images: Tensor) -> Tensor:
    """Return the classes that a model predicts."""
    with torch.inference_mode():
        classes: Tensor = model(images.float() / 255).argmax(dim=1)
    return classes.clone()
