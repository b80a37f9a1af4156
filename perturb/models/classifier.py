"""A classifier: a network that takes images as they are and returns logits.

Resizing and normalisation are part of the model, so every perturbation acts on pixels in [0, 1]
(or on uint8) whatever network follows, and gradients with respect to those pixels pass through
the preprocessing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Preprocessing:
    """What happens to pixels in [0, 1] before the network.

    side : side of the network's square input [px].
    mean, std : of each colour channel, in units of [0, 1].
    """

    side: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)


class Classifier(nn.Module):
    """Images of any size -> logits of ``network``, with the preprocessing inside.

    The module's ``network`` is timm's own and is where lesions and attention masks act.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.preprocessing = preprocessing
        for name in ("mean", "std"):
            values = torch.tensor(getattr(preprocessing, name)).reshape(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @property
    def num_classes(self) -> int:
        """Width of the logits."""
        return int(self.network.num_classes)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K).

        Parameters and errors are those of ``prepare``.
        """
        logits: Tensor = self.network(self.prepare(images))
        return logits

    def prepare(self, images: Tensor) -> Tensor:
        """Return what the network is given, (B, 3, side, side).

        Parameters
        ----------
        images : (B, 3, H, W), uint8 or floating point in [0, 1]. Another size than the network's
            input is resized with an antialiased bilinear filter.

        Raises
        ------
        ValueError
            If the images have another shape or type.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images have shape {tuple(images.shape)}; allowed: (B, 3, H, W)")
        if images.dtype == torch.uint8:
            images = images.to(self.mean.dtype) / 255
        elif not images.is_floating_point():
            raise ValueError(f"images are {images.dtype}; allowed: uint8, or floats in [0, 1]")
        side = self.preprocessing.side
        if images.shape[2:] != (side, side):
            images = nn.functional.interpolate(
                images, size=(side, side), mode="bilinear", antialias=True
            )
        images = (images - self.mean) / self.std
        # Channels last: a fifth faster for group norms and small convolutions on a CPU.
        return images.contiguous(memory_format=torch.channels_last)
