"""Makes the table of timm's pretrained ImageNet classifiers from the installed timm.

    python -m perturb.models.timm_survey [resources/timm_models.csv]

Networks are built on torch's meta device, without memory, weights or downloads. Run it when timm's
version changes (it takes minutes), and review the differences: users' configurations depend on this
table.
"""

import argparse
import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from perturb.files import replacing
from perturb.models.timm_modules import load_timm_zoo
from perturb.models.timm_table import COLUMNS, TABLE
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


def write_table(path: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    """Write the table, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _text(value) for name, value in row.items()})


def _text(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=TABLE)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write_table(parser.parse_args().path, survey(pretrained_tags()))


if __name__ == "__main__":
    main()
