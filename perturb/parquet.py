"""Parquet files read as tables, without what `pyarrow.parquet.read_table` imports for datasets.

That function imports `pyarrow.dataset` and with it pandas, which takes a third of a second in every
job, and would add columns that it reads from the names of folders.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_parquet(
    path: Path, columns: Sequence[str] | None = None, *, verified: bool = False
) -> pa.Table:
    """Return the rows of a Parquet file.

    Parameters
    ----------
    columns : to read, in this order; by default all.
    verified : whether checksums of its pages are compared, which the file must have.

    Raises
    ------
    pa.ArrowInvalid
        if it is not a whole Parquet file, or a column is missing.
    OSError
        if it cannot be read, or a checksum differs.
    """
    with pq.ParquetFile(path, page_checksum_verification=verified) as file:
        for name in columns or ():
            if name not in file.schema_arrow.names:
                raise pa.ArrowInvalid(f"there is no column {name!r}")
        table: pa.Table = file.read(columns=columns)
        return table if columns is None else table.select(list(columns))
