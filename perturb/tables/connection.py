"""What every query of a study may call: sums, intervals, and quantiles by SciPy."""

import duckdb
import numpy as np
import pyarrow as pa
from scipy import special

from perturb.tables.queries import FOLDER

_FILES = ("macros.sql", "intervals.sql")


def define_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros of the tables, and the quantiles that their intervals need."""
    number = duckdb.sqltypes.DOUBLE
    functions = {"quantile": _quantile, "freedom": _freedom, "tail": _tail}
    for name, function in functions.items():
        connection.create_function(
            f"student_{name}",
            function,
            [number, number],
            number,
            type="arrow",
            # Without a value, or without degrees of freedom, there is none.
            null_handling="special",
        )
    for file in _FILES:
        connection.execute((FOLDER / file).read_text(encoding="utf-8"))


def _quantile(p: pa.ChunkedArray, freedom: pa.ChunkedArray) -> pa.Array:
    """Return the point below which Student's variable lies with probability p."""
    return _array(special.stdtrit(_values(freedom), _values(p)))


def _freedom(p: pa.ChunkedArray, quantile: pa.ChunkedArray) -> pa.Array:
    """Return the degrees of freedom of Student's variable with this quantile."""
    return _array(special.stdtridf(_values(p), _values(quantile)))


def _tail(t: pa.ChunkedArray, freedom: pa.ChunkedArray) -> pa.Array:
    """Return the probability that Student's variable is further from 0 than t, on either side."""
    return _array(2 * special.stdtr(_values(freedom), -np.abs(_values(t))))


def _values(column: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = column.to_numpy().astype(float)
    return values


def _array(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)
