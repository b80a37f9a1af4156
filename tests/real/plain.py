"""The published networks in plain torch and Pillow: what `perturb evaluate` is held against."""

from dataclasses import dataclass
from functools import cache

import foolbox
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from perturb.models.zoo import build_timm_network
from tests.real.prepare import photographs, published, renamed

#: Side of the input [px] and fraction of the short side that is kept, as published.
VIEWS = {0: (224, 0.875), 1: (240, 0.882), 2: (260, 0.89)}


@dataclass(frozen=True)
class Plain:
    """A network that takes pixels in [0, 1], and the photographs as it sees them.

    images : uint8 (B, 3, H, W), in foolbox's order.
    targets : (B,), classes.
    """

    network: nn.Module
    images: Tensor
    targets: Tensor

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits of uint8 images, (B, K)."""
        with torch.inference_mode():
            return self.network(images.float() / 255)

    def attacked(self, epsilon: float) -> Tensor:
        """Return the logits after foolbox's PGD of eight steps from the image itself, (B, K)."""
        attack = foolbox.attacks.LinfPGD(rel_stepsize=1 / 8, steps=8, random_start=False)
        model = foolbox.PyTorchModel(self.network, bounds=(0, 1))
        aim = foolbox.criteria.Misclassification(self.targets)
        found = attack.run(model, self.images.float() / 255, aim, epsilon=epsilon)
        with torch.inference_mode():
            return self.network(found)


class _Normalised(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - 0.5) / 0.5)


@cache
def plain(number: int, architecture: str = "tf_efficientnet_lite") -> Plain:
    """Return EfficientNet-Lite0, 1 or 2 with its published weights."""
    network = build_timm_network(f"{architecture}{number}", 1000, VIEWS[number][0])
    state = torch.load(published(number), weights_only=True)
    network.load_state_dict(renamed(state, number))
    shown = [_seen(Image.open(path).convert("RGB"), *VIEWS[number]) for path, _ in photographs()]
    images = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).contiguous()
    targets = torch.tensor([target for _, target in photographs()])
    return Plain(_Normalised(network).eval(), images, targets)


def _seen(image: Image.Image, side: int, crop: float) -> np.ndarray:
    """Return the central square of an image whose short side becomes `side` / `crop`, (H, W, 3)."""
    short = int(side / crop)
    size = [int(short * length / min(image.size)) for length in image.size]
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (round((length - side) / 2) for length in image.size)
    return np.asarray(image.crop((left, top, left + side, top + side)))
