"""timm's pretrained ImageNet classifiers, read from a table in the repository.

Planning the workflow needs preprocessing, family and parts of each network, before weights exist
and without torch or timm. The table has a row for each tag with weights for 1000 classes; a second
one has timm's other architectures, a third the residual blocks of networks that are neither timm's
VisionTransformer nor its ResNetV2. `perturb.models.timm_survey` makes them from the installed timm,
and a test compares them.
"""

import csv
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from perturb.places import resource

TABLE = resource("timm_models.csv")
UNTAGGED = resource("timm_untagged.csv")
BLOCKS = resource("timm_blocks.csv")
BLOCK_COLUMNS = ("architecture", "num_blocks", "fixed_blocks", "attention", "num_prefix_tokens")
KINDS = ("vit", "resnetv2", "other")
# timm's classes of residual networks. The first covers ResNet, ResNeXt, Wide ResNet, Res2Net,
# ResNeSt and squeeze-and-excitation; the second covers BiT.
RESIDUAL_NETWORKS = ("ResNet", "ResNetV2", "SENet")


@dataclass(frozen=True)
class TimmModel:
    """A row of the table.

    tag : architecture and weights, ``vit_base_patch16_384.orig_in21k_ft_in1k``.
    architecture : the part before the dot.
    is_default : true if timm uses the tag for an architecture named without one.
    kind : ``vit`` and ``resnetv2`` if timm's own VisionTransformer or ResNetV2 runs its blocks one
        after another, so that they can be changed and read; else ``other``.
    network : name of its class in timm.
    side, crop : input [px] and fraction of the short side that is kept, by default in timm. A crop
        above 1 (some of VOLO's) pads the image, which no preprocessing here does.
    test_side, test_crop : those of timm's published accuracy; often the same.
    mean, std : mean and standard deviation of each channel, in units of [0, 1].
    mode : ``crop`` or ``squash``, as of ``perturb.models.resizing.Resizing``.
    interpolation : ``bilinear`` or ``bicubic``.
    num_classes : width of the logits.
    patch_size : side of a patch [px]. This and all following columns are None if not applicable.
    embed_dim, depth, num_heads : of a ViT; num_heads is None if blocks differ.
    num_prefix_tokens, num_class_tokens : tokens of a ViT before its patches, and the class tokens
        among them; the others are registers.
    block, attention, embedding, pooling : of a ViT, the classes of blocks, attention modules and
        patch embedding, and the pooling of tokens (``token`` is the class token); block and
        attention are None if blocks differ, attention also if a block has no module for it.
    layers, channels : blocks and channels of each stage of a ResNetV2.
    num_parameters : number of parameters of the network.
    gmacs : multiply-adds per image at ``side`` / 10^9 (convolutions, matrices, attention).
    """

    tag: str
    architecture: str
    is_default: bool
    kind: str
    network: str
    side: int
    crop: float
    test_side: int
    test_crop: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mode: str
    interpolation: str
    num_classes: int
    patch_size: int | None
    embed_dim: int | None
    depth: int | None
    num_heads: int | None
    num_prefix_tokens: int | None
    num_class_tokens: int | None
    block: str | None
    attention: str | None
    embedding: str | None
    pooling: str | None
    layers: tuple[int, ...] | None
    channels: tuple[int, ...] | None
    num_parameters: int | None
    gmacs: float | None

    @property
    def family(self) -> str:
        """The family in the configuration: vit, resnet or other.

        ``vit``: timm's VisionTransformer with all blocks in order, also behind a convolutional
        stem. ``resnet``: a class among `RESIDUAL_NETWORKS`. ``other``: all other classes.
        """
        if self.kind == "vit":
            return "vit"
        return "resnet" if self.network in RESIDUAL_NETWORKS else "other"


# By the type of a column; an empty cell is None.
_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    bool: {"True": True, "False": False}.__getitem__,
    int: int,
    float: float,
    str | None: lambda text: text or None,
    int | None: lambda text: int(text) if text else None,
    float | None: lambda text: float(text) if text else None,
    tuple[float, ...]: lambda text: tuple(map(float, text.split())),
    tuple[int, ...] | None: lambda text: tuple(map(int, text.split())) or None,
}
COLUMNS = tuple(TimmModel.__dataclass_fields__)


def read_table(path: Path) -> Mapping[str, TimmModel]:
    """Return the models of a table by tag, in the table's order.

    Raises
    ------
    ValueError
        If the table does not exist or its columns are not those of `TimmModel`.
    """
    if not path.is_file():
        raise ValueError(f"{path}: not found; python -m perturb.models.timm_survey makes it")
    with path.open(newline="") as file:
        rows = csv.reader(file)
        header = tuple(next(rows, ()))
        if header != COLUMNS:
            raise ValueError(f"{path}: columns are {', '.join(header)}; allowed: {COLUMNS}")
        parsers = [_PARSERS[column.type] for column in fields(TimmModel)]
        models = (
            TimmModel(*(parse(text) for parse, text in zip(parsers, row, strict=True)))
            for row in rows
        )
        return MappingProxyType({model.tag: model for model in models})


@cache
def timm_models() -> Mapping[str, TimmModel]:
    """Return the models of the repository's table by tag."""
    return read_table(TABLE)


@cache
def untagged_models() -> Mapping[str, TimmModel]:
    """Return timm's architectures without weights for 1000 classes, by name.

    Their tag is the name; what depends on weights is that of timm's configuration of the name.
    """
    return read_table(UNTAGGED)


@cache
def _by_architecture() -> Mapping[str, TimmModel]:
    tagged = {model.architecture: model for model in reversed(list(timm_models().values()))}
    return {**untagged_models(), **tagged}


@cache
def _blocks() -> Mapping[str, Mapping[str, Any]]:
    if not BLOCKS.is_file():
        raise ValueError(f"{BLOCKS}: not found; python -m perturb.models.timm_survey makes it")
    with BLOCKS.open(newline="") as file:
        return {row["architecture"]: _parsed_blocks(row) for row in csv.DictReader(file)}


def _parsed_blocks(row: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "num_blocks": int(row["num_blocks"]),
        "fixed_blocks": [int(index) for index in row["fixed_blocks"].split()],
    }
    if row["attention"]:
        facts |= {
            "attention": row["attention"],
            "num_prefix_tokens": int(row["num_prefix_tokens"]),
        }
    return facts


def blocks_of(architecture: str) -> Mapping[str, Any]:
    """Return the facts of `perturb.models.anatomy.describe_blocks` on an architecture.

    Empty for timm's VisionTransformer and ResNetV2, whose facts are in the row of the architecture,
    and for networks whose blocks are unknown.
    """
    return _blocks().get(architecture, {})


def known_architectures() -> Collection[str]:
    """Return the names of all architectures, with and without weights."""
    return _by_architecture().keys()


def tags_of(architecture: str) -> tuple[str, ...]:
    """Return the tags of an architecture with weights, empty if timm has none."""
    return tuple(tag for tag, model in timm_models().items() if model.architecture == architecture)


def model_of(tag: str) -> TimmModel:
    """Return the row of a tag.

    Raises
    ------
    ValueError
        If the name has no tag, since weights of different training share it, or the tag has no
        weights for 1000 classes; the message lists the tags of the architecture.
    """
    models = timm_models()
    if tag in models:
        return models[tag]
    architecture, dot, _ = tag.partition(".")
    allowed = ", ".join(tags_of(architecture)) or f"a tag in resources/{TABLE.name}"
    reason = "is not a tag with 1000 classes" if dot else "names no weights: a full tag is needed"
    raise ValueError(f"{tag!r} {reason}; allowed: {allowed}")


def geometry(architecture: str) -> TimmModel:
    """Return the row of the first tag of an architecture, for facts on its network.

    Columns that depend on weights (side, crop, mean, std, mode, interpolation) are of that tag, or
    of timm's configuration of a name without weights for 1000 classes.

    Raises
    ------
    ValueError
        If the table has no such architecture.
    """
    models = _by_architecture()
    if architecture not in models:
        raise ValueError(
            f"{architecture!r} is not an architecture in resources/{TABLE.name} or "
            f"{UNTAGGED.name}; allowed: a name before the dot of the tags in the first, or one in "
            "the second"
        )
    return models[architecture]


def default_of(architecture: str) -> TimmModel | None:
    """Return the row of timm's default tag of an architecture, None if the table has none.

    The default weights of a few architectures have no head of 1000 classes.
    """
    rows = (row for row in timm_models().values() if row.architecture == architecture)
    return next((row for row in rows if row.is_default), None)
