"""Intervals of accuracies, of differences between two models, and of the shape bias.

The formulas are those of the tables of a study: the SQL of `perturb.tables` and of the experiments,
run by DuckDB. This module imports no torch.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from perturb.tables.queries import FOLDER, query_file, relation_file

if TYPE_CHECKING:
    import pandas as pd

_ROW = "perturbation, severity, condition, sample, image_id, target"


class Interval(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


class PairedDifference(NamedTuple):
    """A difference of accuracy, the ends of its 95 % interval, and the number of images.

    The ends are NaN if the difference is the same on all images: no image tells the models apart,
    which is no evidence that none ever would.
    """

    difference: float
    low: float
    high: float
    num_images: int


class ShapeBias(NamedTuple):
    """A shape bias, the ends of its 95 % interval, and the numbers of images behind it.

    The bias and its ends are NaN if no prediction is the shape or the texture of its image.
    """

    shape_bias: float
    low: float
    high: float
    num_shape: int
    num_texture: int
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
    with _macros() as connection:
        row = _one_row(
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
    with _macros() as connection:
        for name, table in zip(("first", "second"), rows, strict=True):
            connection.register(f"{name}_rows", table)
        _check_paired(connection)
        row = _one_row(
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
                nullif(mean_half_width(difference, image_id), 0) AS half_width,
                count(*) AS num_images
            FROM differences
            """,
        )
    half_width = _number(row["half_width"])
    difference = row["difference"]
    ends = difference - half_width, difference + half_width
    return PairedDifference(difference, *ends, row["num_images"])


def shape_bias(
    predictions: Sequence[int] | np.ndarray[Any, Any],
    shapes: Sequence[int] | np.ndarray[Any, Any],
    textures: Sequence[int] | np.ndarray[Any, Any],
) -> ShapeBias:
    """Return the shape bias of predictions on images whose shape and texture conflict.

    It is S / (S + T): S predictions of the image's shape class, T of its texture class. Images
    whose shape and texture are of one class are left out.

    Parameters
    ----------
    predictions, shapes, textures : class of each image, whole numbers (N,).

    Raises
    ------
    ValueError
        If they are not as many whole numbers, or no image has a conflict.

    References
    ----------
    Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
    improves accuracy and robustness", ICLR 2019.
    """
    given = {"predictions": predictions, "shapes": shapes, "textures": textures}
    classes = {name: _classes(name, values) for name, values in given.items()}
    lengths = {name: len(values) for name, values in classes.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"numbers of classes are {lengths}; allowed: as many of each")
    image_ids = [f"{position:09d}" for position in range(len(classes["shapes"]))]
    with _macros() as connection:
        for name, table in _cue_conflict(image_ids, classes).items():
            connection.register(name, table)
        connection.execute(relation_file("cue_outcomes").read_text(encoding="utf-8"))
        found = connection.sql(query_file("shape_bias").read_text(encoding="utf-8"))
        rows = found.to_arrow_table().to_pylist()
    if not rows:
        raise ValueError("shape and texture are of one class in every image; allowed: conflicts")
    (row,) = rows
    return ShapeBias(
        _number(row["shape_bias"]),
        _number(row["shape_bias_low"]),
        _number(row["shape_bias_high"]),
        row["num_shape"],
        row["num_texture"],
        row["num_images"],
    )


def _cue_conflict(
    image_ids: list[str], classes: dict[str, np.ndarray[Any, Any]]
) -> dict[str, pa.Table]:
    """Return the sources and relations that `cue_outcomes` and the query read, of one model."""
    one = {"model": ["model"], "dataset": ["dataset"]}
    facts = {"pretraining_rank": [0], "family": [""], "num_parameters": [0]}
    count = len(image_ids)
    return {
        "predictions": pa.table(
            {
                **{name: value * count for name, value in one.items()},
                "image_id": pa.array(image_ids, pa.string()),
                "perturbation": ["none"] * count,
                "prediction": classes["predictions"],
            }
        ),
        "stimuli": pa.table(
            {
                "image_id": pa.array(image_ids, pa.string()),
                "target": classes["shapes"],
                "texture": classes["textures"],
                "target_label": pa.nulls(count, pa.string()),
            }
        ),
        "datasets": pa.table({"dataset": one["dataset"], "role": ["cue_conflict"]}),
        "benchmark_models": pa.table({"model": one["model"]}),
        "model_columns": pa.table({"model": one["model"], **facts}),
    }


@contextmanager
def _macros() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection with the macros of the tables."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute((FOLDER / "macros.sql").read_text(encoding="utf-8"))
        yield connection


def _one_row(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    (row,) = connection.sql(query).to_arrow_table().to_pylist()
    found: dict[str, Any] = row
    return found


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


def _classes(name: str, values: Any) -> np.ndarray[Any, Any]:
    classes = np.asarray(values)
    if classes.dtype.kind not in "iu" or classes.ndim != 1:
        raise ValueError(
            f"{name} are {classes.dtype} {classes.shape}; allowed: a class an image, whole numbers "
            "(N,)"
        )
    return classes.astype(np.int64)


def _whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        upper = "or more" if most is None else f"to {most}"
        raise ValueError(f"{name} is {value!r}; allowed: a whole number, {least} {upper}")
    return int(value)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
