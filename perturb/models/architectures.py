"""Networks built from the configuration: the two families with timm's classes, and a user's own.

ViTs follow Dosovitskiy et al. [1]_ (learned positions, a class token, pre-norm blocks); ResNets
follow BiT [2]_ (pre-activation bottlenecks, group norm, standardised convolutions). The
configuration defines their sizes, which train within a minute on one core.

References
----------
.. [1] Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.
.. [2] Kolesnikov et al., "Big Transfer (BiT)", ECCV 2020.
"""

import importlib
import math
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.arguments import ARGUMENTS, unfit_arguments
from perturb.models.factories import file_of
from perturb.models.timm_modules import GroupNormAct, ResNetV2, StdConv2d, VisionTransformer

FAMILIES = tuple(ARGUMENTS)


def build_network(
    family: str, arguments: Mapping[str, Any], num_classes: int, image_side: int
) -> nn.Module:
    """Return a new network with random weights from torch's global generator.

    Parameters
    ----------
    family : ``vit`` or ``resnet``.
    arguments : for ``vit`` patch_size [px], embed_dim, depth, num_heads, mlp_ratio; for ``resnet``
        layers and channels (a number per stage), num_groups (of every group norm), stem_channels.
        All are required.
    num_classes : width of the logits.
    image_side : side of the square input [px].

    Raises
    ------
    ValueError
        For an unknown family, an unknown, missing or ill-typed argument, or sizes that do not fit.
    """
    _check_arguments(family, arguments)
    for problem in unfit_arguments(family, arguments):
        raise ValueError(problem)
    if family == "vit":
        return _build_vit(dict(arguments), num_classes, image_side)
    return _build_resnet(dict(arguments), num_classes)


def _build_vit(arguments: dict[str, Any], num_classes: int, image_side: int) -> nn.Module:
    if image_side % arguments["patch_size"]:
        raise ValueError(
            f"patch_size is {arguments['patch_size']}; allowed: a divisor of image_side "
            f"{image_side}"
        )
    network: nn.Module = VisionTransformer(
        img_size=image_side, num_classes=num_classes, weight_init="jax", **arguments
    )
    with torch.no_grad():
        positions = _sincos_positions(image_side // arguments["patch_size"], arguments["embed_dim"])
        network.pos_embed[0, 1:].copy_(positions)  # type: ignore[index]
    return network


def _build_resnet(arguments: dict[str, Any], num_classes: int) -> nn.Module:
    network: nn.Module = ResNetV2(
        layers=arguments["layers"],
        channels=arguments["channels"],
        num_classes=num_classes,
        stem_chs=arguments["stem_channels"],
        stem_type="fixed",  # BiT's padding of the 7x7/2 stem and its pool
        norm_layer=partial(GroupNormAct, num_groups=arguments["num_groups"]),
        conv_layer=partial(StdConv2d, eps=1e-8),
    )
    return network


def _sincos_positions(side: int, width: int) -> Tensor:
    """Return two-dimensional sine-cosine positions, shape (side * side, width).

    They initialise the learned position embedding: networks that train on few images then know from
    the first step which patches are neighbours. The amplitude is that of a small embedding.
    """
    num_frequencies = width // 4
    exponents = torch.arange(num_frequencies) / max(num_frequencies - 1, 1)
    frequencies = math.pi / side * (side / 2.0) ** exponents  # periods: 2 images to 4 patches
    angles = torch.arange(side)[:, None] * frequencies  # (side, F)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (side, 2F)
    rows = waves[:, None].expand(side, side, -1)
    columns = waves[None].expand(side, side, -1)
    grid = torch.cat([rows, columns], dim=2).reshape(side * side, -1)
    return nn.functional.pad(grid, (0, width - grid.shape[1]))


def _check_arguments(family: str, arguments: Mapping[str, Any]) -> None:
    if family not in ARGUMENTS:
        raise ValueError(f"family is {family!r}; allowed: {', '.join(ARGUMENTS)}")
    known = ARGUMENTS[family]
    for name, value in arguments.items():
        if name not in known:
            raise ValueError(f"{family} has no argument {name!r}; allowed: {', '.join(known)}")
        if not _is_positive(value, known[name]):
            kinds = " or ".join(kind.__name__ for kind in known[name])
            raise ValueError(f"{family}: {name} is {value!r}; allowed: positive {kinds}")
    missing = [name for name in known if name not in arguments]
    if missing:
        raise ValueError(f"{family} needs the argument {', '.join(missing)}")


def _is_positive(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    if isinstance(value, Sequence):
        return len(value) > 0 and all(_is_positive(item, (int,)) for item in value)
    return bool(value > 0)  # type: ignore[operator]


def make_network(factory: str) -> nn.Module:
    """Return the network that a function makes.

    Raises
    ------
    ValueError
        if there is no such function, or it returns anything but a network.
    """
    file_of(factory)
    module, _, name = factory.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    function: Any = getattr(importlib.import_module(module), name, None)
    if not callable(function):
        raise ValueError(f"{factory}: the module {module} has no function {name!r}")  # noqa: TRY004
    network = function()
    if not isinstance(network, nn.Module):
        raise ValueError(  # noqa: TRY004
            f"{factory}: returned a {type(network).__name__}; a torch.nn.Module is needed"
        )
    return network.float().cpu().eval()
