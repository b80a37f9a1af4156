"""The inventory of an experiment: the list of its shards, each checked.

The tables read the shards of the inventory. It is made from the cells of the configuration, so it
does not contain shards of removed models, and it is not made while a shard is truncated, swapped,
edited, or made from other weights, images or code than the study's own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.config import Config
from perturb.datasets.manifests import read_manifest
from perturb.datasets.subset import balanced_subset
from perturb.evaluate.cell import Cell
from perturb.evaluate.shards import Expected, verify_shard
from perturb.experiments.possible import samples_of
from perturb.experiments.registry import experiment_of, protocol_of
from perturb.plan.cells import cells
from perturb.plan.paths import Paths
from perturb.plan.stores import any_store

_NUM_NAMED = 20

INVENTORY = pa.schema(
    [
        ("path", pa.string()),
        ("model", pa.string()),
        ("dataset", pa.string()),
        ("perturbation", pa.string()),
        ("severity", pa.float64()),
        ("num_images", pa.int64()),
        ("num_rows", pa.int64()),
        ("seconds", pa.float64()),
        ("images_per_second", pa.float64()),
        ("device", pa.string()),
        ("dtype", pa.string()),
        ("batch_size", pa.int32()),
        ("protocol", pa.int32()),
        ("seed", pa.int64()),
        ("commit", pa.string()),
        ("python", pa.string()),
        ("torch", pa.string()),
        ("timm", pa.string()),
    ]
)


def check_shards(config: Config, experiment: str, weights_sha256: Mapping[str, str]) -> pa.Table:
    """Return the inventory of an experiment after checking all its shards.

    Parameters
    ----------
    experiment : the name of its folder.
    weights_sha256 : the hash of each model's present weights.

    Raises
    ------
    ValueError
        naming the shards that are not, the first twenty of them if there are more.
    """
    subsets: dict[tuple[str, int | None], pa.StringArray] = {}
    rows, faults = [], []
    for cell in cells(config):
        if experiment_of(cell.perturbation) != experiment:
            continue
        path = Paths(config.results).shard(cell)
        key = cell.dataset, config.perturbations[cell.perturbation].num_images
        if key not in subsets:
            subsets[key] = _image_ids(config, *key)
        expected = _expected(config, cell, subsets[key], weights_sha256)
        try:
            rows.append(_row(path, cell, verify_shard(Path(path), expected)))
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError(told(faults, "shard"))
    return pa.Table.from_pylist(rows, schema=INVENTORY)


def told(faults: list[str], kind: str) -> str:
    """Return a message with the faults of shards or measurements, and the remedy."""
    more = [f"and {len(faults) - _NUM_NAMED} more"] if len(faults) > _NUM_NAMED else []
    files = f"1 {kind} is" if len(faults) == 1 else f"{len(faults)} {kind}s are"
    return "\n".join(
        [
            f"{files} not what the study needs. Delete these files: the next run makes them again",
            *faults[:_NUM_NAMED],
            *more,
        ]
    )


def _image_ids(config: Config, dataset: str, num_images: int | None) -> pa.StringArray:
    """Return the ids of the images of a dataset's subset of this size."""
    path = Paths(config.results).manifest(any_store(config, dataset))
    manifest = read_manifest(Path(path), ["image_id", "target"])
    image_ids = manifest["image_id"].combine_chunks()
    targets = manifest["target"].to_pylist()
    return image_ids.take(balanced_subset(image_ids.to_pylist(), targets, num_images, config.seed))


def _expected(
    config: Config, cell: Cell, image_ids: pa.StringArray, weights_sha256: Mapping[str, str]
) -> Expected:
    perturbation = config.perturbations[cell.perturbation]
    return Expected(
        cell=cell,
        samples=(
            {cell.source: (0,)}
            if cell.source
            else samples_of(
                perturbation,
                cell.severity_value,
                config.models[cell.model].architecture,
                config.seed,
            )
        ),
        image_ids=image_ids,
        protocol=protocol_of(cell.perturbation),
        seed=config.seed,
        weights_sha256=weights_sha256[cell.model],
        options=perturbation.options,
        source_sha256=weights_sha256[cell.source] if cell.source else None,
    )


def _row(path: str, cell: Cell, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: metadata[name] for name in INVENTORY.names if name in metadata},
        **{name: metadata["versions"][name] for name in ("python", "torch", "timm")},
        "path": path,
        "severity": cell.severity_value,
        "num_rows": metadata["num_images"] * sum(map(len, metadata["samples"].values())),
    }
