"""The manifest of an image store, for those who need no pixels: read without loading torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.datasets.classes import KEY, Classes

ORIGIN_KEY = b"perturb_made_from"


def with_origin(table: pa.Table, made_from: Mapping[str, Any]) -> pa.Table:
    """Return a manifest that says in its metadata what its store was made from."""
    metadata = {**(table.schema.metadata or {}), ORIGIN_KEY: json.dumps(made_from)}
    return table.replace_schema_metadata(metadata)


def read_origin(manifest: Path) -> dict[str, Any] | None:
    """Return what the store of a manifest was made from; None where it does not say.

    Raises
    ------
    ValueError
        if it is no whole Parquet file.
    """
    try:
        metadata = pq.read_schema(manifest).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"image store {manifest}: cannot be read ({error})") from error
    return json.loads(metadata[ORIGIN_KEY]) if ORIGIN_KEY in metadata else None


def read_manifest(manifest: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the manifest of a store, or some columns of it.

    Raises
    ------
    ValueError
        if it is no whole Parquet file.
    """
    try:
        return pq.read_table(manifest, columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"image store {manifest}: cannot be read ({error})") from error


def read_classes(manifest: Path) -> Classes | None:
    """Return the classes of a manifest, as `classes_of` does."""
    return classes_of(read_manifest(manifest))


def classes_of(table: pa.Table) -> Classes | None:
    """Return the classes of a manifest; None if it is an older one, which keeps none.

    The classes of generated and bundled sets are numbers.
    """
    found = json.loads((table.schema.metadata or {}).get(b"perturb", b"{}"))
    if not found:
        return Classes("numbers", False, {}, _num_classes(table))
    return Classes(**found[KEY], num_classes=_num_classes(table)) if KEY in found else None


def _num_classes(table: pa.Table) -> int:
    targets = [int(table["target"].to_numpy().max())]
    if "accepted" in table.column_names:
        targets += [max(classes) for classes in table["accepted"].to_pylist() if classes]
    return max(targets) + 1
