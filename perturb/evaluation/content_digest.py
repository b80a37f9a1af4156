"""Digest of the content of a shard, by which its reader detects an edit.

The digest stands in the metadata of the shard (`perturb.evaluation.shards`).
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Rows of one text that are digested at once.
_AT_ONCE = 4096


def content_digest(table: pa.Table, facts: str) -> str:
    """Return the BLAKE2b digest of a shard's rows, and of its metadata as JSON, in hexadecimal."""
    digest = hashlib.blake2b(facts.encode(), digest_size=16)
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(f"\0{name} {len(column)} {column.null_count}\0".encode())
        if column.null_count == len(column):
            continue
        if column.null_count:
            digest.update(pc.is_null(column).to_numpy().data)
        for part in _constant_text(column) or (values.data for values in _plain_values(column)):
            digest.update(part)
    return digest.hexdigest()


def _constant_text(column: pa.ChunkedArray) -> Iterator[bytes | memoryview] | None:
    """Return the parts of `_plain_values` of a column of one text, None for another column.

    Most text columns of a shard are one name: its rows need not be laid out in memory.
    """
    if not pa.types.is_dictionary(column.type) or column.null_count or len(column.unique()) != 1:
        return None
    return _repeated(column[0].as_py().encode(), len(column))


def _repeated(text: bytes, count: int) -> Iterator[bytes | memoryview]:
    yield (np.arange(count + 1, dtype=np.int32) * np.int32(len(text))).data
    many, rest = divmod(count, _AT_ONCE)
    part = text * _AT_ONCE
    for _ in range(many):
        yield part
    yield text * rest


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
