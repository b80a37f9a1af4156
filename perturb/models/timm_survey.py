"""Makes the tables of timm's image classifiers from the installed timm.

    python -m perturb.models.timm_survey [--folder resources] [models] [untagged] [blocks]

Networks are built on torch's meta device, without memory, weights or downloads. Run it when timm's
version changes (it takes minutes), and review the differences: users' configurations depend on
these tables.
"""

import argparse
import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from perturb.files import replacing
from perturb.models.anatomy import Anatomy, anatomy, describe_blocks
from perturb.models.timm_modules import load_timm_zoo
from perturb.models.timm_table import (
    BLOCK_COLUMNS,
    BLOCKS,
    COLUMNS,
    TABLE,
    UNTAGGED,
    TimmModel,
    geometry,
    known_architectures,
)
from perturb.models.zoo import build_timm_network, describe_config, describe_network

logger = logging.getLogger(__name__)

NUM_CLASSES = 1000


def pretrained_tags() -> list[str]:
    """Return timm's tags with weights for 1000 classes."""
    timm = load_timm_zoo()
    tags = timm.list_models(pretrained=True)
    return [tag for tag in tags if timm.get_pretrained_cfg(tag).num_classes == NUM_CLASSES]


def survey(tags: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a row of the table for each tag, in their order.

    Raises
    ------
    ValueError
        as `describe_config`.
    """
    timm = load_timm_zoo()
    known: dict[tuple[str, int], dict[str, Any]] = {}
    for tag in tags:
        row = describe_config(tag, timm.get_pretrained_cfg(tag))
        key = row["architecture"], row["side"]
        if key not in known:
            logger.info("%s at %d px", *key)
            known[key] = measure(tag, row["side"])
        yield row | known[key]


def measure(tag: str, side: int) -> dict[str, Any]:
    """Return the columns of the table from a network with an input of ``side`` px."""
    with torch.device("meta"):
        network = build_timm_network(tag, NUM_CLASSES, side).eval().requires_grad_(False)
    return describe_network(network) | {
        "num_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "gmacs": round(count_macs(network, side) / 1e9, 4),
    }


def count_macs(network: nn.Module, side: int) -> int:
    """Return the multiply-adds per image of convolutions, matrix products and attention."""
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, side, side, device=device))
    return int(counter.get_total_flops()) // 2


def write_table(
    path: Path, rows: Iterator[Mapping[str, Any]], columns: Sequence[str] = COLUMNS
) -> None:
    """Write a table, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _text(value) for name, value in row.items()})


def _text(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def survey_untagged() -> Iterator[dict[str, Any]]:
    """Yield a row for each of timm's names without weights for 1000 classes that is a classifier.

    Encoders of other models, and inputs that are no squares, are passed over, and logged.
    """
    timm = load_timm_zoo()
    tagged = {tag.partition(".")[0] for tag in pretrained_tags()}
    for name in timm.list_models():
        if name in tagged:
            continue
        try:
            row = describe_config(name, timm.get_pretrained_cfg(name))
            check_classifier(name, row["side"])
            measured = measure(name, row["side"])
        except (ValueError, RuntimeError, NotImplementedError) as error:
            logger.info("%s is passed over: %s", name, str(error).partition("\n")[0])
            continue
        logger.info("%s at %d px", name, row["side"])
        yield row | measured | {"is_default": False, "num_classes": NUM_CLASSES}


def check_classifier(name: str, side: int) -> None:
    """Raise a ValueError if a network does not return a number for each class."""
    with torch.device("meta"), torch.no_grad():
        network = build_timm_network(name, NUM_CLASSES, side).eval()
        output = network(torch.empty(1, 3, side, side))
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != (1, NUM_CLASSES):
        raise ValueError(f"its output is {shape}, no logits")


def survey_blocks(models: Iterable[TimmModel]) -> Iterator[dict[str, Any]]:
    """Yield number and fixed ones of the residual blocks of networks that are of kind ``other``.

    Networks without known blocks have no row, and those that do not run each block once, in the
    order in which they register them.
    """
    for model in models:
        if model.kind != "other":
            continue
        with torch.device("meta"):
            network = build_timm_network(model.architecture, NUM_CLASSES, model.side).eval()
        try:
            body = anatomy(network)
        except ValueError:
            continue
        if not runs_in_order(network, body, model.side):
            logger.info("%s runs its blocks in another order", model.architecture)
            continue
        yield {"architecture": model.architecture} | describe_blocks(body)


def runs_in_order(network: nn.Module, body: Anatomy, side: int) -> bool:
    """Return whether each block runs once, in order, and removable ones keep the input's shape."""
    run: list[int] = []

    def record(index: int, given: tuple[Any, ...], output: Any) -> None:
        keeps = isinstance(output, Tensor) and output.shape == given[0].shape
        run.append(index if keeps or index not in body.removable else -1)

    for index, block in enumerate(body.blocks):
        block.register_forward_hook(
            lambda _, given, output, index=index: record(index, given, output)
        )
    device = next(network.parameters()).device
    with torch.no_grad():
        network(torch.empty(1, 3, side, side, device=device))
    return run == list(range(body.num_blocks))


def main() -> None:
    """Make the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*_TABLES, []], default=list(_TABLES))
    parser.add_argument("--folder", type=Path, default=TABLE.parent)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asked = parser.parse_args()
    for name in asked.tables:
        path, columns, rows = _TABLES[name]
        write_table(asked.folder / path.name, rows(), columns)


_TABLES: dict[str, tuple[Path, Sequence[str], Callable[[], Iterator[Mapping[str, Any]]]]] = {
    "models": (TABLE, COLUMNS, lambda: survey(pretrained_tags())),
    "untagged": (UNTAGGED, COLUMNS, survey_untagged),
    "blocks": (BLOCKS, BLOCK_COLUMNS, lambda: survey_blocks(map(geometry, known_architectures()))),
}


if __name__ == "__main__":
    main()
