"""Any model of a caller as a classifier, which is what the evaluators of perturbations take.

A plain `nn.Module` takes float32 pixels in [0, 1], (B, 3, H, W), and returns logits (B, K). What it
does before and after its network stays inside it; the number of classes is the width of the logits
of one image, and the network is the part whose blocks `perturb.models.anatomy` knows.

B images, H W pixels, K classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from perturb.library.arrays import as_floats
from perturb.library.models import (
    check_kind,
    check_model,
    check_uncompiled,
    device_of,
    num_classes_of,
)
from perturb.models.anatomy import Anatomy, anatomy
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.precision import holds_bfloat16

_NOTHING, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


class PlainClassifier(Classifier):
    """A model that does its own preprocessing, as a classifier.

    Parameters
    ----------
    model : pixels in [0, 1] -> logits.
    network : the part of the model that perturbations of networks change; the model itself, or a
        module of it whose output is the model's.
    side : of images [px].
    num_classes : width of the logits; None if it is not needed.
    """

    def __init__(
        self, model: nn.Module, network: nn.Module, side: int, num_classes: int | None
    ) -> None:
        super().__init__(network, Preprocessing(side, _NOTHING, _ONE), num_classes)
        self.model = model
        self.training = model.training
        device = device_of(model)
        self.mean, self.std = self.mean.to(device), self.std.to(device)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, 3, H, W), uint8 or floating point in [0, 1]."""
        logits: Tensor = self.model(_floats(images))
        return logits

    def prepare(self, images: Tensor) -> Tensor:
        """Return the input of the network: what the model makes of the pixels before it."""
        if self.model is self.network:
            pixels = _floats(images)
            return pixels.bfloat16() if holds_bfloat16(self.network) else pixels
        return _input_of(self.network, self.model, _floats(images))


@contextmanager
def as_classifier(model: nn.Module, images: Tensor) -> Iterator[Classifier]:
    """Yield a model as a classifier within a `with` statement; the model is not changed by it.

    Parameters
    ----------
    images : one image or more as the model takes them, on its device.

    Raises
    ------
    ValueError
        If the model is no `nn.Module`, is in training mode, or does not return logits.
    """
    check_model(model)
    if isinstance(model, Classifier) and model.knows_num_classes:
        yield model
        return
    with _same_classes(model):
        num_classes = num_classes_of(model, images)
        network = model.network if isinstance(model, Classifier) else _own_network(model, images)
        yield PlainClassifier(model, network, min(images.shape[2:]), num_classes)


@contextmanager
def around_network(model: nn.Module) -> Iterator[Classifier]:
    """Yield a classifier of the network in a model, for changes of the network alone.

    Raises
    ------
    ValueError
        If the model is no `nn.Module`, is compiled, or holds none or several networks of known
        blocks.
    """
    check_kind(model)
    check_uncompiled(model)
    if isinstance(model, Classifier):
        yield model
        return
    found = networks_in(model)
    if not found:
        anatomy(model)  # which says why
    if len(found) > 1:
        kinds = ", ".join(type(network).__name__ for network in found)
        raise ValueError(f"model holds several networks ({kinds}); allowed: one of them")
    with _same_classes(model):
        yield PlainClassifier(model, found[0], _side_of(found[0]), None)


def networks_in(model: nn.Module) -> list[nn.Module]:
    """Return the networks of known stages in a model, the outermost ones.

    Without any it is the model itself, if some of its blocks are known.
    """
    found: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for module in model.modules():
        known = None if module in inside else anatomy_of(module)
        if known is not None and known.is_staged:
            found.append(module)
            inside.update(module.modules())
    return found or ([model] if anatomy_of(model) is not None else [])


@contextmanager
def _same_classes(model: nn.Module) -> Iterator[None]:
    """Give each module its class back: a classifier replaces that of a head, for its precision."""
    kinds = {module: type(module) for module in model.modules()}
    try:
        yield
    finally:
        for module, kind in kinds.items():
            module.__class__ = kind


def anatomy_of(module: nn.Module) -> Anatomy | None:
    """Return the stages or blocks of a network, None if they are unknown."""
    try:
        return anatomy(module)
    except ValueError:
        return None


def _own_network(model: nn.Module, images: Tensor) -> nn.Module:
    """Return the network in a model whose output is the model's, else the model itself."""
    found = networks_in(model)
    if len(found) != 1 or found[0] is model:
        return model
    outputs: list[Any] = []
    with found[0].register_forward_hook(lambda *seen: outputs.append(seen[2])), torch.no_grad():
        logits = model(as_floats(images[:1]))
    return found[0] if len(outputs) == 1 and outputs[0] is logits else model


class _ReachedError(Exception):
    """The network was reached; holds its input."""

    def __init__(self, given: Tensor) -> None:
        self.given = given
        super().__init__()


def _input_of(network: nn.Module, model: nn.Module, pixels: Tensor) -> Tensor:
    """Return the input of a network in a model; nothing after it runs."""

    def stop(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        raise _ReachedError(given[0])

    with network.register_forward_pre_hook(stop):
        try:
            model(pixels)
        except _ReachedError as reached:
            return reached.given
    raise ValueError(f"model does not run its {type(network).__name__} on these images")


def _side_of(network: nn.Module) -> int:
    """Return the side of a network's input [px]; 1 if it has no fixed one."""
    embedding: Any = getattr(network, "patch_embed", None)
    size = getattr(embedding, "img_size", None)
    return int(size[0]) if size else 1


def _floats(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images
