"""timm's networks by name, with random weights or with the pretrained weights of a full tag.

A name without tag defines a network and no weights. The repository's table, by which the workflow
is planned, is compared with the installed timm before weights of a tag are used: a table of another
version could mean other preprocessing.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from perturb.files import sha256_of
from perturb.models.timm_modules import (
    ResNetV2,
    VisionTransformer,
    find_config,
    find_maker,
    load_timm_zoo,
)
from perturb.models.timm_table import TimmModel, model_of

logger = logging.getLogger(__name__)

# Not `border`: it pads the whole image to a square, which no preprocessing here does.
_MODES = {"center": "crop", "squash": "squash"}
_FILTERS = ("bilinear", "bicubic")
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # timm's own order


@dataclass(frozen=True)
class Pretrained:
    """A network with weights, and their source: tag, hub, revision, file, sha256, timm."""

    network: nn.Module
    source: Mapping[str, Any]


def build_timm_network(name: str, num_classes: int, side: int) -> nn.Module:
    """Return a timm network with random weights from torch's global generator.

    Parameters
    ----------
    name : name of an architecture, with or without a tag.
    num_classes : width of the logits.
    side : side of the square input [px]; networks of fixed input size are built for it.

    Raises
    ------
    ValueError
        If timm has no such name, or cannot build it for the side.
    """
    maker, config = _known(name)
    architecture, _, tag = name.partition(".")
    try:
        network: nn.Module = maker(
            num_classes=num_classes,
            pretrained_cfg=tag or None,
            **size_arguments(config, side),
        )
    except (AssertionError, TypeError) as error:  # timm's checks, and makers without a size
        raise ValueError(
            f"timm: {architecture!r} cannot be built for {side} px ({error})"
        ) from error
    return network


def load_pretrained(tag: str, num_classes: int, side: int) -> Pretrained:
    """Return the network of a tag with its weights, from the model hub or its cache on disk.

    Parameters
    ----------
    tag : full tag, ``vit_base_patch16_384.orig_in21k_ft_in1k``.
    num_classes : number of classes of the task; it must be that of the weights.
    side : as of `build_timm_network`; timm resamples positions for another size than the tag's.

    Raises
    ------
    ValueError
        If the tag is unknown or incomplete, the table differs from the installed timm, or the
        weights have another number of classes, or cannot be found or read.
    """
    known = check_table(tag)
    if num_classes != known.num_classes:
        raise ValueError(f"timm: {tag} has {known.num_classes} classes; the task has {num_classes}")
    zoo, config = load_timm_zoo(), find_config(tag)
    if side != known.side:
        logger.info("%s is made for %d px and used at %d px", tag, known.side, side)
    try:
        network = zoo.create_model(tag, pretrained=True, **size_arguments(config, side))
    except OSError as error:  # offline and not in the cache; errors of the hub are OSErrors too
        raise ValueError(_how_to_fill_the_cache(tag, config, error)) from error
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"timm: the weights of {tag} cannot be read ({error})") from error
    return Pretrained(network, {"tag": tag, "timm": zoo.__version__} | _origin(config))


def check_table(tag: str) -> TimmModel:
    """Return the row of a tag in the table, after comparing it with the installed timm.

    Raises
    ------
    ValueError
        If they differ, or there is no such row or tag.
    """
    row = model_of(tag)
    _, config = _known(tag)
    for name, value in describe_config(tag, config).items():
        if getattr(row, name) != value:
            raise ValueError(
                f"resources/timm_models.csv: {name} of {tag} is {getattr(row, name)}, but {value} "
                "in the installed timm; install the version of the lock file, or make the table "
                "anew with python -m perturb.models.timm_survey"
            )
    return row


def describe_config(tag: str, config: Any) -> dict[str, Any]:
    """Return the columns of the table from timm's configuration of a tag.

    Raises
    ------
    ValueError
        If the table cannot express its crop, filter or input.
    """
    architecture, _, name = tag.partition(".")
    channels, side, width = config.input_size
    if (
        (channels, width) != (3, side)
        or config.crop_mode not in _MODES
        or config.interpolation not in _FILTERS
    ):
        raise ValueError(
            f"{tag}: input {config.input_size}, crop mode {config.crop_mode!r}, interpolation "
            f"{config.interpolation!r}; allowed: squares of 3 channels, {', '.join(_MODES)}, "
            f"{', '.join(_FILTERS)}"
        )
    return {
        "tag": tag,
        "architecture": architecture,
        "is_default": find_config(architecture).tag == name,
        "side": side,
        "crop": config.crop_pct,
        "test_side": (config.test_input_size or config.input_size)[1],
        "test_crop": config.test_crop_pct or config.crop_pct,
        "mean": tuple(config.mean),
        "std": tuple(config.std),
        "mode": _MODES[config.crop_mode],
        "interpolation": config.interpolation,
        "num_classes": config.num_classes,
    }


def kind_of(network: nn.Module) -> str:
    """Return ``vit`` or ``resnetv2`` if `perturb.models.anatomy` supports it, else ``other``."""
    for name, kind in (("vit", VisionTransformer), ("resnetv2", ResNetV2)):
        if isinstance(network, kind) and all(
            getattr(type(network), method) is getattr(kind, method)
            for method in ("forward", "forward_features")
        ):
            return name
    return "other"


def describe_network(network: Any) -> dict[str, Any]:
    """Return the columns of the table from a network: its kind and its parts."""
    kind = kind_of(network)
    found: dict[str, Any] = {"kind": kind, "network": type(network).__name__}
    if kind == "vit":
        attentions = [getattr(block, "attn", None) for block in network.blocks]
        found |= {
            "patch_size": network.patch_embed.img_size[0] // network.patch_embed.grid_size[0],
            "embed_dim": network.embed_dim,
            "depth": len(network.blocks),
            "num_heads": _shared(getattr(attention, "num_heads", None) for attention in attentions),
            "num_prefix_tokens": network.num_prefix_tokens,
            "num_class_tokens": int(network.has_class_token),
            "block": _shared(type(block).__name__ for block in network.blocks),
            "attention": _shared(
                None if attention is None else type(attention).__name__ for attention in attentions
            ),
            "embedding": type(network.patch_embed).__name__,
            "pooling": network.global_pool,
        }
    if kind == "resnetv2":
        stages = [info for info in network.feature_info if info["module"].startswith("stages")]
        found |= {
            "layers": tuple(len(stage.blocks) for stage in network.stages),
            "channels": tuple(info["num_chs"] for info in stages),
        }
    return found


def _shared(values: Iterable[Any]) -> Any:
    """Return the common value, None if values differ."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def size_arguments(config: Any, side: int) -> dict[str, int]:
    """Return timm's arguments for a network with another input size than its own."""
    if config is None or not config.fixed_input_size or config.input_size[1] == side:
        return {}
    return {"img_size": side}


def _known(name: str) -> tuple[Any, Any]:
    maker = find_maker(name.partition(".")[0])
    if maker is None:
        raise ValueError(f"timm: {name!r} is not an architecture of the installed timm")
    try:
        return maker, find_config(name)
    except RuntimeError as error:
        raise ValueError(f"timm: {name!r} is not a tag of the installed timm ({error})") from error


def _origin(config: Any) -> dict[str, Any]:
    """Return hub, revision, file and SHA-256 of the weights that timm read."""
    if not config.hf_hub_id:
        path = Path(load_timm_zoo().models._hub.get_cache_dir()) / Path(config.url).name
        return {"hub": None, "revision": None, "file": path.name, "sha256": sha256_of(path)}
    from huggingface_hub import try_to_load_from_cache  # takes half a second, needed here only

    hub, _, revision = config.hf_hub_id.partition("@")
    for name in _HUB_FILES:
        found = try_to_load_from_cache(hub, name, revision=revision or None)
        if isinstance(found, str):
            path = Path(found)
            place = {"hub": hub, "revision": path.parent.name, "file": name}
            return {**place, "sha256": sha256_of(path)}
    raise ValueError(f"timm: the weights of {hub} disappeared from the hub's cache")


def _how_to_fill_the_cache(tag: str, config: Any, error: OSError) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if not config.hf_hub_id:
        folder = load_timm_zoo().models._hub.get_cache_dir()
        return f"timm: no weights of {tag}; put {config.url} into {folder} ({reason})"
    hub = config.hf_hub_id.partition("@")[0]
    return (
        f"timm: no weights of {tag}: they are not in the hub's cache and could not be downloaded "
        f"({reason}). On a machine with network access, run `hf download {hub} {_HUB_FILES[0]}`, "
        "with HF_HOME at a folder that this machine can read; HF_HUB_OFFLINE=1 then keeps jobs "
        "off the network"
    )
