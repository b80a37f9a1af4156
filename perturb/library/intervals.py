"""Intervals of accuracies, and differences between two models, by the formulas of the tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from perturb.library.queries import macros, one_row

if TYPE_CHECKING:
    import pandas as pd

_ROW = "perturbation, severity, condition, sample, image_id, target"


class Interval(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


class PairedDifference(NamedTuple):
    """A difference of accuracy, the ends of its 95 % interval, and the number of images."""

    difference: float
    low: float
    high: float
    num_images: int


def wilson(num_correct: int, num_images: int) -> Interval:
    """Return Wilson's 95 % score interval of a fraction of independent images.

    Parameters
    ----------
    num_correct : 0 to `num_images`.
    num_images : 1 or more.

    Raises
    ------
    ValueError
        If the counts are not whole, or out of range.

    References
    ----------
    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
    """
    total = _whole("num_images", num_images, 1)
    count = _whole("num_correct", num_correct, 0, total)
    with macros() as connection:
        row = one_row(
            connection,
            f"SELECT wilson_low({count}, {total}) AS low, wilson_high({count}, {total}) AS high",
        )
    return Interval(row["low"], row["high"])


def paired_difference(
    first: "pd.DataFrame | Sequence[bool] | np.ndarray[Any, Any]",
    second: "pd.DataFrame | Sequence[bool] | np.ndarray[Any, Any]",
) -> PairedDifference:
    """Return the accuracy of one model minus that of another on the same images.

    The interval is that of the mean of the images' differences: what makes an image hard for both
    models cancels.

    Parameters
    ----------
    first, second : the rows of a cell of each model, as `perturb.evaluate` returns them: of the
        same images, conditions and samples, in any order. An image counts by the fraction of its
        rows that are correct. Or bool (N,), whether each model is correct on each image.

    Raises
    ------
    ValueError
        If the two do not hold the same images, conditions, samples and targets, or are no such
        rows.
    """
    if hasattr(first, "columns") and hasattr(second, "columns"):
        rows = _correct_rows("first", first), _correct_rows("second", second)
    else:
        rows = _correct_images("first", first), _correct_images("second", second)
        if rows[0].num_rows != rows[1].num_rows:
            raise ValueError(
                f"first has {rows[0].num_rows} images, second {rows[1].num_rows}; allowed: as many"
            )
    with macros() as connection:
        for name, table in zip(("first", "second"), rows, strict=True):
            connection.register(f"{name}_rows", table)
        _check_paired(connection)
        row = one_row(
            connection,
            """
            WITH differences AS (
                -- Half of the rows of an image are those of each model.
                SELECT image_id, sum(correct) / (count(*) / 2) AS difference
                FROM (
                    SELECT image_id, is_correct::INTEGER AS correct FROM first_rows
                    UNION ALL
                    SELECT image_id, -is_correct::INTEGER FROM second_rows
                )
                GROUP BY image_id
            )
            SELECT
                ordered_mean(difference, image_id) AS difference,
                paired_low(difference, image_id) AS low,
                paired_high(difference, image_id) AS high,
                count(*) AS num_images
            FROM differences
            """,
        )
    return PairedDifference(**row)


def _check_paired(connection: duckdb.DuckDBPyConnection) -> None:
    """Raise a ValueError unless both hold the same rows, apart from what a model says."""
    for one, other in (("first", "second"), ("second", "first")):
        found = connection.sql(
            f"SELECT {_ROW} FROM {one}_rows EXCEPT ALL SELECT {_ROW} FROM {other}_rows ORDER BY ALL"
        ).to_arrow_table()
        if found.num_rows:
            row = ", ".join(f"{name} {value}" for name, value in found.to_pylist()[0].items())
            raise ValueError(
                f"{found.num_rows} rows are only in {one}, such as {row}; allowed: the same "
                "images, conditions, samples and targets in both"
            )


def _correct_rows(name: str, frame: Any) -> pa.Table:
    needed = [*_ROW.split(", "), "is_correct"]
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise ValueError(f"{name} has no column {', '.join(missing)}; allowed: rows of a shard")
    if not len(frame):
        raise ValueError(f"{name} has no row; allowed: one image or more")
    if (count := len(frame[["model"]].drop_duplicates()) if "model" in frame else 1) > 1:
        raise ValueError(f"{name} has rows of {count} models; allowed: one")
    return pa.Table.from_pandas(frame[needed], preserve_index=False)


def _correct_images(name: str, values: Any) -> pa.Table:
    correct = np.asarray(values)
    if correct.dtype != np.bool_ or correct.ndim != 1 or not len(correct):
        raise ValueError(
            f"{name} is {correct.dtype} {correct.shape}; allowed: bool (N,), one value an image, "
            "or for both models a frame of rows"
        )
    count = len(correct)
    return pa.table(
        {
            "perturbation": [""] * count,
            "severity": [0.0] * count,
            "condition": [""] * count,
            "sample": [0] * count,
            "image_id": [f"{position:09d}" for position in range(count)],
            "target": [0] * count,
            "is_correct": correct,
        }
    )


def _whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        upper = "or more" if most is None else f"to {most}"
        raise ValueError(f"{name} is {value!r}; allowed: a whole number, {least} {upper}")
    return int(value)
