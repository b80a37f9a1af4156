"""The inventory of an experiment: the list of its shards, each checked.

The tables read the shards of the inventory. It is made from the cells of the configuration, so it
does not contain shards of removed models, and it is not made while a shard or a measurement is
truncated, swapped, edited, or made from other weights, images, settings or code than the study's
own: identities are compared with those of the files as they are now. The inventory of an experiment
that has measurements alone lists no shard.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.config import Config
from perturb.datasets.manifests import read_manifest
from perturb.datasets.subset import balanced_subset
from perturb.evaluation.cell import Cell
from perturb.evaluation.keeping import Task
from perturb.evaluation.measurements import read_whole_measurement
from perturb.evaluation.shards import Expected, verify_shard
from perturb.experiments.possible import samples_of
from perturb.plan.jobs import jobs_of_experiments
from perturb.plan.paths import Paths
from perturb.plan.stores import any_store
from perturb.plan.tasks import tasks_of

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
    """Return the inventory of an experiment after checking all its shards and measurements.

    Parameters
    ----------
    experiment : the name of its folder.
    weights_sha256 : the hash of each model's present weights.

    Raises
    ------
    ValueError
        naming the files that are not as they should be, the first twenty if there are more.
    """
    subsets: dict[tuple[str, int | None], pa.StringArray] = {}
    rows, faults = [], []
    for cell, task in _tasks(config, experiment):
        try:
            if cell is None:
                _verify_measurement(task)
                continue
            key = cell.dataset, config.perturbations[cell.perturbation].num_images
            if key not in subsets:
                subsets[key] = _image_ids(config, *key)
            expected = _expected(config, cell, task, subsets[key], weights_sha256)
            rows.append(_row(cell, task, verify_shard(task.path, expected)))
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError(_told(faults))
    return pa.Table.from_pylist(rows, schema=INVENTORY)


def _tasks(config: Config, experiment: str) -> Iterator[tuple[Cell | None, Task]]:
    """Yield the results of an experiment, each cell with its shard, then the measurements."""
    for job in jobs_of_experiments(config)[experiment]:
        cells, measurements = tasks_of(config, job)
        yield from cells.items()
        yield from ((None, task) for task in measurements)


def _verify_measurement(task: Task) -> None:
    if read_whole_measurement(task.path).get("identity") != task.identity:
        raise ValueError(
            f"{task.path}: was made of other images, weights or settings than the study's"
        )


def _told(faults: list[str]) -> str:
    """Return a message with the faults of files and the remedy."""
    more = [f"and {len(faults) - _NUM_NAMED} more"] if len(faults) > _NUM_NAMED else []
    files = "1 result is" if len(faults) == 1 else f"{len(faults)} results are"
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
    config: Config,
    cell: Cell,
    task: Task,
    image_ids: pa.StringArray,
    weights_sha256: Mapping[str, str],
) -> Expected:
    return Expected(
        cell=cell,
        samples=(
            {cell.source: (0,)}
            if cell.source
            else samples_of(
                config.perturbations[cell.perturbation],
                cell.severity_value,
                config.models[cell.model].architecture,
                config.seed,
            )
        ),
        image_ids=image_ids,
        protocol=task.asked["protocol"],
        seed=task.asked["seed"],
        weights_sha256=weights_sha256[cell.model],
        identity=task.identity,
        identities=task.identities,
        options=task.asked["options"],
        source_sha256=weights_sha256[cell.source] if cell.source else None,
    )


def _row(cell: Cell, task: Task, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: metadata[name] for name in INVENTORY.names if name in metadata},
        **{name: metadata["versions"][name] for name in ("python", "torch", "timm")},
        "path": str(task.path),
        "severity": cell.severity_value,
        "num_rows": metadata["num_images"] * sum(map(len, metadata["samples"].values())),
    }
