"""Differences of accuracy between two models, paired by image, by the macros of the tables.

An image counts by the fraction of its predictions that are correct, so that intervals are clustered
by image where it has several: severities, corruptions of a group, random samples.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from perturb.tables.connection import define_functions

_OUTCOMES = """
CREATE TEMP TABLE outcomes (
    position INTEGER, condition VARCHAR, is_in_mean BOOLEAN, image_id VARCHAR,
    first_correct BIGINT, first_count BIGINT, second_correct BIGINT, second_count BIGINT
)
"""
_PAIRED = """
CREATE OR REPLACE TEMP TABLE paired AS
SELECT
    $position AS position,
    condition_group AS condition,
    is_in_mean,
    image_id,
    count(*) FILTER (is_first AND is_correct) AS first_correct,
    count(*) FILTER (is_first) AS first_count,
    count(*) FILTER (NOT is_first AND is_correct) AS second_correct,
    count(*) FILTER (NOT is_first) AS second_count
FROM (
    SELECT condition::VARCHAR AS condition, image_id, is_correct, true AS is_first FROM first_rows
    UNION ALL
    SELECT condition::VARCHAR, image_id, is_correct, false FROM second_rows
)
JOIN condition_groups USING (condition)
GROUP BY ALL
"""
_DIFFERENCES = """
WITH images AS (
    SELECT
        {by},
        image_id,
        sum(first_correct) AS first_correct,
        sum(first_count) AS first_count,
        sum(second_correct) AS second_correct,
        sum(second_count) AS second_count,
        -- Exact where both models have as many predictions.
        CASE WHEN sum(first_count) = sum(second_count)
            THEN (sum(first_correct) - sum(second_correct)) / sum(first_count)
            ELSE sum(first_correct) / sum(first_count) - sum(second_correct) / sum(second_count)
        END AS difference
    FROM outcomes
    WHERE {where}
    GROUP BY ALL
),
means AS (
    SELECT
        {names},
        count(*) AS num_images,
        (sum(first_count) / count(*))::BIGINT AS first_predictions,
        (sum(second_count) / count(*))::BIGINT AS second_predictions,
        sum(first_correct) / sum(first_count) AS first_accuracy,
        sum(second_correct) / sum(second_count) AS second_accuracy,
        ordered_mean(difference, image_id) AS difference,
        paired_low(difference, image_id) AS low,
        paired_high(difference, image_id) AS high
    FROM images
    GROUP BY ALL
)
FROM means
ORDER BY ALL
"""


class Differences:
    """Outcomes of two models image by image, cell by cell, and their differences."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        define_functions(connection)
        connection.execute(_OUTCOMES)
        self._order: dict[tuple[int, str], int] = {}

    def add(
        self,
        position: int,
        first: pa.Table,
        second: pa.Table,
        *,
        groups: Mapping[str, Sequence[Any]],
    ) -> None:
        """Add a cell of both models.

        Parameters
        ----------
        position : of the cell.
        first, second : condition, image and outcome of each prediction.
        groups : `condition`, its `condition_group`, and whether that `is_in_mean`; rows of other
            conditions are left out.

        Raises
        ------
        ValueError
            if the two are not of the same images.
        """
        for name, table in (("first_rows", first), ("second_rows", second)):
            self._connection.register(name, table)
        self._connection.register("condition_groups", pa.table(dict(groups)))
        self._connection.execute(_PAIRED, {"position": position})
        count = "SELECT count(DISTINCT image_id) FROM paired WHERE {} = 0"
        for column, name in (("second_count", "first"), ("first_count", "second")):
            alone = self._connection.execute(count.format(column)).fetchone()
            if alone and alone[0]:
                raise ValueError(f"{alone[0]} images are only in the {name} model's shard")
        self._connection.execute("INSERT INTO outcomes FROM paired")
        for group in groups["condition_group"]:
            self._order.setdefault((position, group), len(self._order))

    def of_cells(self) -> list[dict[str, Any]]:
        """Return the difference of each cell and group of conditions, in the order given."""
        rows = self._rows("position, condition", "true")
        return sorted(rows, key=lambda row: self._order[row["position"], row["condition"]])

    def of_mean(self) -> dict[str, Any] | None:
        """Return the difference of the mean over groups of conditions, None if none is in it."""
        rows = self._rows("true AS is_mean", "is_in_mean")
        return rows[0] if rows else None

    def _rows(self, by: str, where: str) -> list[dict[str, Any]]:
        names = by.rpartition(" AS ")[2]
        query = _DIFFERENCES.format(by=by, names=names, where=where)
        rows: list[dict[str, Any]] = self._connection.sql(query).to_arrow_table().to_pylist()
        return rows


@contextmanager
def differences() -> Iterator[Differences]:
    """Yield an empty collection; what needs more than the memory goes to temporary files."""
    with (
        TemporaryDirectory(prefix="perturb-") as folder,
        duckdb.connect(config={"threads": 1, "temp_directory": folder}) as connection,
    ):
        yield Differences(connection)
