"""Shards made up from given outcomes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perturb.evaluation.shards import SCHEMA


def shard(
    model: str,
    dataset: str,
    *,
    perturbation: str,
    severity: float,
    conditions: Sequence[str],
    is_correct: np.ndarray,
    added: Mapping[str, np.ndarray] | None = None,
) -> pa.Table:
    """Return a shard with the given outcomes, (conditions, images).

    added : values of further columns or instead of those made up here, (conditions, images).
    """
    num_conditions, num_images = is_correct.shape
    correct = is_correct.reshape(-1)
    num_rows = len(correct)
    image_ids = pa.array([image_id(dataset, number) for number in range(num_images)], pa.string())
    columns = {
        "model": _repeated(model, num_rows),
        "dataset": _repeated(dataset, num_rows),
        "perturbation": _repeated(perturbation, num_rows),
        "severity": np.full(num_rows, float(severity)),
        "condition": pa.array(np.repeat(list(conditions), num_images)).dictionary_encode(),
        "sample": np.zeros(num_rows, np.int16),
        "image_id": pa.concat_arrays([image_ids] * num_conditions),
        "target": np.zeros(num_rows, np.int16),
        "prediction": (~correct).astype(np.int16),
        "is_correct": correct,
        "is_top5": np.ones(num_rows, bool),
        "target_probability": np.full(num_rows, 0.5, np.float32),
        "loss": np.full(num_rows, 0.7, np.float32),
        "confidence": np.full(num_rows, 0.5, np.float32),
    }
    # NaN stands for null, as pandas has it.
    given = {
        name: pa.array(values.reshape(-1), from_pandas=True)
        for name, values in (added or {}).items()
    }
    columns |= given
    missing = {name: pa.nulls(num_rows) for name in SCHEMA.names if name not in columns}
    return pa.table({**columns, **missing}).select(SCHEMA.names).cast(SCHEMA)


def image_id(dataset: str, number: int) -> str:
    """Return the id of a made-up image."""
    return f"{dataset}/test/{number:06d}"


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int16), [value])


def write_shard(folder: Path, table: pa.Table) -> Path:
    """Write a shard at the path of its cell; those of transfer attacks have a source."""
    cell = [str(table[name][0].as_py()) for name in SCHEMA.names[:3]]
    cell.append(f"{table['severity'][0].as_py():g}")
    if cell[2] == "transfer":
        cell.append(table["condition"][0].as_py())
    *folders, name = cell
    path = folder.joinpath("shards", *folders, f"{name}.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path
