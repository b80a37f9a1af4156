"""The rows of a shard and its metadata, from the rows of each condition and sample."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from perturb import provenance
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.cell import Cell
from perturb.evaluation.outcome import Setting

# Rows of a cell, and how they were made.
Result = tuple[pa.Table, dict[str, Any]]


def result_of(
    cell: Cell,
    setting: Setting,
    tables: Mapping[tuple[str, int], pa.Table],
    size: BatchSize,
    facts: Mapping[str, Any],
) -> Result:
    """Return the rows of a shard, and its metadata.

    Parameters
    ----------
    tables : the rows of each condition and sample.
    size : of the batches that were evaluated.
    facts : of the metadata: protocol, source_sha256, dtype, seconds, and those of the model.

    Raises
    ------
    ValueError
        if the conditions are others than those of the setting.
    """
    keys = _in_order(tables, cell, setting)
    samples: dict[str, list[int]] = {}
    for condition, sample in keys:
        samples.setdefault(condition, []).append(sample)
    table = pa.concat_tables(tables[key] for key in keys)
    return table, {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity_value,
        "samples": samples,
        "options": dict(setting.options),
        "seed": setting.seed,
        "batch_size": size.limit,
        "smallest_batch_size": size.now,
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "num_images": table.num_rows // len(keys),
        "images_per_second": table.num_rows / facts["seconds"],
        **facts,
    }


def _in_order(
    keys: Iterable[tuple[str, int]], cell: Cell, setting: Setting
) -> list[tuple[str, int]]:
    """Return conditions and samples in the order of the setting.

    Raises
    ------
    ValueError
        if the conditions are others than those of the setting.
    """
    conditions = setting.conditions
    found = {condition for condition, _ in keys}
    if found != set(conditions):
        raise ValueError(
            f"{cell}: predictions are of {', '.join(sorted(found))}; expected: "
            f"{', '.join(conditions)}"
        )
    return sorted(keys, key=lambda key: (conditions.index(key[0]), key[1]))
