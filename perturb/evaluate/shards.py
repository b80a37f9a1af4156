"""Shards: one Parquet file a cell, one row an image and condition, one fixed schema.

A shard is the only thing an evaluation leaves behind, and every number is a query over shards. So
its writer leaves either a whole file or none, and its reader believes nothing: a shard that is cut
short, belongs to another cell, was made with other weights or another protocol, does not hold each
image exactly once a condition and sample, or was changed after it was written, is refused with its
path in the message.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perturb.evaluate.cell import Cell
from perturb.files import replacing

NAMES = pa.dictionary(pa.int16(), pa.string())
SCHEMA = pa.schema(
    [
        ("model", NAMES),
        ("dataset", NAMES),
        ("perturbation", NAMES),
        ("severity", pa.float64()),
        ("condition", NAMES),
        ("sample", pa.int16()),
        ("image_id", pa.string()),
        ("target", pa.int16()),
        ("prediction", pa.int16()),
        ("is_correct", pa.bool_()),
        ("is_top5", pa.bool_()),
        ("target_probability", pa.float32()),
        ("loss", pa.float32()),
        # What some perturbations add, null elsewhere.
        ("distance", pa.float32()),  # L-infinity distance to the clean image, units of [0, 1]
        ("gradient_norm", pa.float32()),  # of the loss at the clean image, L-infinity
        ("rotation_deg", pa.float32()),
        ("translation_x_px", pa.int16()),
        ("translation_y_px", pa.int16()),
        ("removed", NAMES),  # which parts of the model
        ("flops_kept", pa.float32()),  # share of the unchanged model's forward pass
    ]
)
METADATA_KEY = b"perturb"
DIGEST_KEY = b"perturb_digest"

_DICTIONARY = ["model", "dataset", "perturbation", "condition", "removed"]
_ENCODINGS = {
    "image_id": "DELTA_BYTE_ARRAY",
    "target_probability": "BYTE_STREAM_SPLIT",
    "loss": "BYTE_STREAM_SPLIT",
}


@dataclass(frozen=True)
class Expected:
    """What a shard must be: its cell, and what it must have been made from.

    samples : the sample numbers of each condition.
    image_ids : of the images that the cell is evaluated on.
    weights_sha256 : of the model that decided.
    options : what the perturbation was told.
    source_sha256 : of the model that adversarial images were made against, if another.
    """

    cell: Cell
    samples: Mapping[str, tuple[int, ...]]
    image_ids: pa.StringArray
    protocol: int
    seed: int
    weights_sha256: str
    options: Mapping[str, Any] = field(default_factory=dict)
    source_sha256: str | None = None


def write_shard(path: Path, table: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write a shard under a temporary name, then rename it: a killed job leaves no shard."""
    table, facts = table.cast(SCHEMA), json.dumps(metadata)
    digest = content_digest(table, facts)
    table = table.replace_schema_metadata({METADATA_KEY: facts, DIGEST_KEY: digest})
    with replacing(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=3,
            use_dictionary=_DICTIONARY,
            column_encoding=_ENCODINGS,
            write_page_checksum=True,
        )


def read_metadata(path: Path) -> dict[str, Any]:
    """Return how a shard was made.

    Raises
    ------
    ValueError
        if the file is no whole Parquet file, or was not written by `write_shard`.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a whole Parquet file ({error})") from error
    if METADATA_KEY not in (schema.metadata or {}):
        raise ValueError(f"{path}: not a shard: it has no {METADATA_KEY.decode()!r} metadata")
    metadata: dict[str, Any] = json.loads(schema.metadata[METADATA_KEY])
    return metadata


def verify_shard(path: Path, expected: Expected) -> dict[str, Any]:
    """Return the metadata of a shard that is what it should be.

    Raises
    ------
    ValueError
        naming the shard, what was expected and what was found.
    """
    metadata = read_metadata(path)
    cell = expected.cell
    claims = {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity_value,
        "protocol": expected.protocol,
        "seed": expected.seed,
        "weights_sha256": expected.weights_sha256,
        "options": dict(expected.options),
        "source_sha256": expected.source_sha256,
    }
    for key, value in claims.items():
        if metadata.get(key) != value:
            raise ValueError(f"{path}: {key} is {metadata.get(key)!r}, expected {value!r}")
    table = _read_rows(path)
    _verify_rows(path, table, expected)
    _verify_digest(path, table)
    return metadata


def read_whole(path: Path) -> dict[str, Any]:
    """Return how a shard was made if its content is as it was written, whatever that is.

    Raises
    ------
    ValueError
        if it is not.
    """
    metadata = read_metadata(path)
    _verify_digest(path, _read_rows(path))
    return metadata


def content_digest(table: pa.Table, facts: str) -> str:
    """Return the BLAKE2b digest of a shard's rows and of how they were made, in hexadecimal.

    The same rows in the same order have the same digest, however a file divides and encodes them.

    Parameters
    ----------
    facts : the metadata as they are written.
    """
    digest = hashlib.blake2b(facts.encode(), digest_size=16)
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(f"\0{name} {len(column)} {column.null_count}\0".encode())
        if column.null_count == len(column):
            continue
        if column.null_count:
            digest.update(pc.is_null(column).to_numpy().data)
        for values in _plain_values(column):
            digest.update(values.data)
    return digest.hexdigest()


def _plain_values(column: pa.ChunkedArray) -> list[np.ndarray[Any, Any]]:
    """Return a column as numbers, zero where it is null; of texts, their ends and their bytes."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)  # its codes may be numbered otherwise
    values = column.combine_chunks()
    if not pa.types.is_string(values.type):
        blank = pa.scalar(0, pa.int8()).cast(values.type)
        return [pc.fill_null(values, blank).to_numpy(zero_copy_only=False)]
    values = pc.fill_null(values, "")
    _, ends, text = values.buffers()
    ends = np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1]
    return [ends - ends[0], np.frombuffer(text or b"", np.uint8)[ends[0] : ends[-1]]]


def _read_rows(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a whole Parquet file ({error})") from error
    if not table.schema.equals(SCHEMA):
        raise ValueError(f"{path}: columns are {table.schema.names}, expected {SCHEMA.names}")
    return table


def _verify_rows(path: Path, table: pa.Table, expected: Expected) -> None:
    cell = expected.cell
    identity = (cell.model, cell.dataset, cell.perturbation, cell.severity_value)
    for name, value in zip(("model", "dataset", "perturbation", "severity"), identity, strict=True):
        found = table[name].unique().to_pylist()
        if found != [value]:
            raise ValueError(f"{path}: rows of {name} {found}, expected {[value]}")
    num_samples = sum(map(len, expected.samples.values()))
    num_rows = len(expected.image_ids) * num_samples
    if table.num_rows != num_rows:
        raise ValueError(
            f"{path}: {table.num_rows} rows, expected {num_rows} ({len(expected.image_ids)} "
            f"images x {num_samples} samples of {len(expected.samples)} conditions)"
        )
    _verify_conditions(path, table, expected)
    if not pc.all(pc.equal(table["is_correct"], _is_hit(table))).as_py():
        raise ValueError(f"{path}: `is_correct` does not follow from prediction and target")


def _verify_digest(path: Path, table: pa.Table) -> None:
    kept = table.schema.metadata
    if DIGEST_KEY not in kept:
        raise ValueError(f"{path}: has no digest of its content: another program has written it")
    if content_digest(table, kept[METADATA_KEY].decode()) != kept[DIGEST_KEY].decode():
        raise ValueError(
            f"{path}: was changed after it was written: its content does not have its digest"
        )


def _verify_conditions(path: Path, table: pa.Table, expected: Expected) -> None:
    wanted = expected.image_ids.take(pc.sort_indices(expected.image_ids))
    groups = table.select(["condition", "sample", "image_id"]).set_column(
        0, "condition", table["condition"].cast(pa.string())
    )
    for condition, samples in expected.samples.items():
        of_condition = groups.filter(pc.equal(groups["condition"], condition))
        for sample in samples:
            rows = of_condition.filter(pc.equal(of_condition["sample"], sample))
            found = rows["image_id"].combine_chunks()
            if not found.take(pc.sort_indices(found)).equals(wanted):
                raise ValueError(
                    f"{path}: sample {sample} of condition {condition!r} does not hold each image "
                    f"of {expected.cell.dataset!r} that is asked for exactly once"
                )


def _is_hit(table: pa.Table) -> pa.ChunkedArray:
    return pc.equal(table["prediction"], table["target"])
