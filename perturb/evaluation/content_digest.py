"""Digest of the content of a shard, by which its reader detects an edit.

The digest stands in the metadata of the shard (`perturb.evaluation.shards`).
"""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def content_digest(table: pa.Table, facts: str) -> str:
    """Return the BLAKE2b digest of a shard's rows, and of its metadata as JSON, in hexadecimal."""
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
    """Return a column as numbers, zero for null; of a text column, the ends and the bytes."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)  # codes differ between equal columns
    values = column.combine_chunks()
    if not pa.types.is_string(values.type):
        blank = pa.scalar(0, pa.int8()).cast(values.type)
        return [pc.fill_null(values, blank).to_numpy(zero_copy_only=False)]
    values = pc.fill_null(values, "")
    _, ends, text = values.buffers()
    ends = np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1]
    return [ends - ends[0], np.frombuffer(text or b"", np.uint8)[ends[0] : ends[-1]]]
