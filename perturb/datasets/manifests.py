"""Manifests of decoded datasets: a table with a row per image, and metadata on their making.

Reading a manifest does not import torch.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.datasets.classes import KEY, Classes
from perturb.parquet import read_parquet

ORIGIN_KEY = b"perturb_made_from"
PIXELS_KEY = b"pixels_digest"


def with_facts(
    table: pa.Table, made_from: Mapping[str, Any] | None, pixels: str | None
) -> pa.Table:
    """Return a manifest with the origin and the digest of its pixels in its metadata."""
    metadata = dict(table.schema.metadata or {})
    if made_from is not None:
        metadata[ORIGIN_KEY] = json.dumps(made_from)
    if pixels is not None:
        metadata[PIXELS_KEY] = pixels
    return table.replace_schema_metadata(metadata)


def read_origin(manifest: Path) -> dict[str, Any] | None:
    """Return the origin of a decoded dataset: what it was made from; None if not recorded.

    Raises
    ------
    ValueError
        if the manifest is not a whole Parquet file.
    """
    metadata = _read_metadata(manifest)
    return json.loads(metadata[ORIGIN_KEY]) if ORIGIN_KEY in metadata else None


def pixels_digest(manifest_path: Path) -> str:
    """Return the digest of all pixels of a decoded dataset, made when the dataset was decoded.

    Equal digests mean equal pixels in equal order, whatever the file they lie in. The pixels are
    not read.

    Raises
    ------
    ValueError
        if the manifest is not a whole Parquet file, or has no digest.
    """
    metadata = _read_metadata(manifest_path)
    if PIXELS_KEY not in metadata:
        raise ValueError(
            f"decoded dataset {manifest_path}: its manifest has no digest of the pixels; delete "
            f"{Path(manifest_path).parent}, and the next run makes it again"
        )
    digest: str = metadata[PIXELS_KEY].decode()
    return digest


def read_manifest(manifest: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the manifest of a decoded dataset, or some columns of it.

    Raises
    ------
    ValueError
        if it is not a whole Parquet file.
    """
    with _named(manifest):
        return read_parquet(manifest, columns)


def _read_metadata(manifest: Path) -> dict[bytes, bytes]:
    with _named(manifest):
        return pq.read_schema(manifest).metadata or {}


@contextmanager
def _named(manifest: Path) -> Iterator[None]:
    """Turn errors of reading a manifest into a ValueError that names it."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"decoded dataset {manifest}: cannot be read ({error})") from error


def read_classes(manifest: Path) -> Classes | None:
    """Return the classes of a manifest, as `classes_of` does."""
    return classes_of(read_manifest(manifest))


def classes_of(table: pa.Table) -> Classes | None:
    """Return the classes of a manifest; None if an older version wrote it without classes.

    The classes of generated and bundled datasets are numbers.
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
