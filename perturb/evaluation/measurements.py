"""Measurements of models other than predictions: one Parquet file per model and kind.

Like a shard, a measurement is written as a whole and contains its identity and the digest of its
content; it is evaluated again if one of them differs.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.evaluation.shards import DIGEST_KEY, METADATA_KEY, read_metadata
from perturb.files import replacing
from perturb.parquet import read_parquet


def write_measurement(path: Path, table: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write a measurement under a temporary name, then rename it."""
    facts = json.dumps(metadata)
    table = table.replace_schema_metadata(
        {METADATA_KEY: facts, DIGEST_KEY: _content_digest(table, facts)}
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_whole_measurement(path: Path) -> dict[str, Any]:
    """Return the metadata of a measurement, after checking its content.

    Raises
    ------
    ValueError
        if the content is not as it was written.
    """
    metadata = read_metadata(path)
    try:
        table = read_parquet(path, verified=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a whole Parquet file ({error})") from error
    kept = table.schema.metadata
    if _content_digest(table, kept[METADATA_KEY].decode()) != kept.get(DIGEST_KEY, b"").decode():
        raise ValueError(
            f"{path}: was changed after it was written: its content does not have its digest"
        )
    return metadata


def _content_digest(table: pa.Table, facts: str) -> str:
    digest = hashlib.blake2b(facts.encode(), digest_size=16)
    digest.update(repr(table.to_pydict()).encode())
    return digest.hexdigest()
