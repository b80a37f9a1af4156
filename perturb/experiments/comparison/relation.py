"""The relation `measure_pairs`: sums over images for the difference of every two entries."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perturb.experiments.comparison.pairs import Values, pair_sums

Fetch = Callable[[str], pa.Table]
Integers = NDArray[np.int64]

_SCHEMA = pa.schema(
    [
        ("measure", pa.string()),
        ("is_line", pa.bool_()),
        ("place_a", pa.int64()),
        ("place_b", pa.int64()),
        ("num_images", pa.int64()),
        # Of the difference of both; sums of its second and fourth powers, of a line about its mean.
        ("mean", pa.float64()),
        ("d1", pa.float64()),
        ("d2", pa.float64()),
        ("d4", pa.float64()),
        # Variance of the mean over an entry's runs, and their number.
        ("variance_a", pa.float64()),
        ("runs_a", pa.int64()),
        ("variance_b", pa.float64()),
        ("runs_b", pa.int64()),
    ]
)
_ROWS = """
    SELECT row, image, value, num_predictions
    FROM (SELECT * FROM {relation} WHERE measure = '{measure}') AS r
    JOIN (SELECT *, row_number() OVER (ORDER BY place, run, model) - 1 AS row FROM entry_places)
        USING (model)
"""


@dataclass(frozen=True)
class Outcomes:
    """What models did on the images of one measure.

    values : sums over the predictions of an image, (I, M).
    num_predictions : of an image by a model.
    rows : place of each model among all, (M,).
    """

    values: Values
    num_predictions: int
    rows: Integers


def measure_pairs(fetch: Fetch, _: Mapping[str, float | None]) -> pa.Table:
    """Return the relation, of all paired measures.

    Parameters
    ----------
    fetch : runs a query over the relations of the table.

    Raises
    ------
    ValueError
        if a model lacks images or predictions that others have.
    """
    places = fetch("SELECT place FROM entry_places ORDER BY place, run, model")["place"].to_numpy()
    measures = fetch("FROM paired_measures ORDER BY position, place, measure").to_pylist()
    tables = [_pairs(_outcomes(fetch, measure), places, measure) for measure in measures]
    return pa.concat_tables([_SCHEMA.empty_table(), *tables])


def _outcomes(fetch: Fetch, measure: Mapping[str, Any]) -> Outcomes:
    found = fetch(_ROWS.format(relation=measure["relation"], measure=_quoted(measure["measure"])))
    row, image = (found[name].to_numpy().astype(np.int64) for name in ("row", "image"))
    rows, images = _numbers(row), _numbers(image)
    values = np.full((len(images), len(rows)), np.nan)
    values[_places(images)[image], _places(rows)[row]] = found["value"].to_numpy()
    counts = np.unique(found["num_predictions"].to_numpy())
    if len(row) != values.size or np.isnan(values).any() or len(counts) != 1:
        raise ValueError(f"measure {measure['measure']}: a model lacks images that others have")
    return Outcomes(values, int(counts[0]), rows)


def _numbers(values: Integers) -> Integers:
    """Return the different numbers in order; faster than a sort of many."""
    return np.flatnonzero(np.bincount(values))


def _places(numbers: Integers) -> Integers:
    """Return the place of each number among the given ones, by number."""
    places = np.zeros(int(numbers.max()) + 1, np.int64)
    places[numbers] = np.arange(len(numbers))
    return places


def _pairs(of: Outcomes, places: Integers, measure: Mapping[str, Any]) -> pa.Table:
    """Return the rows of one measure.

    Runs of an entry are summed; sums of entries with unlike numbers of runs are brought to one
    number, so that whole numbers stay whole.
    """
    entries, own = np.unique(places[of.rows], return_inverse=True)
    runs = np.bincount(own)
    shared = math.lcm(*runs.tolist())
    scale = of.num_predictions * shared
    of_entries = [of.values[:, own == place].sum(axis=1) for place in range(len(entries))]
    sums: Values = np.stack(of_entries, axis=1) * (shared / runs)
    mean = sums.mean(axis=0) / scale
    if measure["is_line"]:
        sums = sums - sums.mean(axis=0)
    found = pair_sums(sums)
    variance = _run_variances(of.values.mean(axis=0) / of.num_predictions, own, runs)
    a, b = np.triu_indices(len(entries), k=1)
    columns = {
        "measure": pa.repeat(measure["measure"], len(a)),
        "is_line": pa.repeat(measure["is_line"], len(a)),
        "place_a": entries[a],
        "place_b": entries[b],
        "num_images": np.full(len(a), len(of.values)),
        "mean": mean[a] - mean[b],
        "d1": found.d1[a, b] / scale,
        "d2": found.d2[a, b] / scale**2,
        "d4": found.d4[a, b] / float(scale) ** 4,
        "variance_a": variance[a],
        "runs_a": runs[a],
        "variance_b": variance[b],
        "runs_b": runs[b],
    }
    return pa.table(columns, schema=_SCHEMA)


def _run_variances(values: Values, own: Integers, runs: Integers) -> Values:
    """Return the variance of the mean over the runs of each entry, 0 for one run."""
    means = np.bincount(own, weights=values) / runs
    squares = np.bincount(own, weights=(values - means[own]) ** 2)
    variances: Values = squares / np.maximum(runs - 1, 1) / runs
    return variances


def _quoted(text: str) -> str:
    return text.replace("'", "''")
