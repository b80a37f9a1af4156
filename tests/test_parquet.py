"""Processes that do without pandas, in a new one."""

import sys

from tests.workspace import told_by


def test_values_are_converted_without_pandas() -> None:
    code = """
import sys
import numpy as np
from perturb.parquet import keep_pandas_out
keep_pandas_out()
import pyarrow as pa
values = pa.array(np.array([1.5, np.nan]), from_pandas=True)
table = pa.table({"value": values, "name": ["a", "b"]})
print(values.null_count, table["name"].to_pylist(), np.asarray(table["value"].to_numpy())[0])
print("pandas" in sys.modules)
print(table.to_pandas().shape, "pandas" in sys.modules)
"""
    printed = told_by([sys.executable, "-W", "ignore", "-c", code])
    assert printed.splitlines() == ["1 ['a', 'b'] 1.5", "False", "(2, 2) True"]
