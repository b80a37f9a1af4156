"""The answers of models on unperturbed images, from their shards.

Legend: M models, N images of all datasets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perturb.parquet import read_parquet

_COLUMNS = ("image_id", "prediction", "is_correct", "confidence")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Answers:
    """Answers of M models on the N images of several datasets, one dataset after another.

    image_ids : of each dataset.
    predictions : int (M, N).
    is_correct : bool (M, N).
    confidences : float32 (M, N), of the prediction.
    """

    models: tuple[str, ...]
    image_ids: Mapping[str, pa.StringArray]
    predictions: Array
    is_correct: Array
    confidences: Array

    def slices(self) -> dict[str, slice]:
        """Return the columns of each dataset."""
        found, start = {}, 0
        for dataset, ids in self.image_ids.items():
            found[dataset] = slice(start, start + len(ids))
            start += len(ids)
        return found


def read_answers(shards: Mapping[tuple[str, str], Path]) -> Answers:
    """Return the answers in the shards of unperturbed images, by model and dataset.

    Raises
    ------
    ValueError
        if a model has no shard of a dataset that others have, a shard cannot be read, or has other
        images than the first of its dataset; all mistakes at once.
    """
    models = tuple(dict.fromkeys(model for model, _ in shards))
    datasets = tuple(dict.fromkeys(dataset for _, dataset in shards))
    mistakes: list[str] = []
    image_ids: dict[str, pa.StringArray] = {}
    found: list[list[pa.Table]] = []
    for dataset in datasets:
        given = {model: shards.get((model, dataset)) for model in models}
        tables = [_read(model, dataset, path, mistakes) for model, path in given.items()]
        whole = [table for table in tables if table is not None]
        if whole:
            image_ids[dataset] = whole[0]["image_id"].combine_chunks()
            found.append([_in_order(table, image_ids[dataset], mistakes) for table in whole])
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return Answers(models, image_ids, *(_joined(found, name) for name in _COLUMNS[1:]))


def _read(model: str, dataset: str, path: Path | None, mistakes: list[str]) -> pa.Table | None:
    if path is None:
        mistakes.append(f"examples: there is no shard of {model!r} on the images of {dataset!r}")
        return None
    try:
        return read_parquet(path, _COLUMNS).replace_schema_metadata({b"path": str(path)})
    except (pa.ArrowInvalid, OSError) as error:
        mistakes.append(f"{path}: cannot be read ({error})")
        return None


def _in_order(table: pa.Table, image_ids: pa.StringArray, mistakes: list[str]) -> pa.Table:
    """Return the rows in the order of some images, each of which has one."""
    own = table["image_id"].combine_chunks()
    if own.equals(image_ids):
        return table
    places = pc.index_in(image_ids, own)
    if places.null_count or len(own) != len(image_ids):
        path = table.schema.metadata[b"path"].decode()
        missing = image_ids.filter(pc.is_null(places)).to_pylist()
        what = f"misses image {missing[0]!r}" if missing else f"has {len(own)} images"
        mistakes.append(f"{path}: {what}; expected: the {len(image_ids)} of other models")
        return table
    return table.take(places)


def _joined(found: Sequence[Sequence[pa.Table]], name: str) -> Array:
    """Return a column of all models and datasets, (M, N)."""
    parts = [np.stack([table[name].to_numpy() for table in tables]) for tables in found]
    return np.concatenate(parts, axis=1)
