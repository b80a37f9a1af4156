"""Networks for the tests of attacks: small real ones, and ones that hide or break a gradient."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.random import image_key

SIDE = 16
NUM_CLASSES = 6
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "vit": {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2},
    "resnet": {"layers": [1, 1], "channels": [16, 32], "num_groups": 4, "stem_channels": 8},
}


class Head(nn.Module):
    """Logits = scale * weights @ seen(pixels): a network without curvature."""

    def __init__(self, seen: Callable[[Tensor], Tensor], scale: float, num_classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        weights = torch.randn(num_classes, 3 * SIDE**2, generator=generator)
        self.weights = nn.Parameter(weights * scale)
        self.seen = seen
        self.num_classes = num_classes

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.seen(pixels).flatten(1) @ self.weights.T


SEEN: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "linear": (lambda x: x, 0.1),
    "saturated": (lambda x: x, 1e6),
    "quantised": (lambda x: (x * 16).round() / 16, 0.1),
    "blind": (lambda x: x * 0 + 1, 0.1),
    "detached": (lambda x: torch.ones_like(x), 0.1),
    "nan": (lambda x: x * torch.nan, 1.0),
    "infinite": (lambda x: x + torch.inf, 1.0),
    "nan gradient": (lambda x: x + (x - x.detach()).abs().sqrt(), 0.1),
}


def make_classifier(kind: str, num_classes: int = NUM_CLASSES) -> Classifier:
    """Return a classifier of 16 px: `vit`, `resnet` or a key of `SEEN`."""
    if kind in SEEN:
        # Zero mean and unit deviation: the network sees the pixels themselves.
        plain = Preprocessing(SIDE, mean=(0, 0, 0), std=(1, 1, 1))
        return Classifier(Head(*SEEN[kind], num_classes), plain).eval()
    torch.manual_seed(1)
    network = build_network(kind, _ARGUMENTS[kind], num_classes, SIDE)
    with torch.no_grad():  # a fresh head is all zeros, and so would be every gradient
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Classifier(network, Preprocessing(SIDE)).eval()


def make_images(classifier: Classifier, count: int = 12, *, num_wrong: int = 0) -> Images:
    """Return noise with the classifier's own predictions as targets, a few of them wrong."""
    generator = torch.Generator().manual_seed(7)
    size = (count, 3, SIDE, SIDE)
    pixels = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        targets = classifier(pixels).argmax(dim=1)
    targets[:num_wrong] = (targets[:num_wrong] + 1) % classifier.num_classes
    return Images(pixels, torch.tensor([image_key(str(i)) for i in range(count)]), targets)


def make_case(kind: str, count: int = 12) -> tuple[Classifier, Tensor, Tensor, Tensor]:
    """Return a classifier, float images that it gets right, their targets and keys."""
    classifier = make_classifier(kind)
    images = make_images(classifier, count)
    return classifier, images.pixels.float() / 255, images.targets, images.keys


def num_right(classifier: Classifier, pixels: Tensor, targets: Tensor) -> int:
    """Return how many images are classified correctly."""
    with torch.no_grad():
        return int((classifier(pixels).argmax(dim=1) == targets).sum())
