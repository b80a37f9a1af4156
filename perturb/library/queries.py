"""SQL of the tables of a study, run by DuckDB on values in memory. Imports no torch."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from perturb.tables.connection import define_functions


@contextmanager
def macros() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection with the macros of the tables."""
    with duckdb.connect(config={"threads": 1}) as connection:
        define_functions(connection)
        yield connection


def one_row(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    """Return the only row of a query."""
    (row,) = connection.sql(query).to_arrow_table().to_pylist()
    found: dict[str, Any] = row
    return found


def number_of(value: float | None) -> float:
    """Return a value of SQL, NaN for null."""
    return math.nan if value is None else value
