"""Shards that are completed: conditions of a cell that stay where others come or go.

A shard holds exactly the conditions that the study plans. Where one is added, it alone is evaluated
and the rows of the others stay as they were; where one is removed, the shard is written again
without its rows. A condition stays if its identity is the one that is asked for. The shard that had
more conditions is kept as an earlier version, from which they return when they are added back.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from perturb.evaluation.keeping import Task
from perturb.evaluation.results import Result
from perturb.evaluation.shards import read_shard

logger = logging.getLogger(__name__)

# What may differ between evaluations of one identity, as metadata say it.
_HOW = (
    "batch_size",
    "smallest_batch_size",
    "device",
    "dtype",
    "is_compiled",
    "versions",
    "commit",
)


def completed(task: Task, evaluate: Callable[[Sequence[str]], Result]) -> Result:
    """Return the rows of a cell, kept ones among them, and how they were made.

    Parameters
    ----------
    evaluate : evaluates some conditions; not called if all of them are kept.
    """
    conditions: Sequence[str] = task.asked["conditions"]
    kept = kept_part(task)
    if kept is None:
        return evaluate(conditions)
    missing = [condition for condition in conditions if condition not in kept[1]["samples"]]
    num_kept = len(conditions) - len(missing)
    logger.info("%s: %d of %d conditions are kept", task.name, num_kept, len(conditions))
    table, metadata = joined(kept, evaluate(missing)) if missing else kept
    samples = {condition: metadata["samples"][condition] for condition in conditions}
    options = dict(task.asked["options"])
    return _of(table, conditions), {**metadata, "samples": samples, "options": options}


def missing_conditions(task: Task) -> list[str]:
    """Return the conditions of a cell that are not kept, in their order."""
    kept = kept_part(task)
    samples = kept[1]["samples"] if kept else {}
    return [condition for condition in task.asked["conditions"] if condition not in samples]


def kept_part(task: Task) -> Result | None:
    """Return what stays of the shard that is there and of the earlier one, None if nothing does."""
    kept = _part_of(task, task.path)
    done = kept[1]["samples"] if kept else {}
    before = _part_of(task, task.earlier, without=done) if task.earlier else None
    return joined(before, kept) if before and kept else kept or before


def _part_of(task: Task, path: Path, without: Collection[str] = ()) -> Result | None:
    """Return the rows of a shard that stay, of conditions that are not there already."""
    try:
        table, metadata = read_shard(path)
    except (ValueError, FileNotFoundError):
        return None
    kept = [name for name in task.kept_conditions(metadata) if name not in without]
    return _limited(table, metadata, kept) if kept else None


def joined(kept: Result, new: Result) -> Result:
    """Return the rows of an earlier evaluation and those of a later one, and how they were made."""
    (kept_rows, before), (new_rows, after) = kept, new
    table = pa.concat_tables([kept_rows, new_rows])
    seconds = before["seconds"] + after["seconds"]
    return table, {
        **after,
        "samples": {**before["samples"], **after["samples"]},
        "seconds": seconds,
        "images_per_second": table.num_rows / seconds,
        "earlier": [*_evaluations(before), *after.get("earlier", [])],
    }


def _limited(table: pa.Table, metadata: Mapping[str, Any], kept: Collection[str]) -> Result:
    """Return the part of a shard with some of its conditions."""
    rows = _of(table, kept)
    evaluations = [
        {**evaluation, "conditions": conditions}
        for evaluation in _evaluations(metadata)
        if (conditions := [name for name in evaluation["conditions"] if name in kept])
    ]
    *earlier, last = evaluations
    return rows, {
        **metadata,
        **{name: last[name] for name in _HOW},
        "samples": {name: metadata["samples"][name] for name in kept},
        "seconds": metadata["seconds"] * (rows.num_rows / table.num_rows),
        "earlier": earlier,
    }


def _evaluations(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how the conditions of a shard were evaluated, from the first evaluation to the last.

    The metadata themselves are about the last one.
    """
    earlier: list[dict[str, Any]] = metadata.get("earlier", [])
    before = {name for evaluation in earlier for name in evaluation["conditions"]}
    last = [name for name in metadata["samples"] if name not in before]
    return [*earlier, {"conditions": last, **{name: metadata[name] for name in _HOW}}]


def _of(table: pa.Table, conditions: Iterable[str]) -> pa.Table:
    """Return the rows of some conditions, in the order of these; the rest of the order stays."""
    names = table["condition"].cast(pa.string())
    return pa.concat_tables([table.filter(pc.equal(names, name)) for name in conditions])
