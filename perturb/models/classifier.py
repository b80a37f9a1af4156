"""Classifiers: networks with their preprocessing, from images to logits.

Resizing and normalisation are part of the model: every perturbation acts on pixels in [0, 1] (or on
uint8) for any network, and gradients with respect to those pixels pass through the preprocessing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.arguments import INTERPOLATION, MEAN, STD, TRAINED_STD
from perturb.models.layouts import input_dtype, takes_channels_last
from perturb.models.precision import keep_logits_exact
from perturb.models.resizing import INTERPOLATIONS


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of images for a network.

    side : side of the network's square input [px].
    mean, std : mean and standard deviation of each colour channel, in units of [0, 1].
    interpolation : ``bilinear`` or ``bicubic``, for images of another size than the input.
    mode, crop : how the square was cut from the whole image (`perturb.models.resizing.Resizing`);
        None for square images. Only recorded here: decoding applies them.
    """

    side: int
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    interpolation: str = INTERPOLATION
    mode: str | None = None
    crop: float | None = None

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"side is {self.side}; allowed: 1 px or more")
        if self.interpolation not in INTERPOLATIONS:
            allowed = ", ".join(INTERPOLATIONS)
            raise ValueError(f"interpolation is {self.interpolation!r}; allowed: {allowed}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(
                f"mean is {self.mean}, std is {self.std}; allowed: a number a channel, std above 0"
            )

    @classmethod
    def of_trained(cls, side: int) -> "Preprocessing":
        """Return the preprocessing of networks trained here, on embedded images of a side [px]."""
        return cls(side, std=TRAINED_STD)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Return the preprocessing of values by name, as in JSON and configurations.

        Raises
        ------
        ValueError
            If the side is missing, a name is unknown, or a value is not allowed.
        """
        names = [entry.name for entry in fields(cls)]
        if "side" not in values or not set(values) <= set(names):
            found = ", ".join(sorted(values))
            raise ValueError(f"preprocessing has {found}; allowed: side, and of {', '.join(names)}")
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**known)


class Classifier(nn.Module):
    """A network with its preprocessing: images of any size to logits.

    ``network`` is timm's own module, which lesions and attention masks change. Its logits are
    float32 even if the rest computes in bfloat16 (`perturb.models.precision`).

    Parameters
    ----------
    network : of timm, or any module from normalised images (B, 3, side, side) to logits (B, K).
    preprocessing : of the network.
    num_classes : width of the logits; None for what the network says as its ``num_classes``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, num_classes: int | None = None
    ) -> None:
        super().__init__()
        keep_logits_exact(network)
        self._num_classes = num_classes
        self.network = network
        self.preprocessing = preprocessing
        self._is_channels_last: dict[str, bool] = {}  # by type of device
        for name in ("mean", "std"):
            floats = list(map(float, getattr(preprocessing, name)))
            values = torch.tensor(floats).reshape(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @property
    def num_classes(self) -> int:
        """Width of the logits."""
        known = self._known_num_classes
        if known is None:
            raise ValueError(
                f"{type(self.network).__name__} does not say its number of classes; "
                "num_classes of its Classifier does"
            )
        return known

    @property
    def knows_num_classes(self) -> bool:
        """Whether the width of the logits is known before a pass."""
        return self._known_num_classes is not None

    @property
    def _known_num_classes(self) -> int | None:
        own: Any = getattr(self.network, "num_classes", None)
        return own if self._num_classes is None else self._num_classes

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K).

        Parameters and errors are those of ``prepare``.
        """
        logits: Tensor = self.network(self.prepare(images))
        return logits

    def prepare(self, images: Tensor) -> Tensor:
        """Return the input of the network, (B, 3, side, side).

        Parameters
        ----------
        images : (B, 3, H, W), uint8 or floating point in [0, 1]. Images of another size than the
            network's input are resized with the preprocessing's filter, antialiased.

        Raises
        ------
        ValueError
            If the images have another shape or type.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images have shape {tuple(images.shape)}; allowed: (B, 3, H, W)")
        pixels = images
        if images.dtype == torch.uint8:
            pixels = in_unit(images, self.mean.dtype)
        elif not images.is_floating_point():
            raise ValueError(f"images are {images.dtype}; allowed: uint8, or floats in [0, 1]")
        side = self.preprocessing.side
        if images.shape[2:] != (side, side):
            mode = self.preprocessing.interpolation
            pixels = nn.functional.interpolate(pixels, size=(side, side), mode=mode, antialias=True)
            if mode == "bicubic":  # it overshoots [0, 1] at edges
                pixels = pixels.clamp(0, 1)
        # In place, but never in the caller's images or in a coarser number format.
        is_own = pixels is not images and pixels.dtype == self.mean.dtype
        pixels = pixels.sub_(self.mean) if is_own else pixels - self.mean
        return self._written(pixels)

    def takes_channels_last(self, kind: str) -> bool:
        """Return whether the network's input is in channels-last format on a kind of device."""
        if kind not in self._is_channels_last:
            self._is_channels_last[kind] = takes_channels_last(self.network, kind)
        return self._is_channels_last[kind]

    def _written(self, centred: Tensor) -> Tensor:
        """Return pixels over the standard deviation, as the network reads them.

        Their memory and number format is written by the division itself, if no gradient is asked
        for: every other pass over the pixels costs as much again.
        """
        kind = centred.device.type
        is_last, dtype = self.takes_channels_last(kind), input_dtype(self.network, kind)
        dtype = centred.dtype if dtype == torch.float32 else dtype
        layout = torch.channels_last if is_last else torch.preserve_format
        if dtype != centred.dtype and not centred.requires_grad:
            written = torch.empty_like(centred, dtype=dtype, memory_format=layout)
            return torch.div(centred, self.std, out=written)
        pixels = centred.div_(self.std).to(dtype)
        return pixels.contiguous(memory_format=layout) if is_last else pixels


def in_unit(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return uint8 images as new floats in [0, 1].

    A GPU reads bytes and writes floats in one pass, where a CPU makes a temporary copy; the numbers
    are the same.
    """
    if images.is_cuda and dtype == torch.get_default_dtype():
        return images / 255
    return images.to(dtype).div_(255)
