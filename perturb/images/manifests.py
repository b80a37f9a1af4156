"""The manifest of an image store, for those who need no pixels: read without loading torch."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


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
