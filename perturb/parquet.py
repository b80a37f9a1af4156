"""Parquet files read as tables, by processes that do without pandas: a sixth of a job's start-up.

`pyarrow.parquet.read_table` imports `pyarrow.dataset`, and would add columns that it reads from the
names of folders. pyarrow itself imports pandas at its first conversion of values that are not its
own, only to recognise a Series.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

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


class _WithoutPandas(MetaPathFinder):
    """Refuses pandas."""

    def find_spec(self, name: str, *_: Any) -> None:
        """Find nothing."""
        if name == "pandas":
            raise ModuleNotFoundError(f"{name} is kept out", name=name)


def keep_pandas_out() -> None:
    """Let pyarrow convert values without pandas for the rest of this process.

    It looks for pandas once, which is here. Values must not be a Series; `to_pandas` imports it.
    """
    refusal = _WithoutPandas()
    sys.meta_path.insert(0, refusal)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(refusal)
