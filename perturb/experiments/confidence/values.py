"""The relation `confidence_values`: every measure of every model on every test set."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perturb.experiments.confidence.calibration import (
    bins_of,
    calibration_error,
    plain_calibration_error,
)
from perturb.experiments.confidence.intervals import Estimate
from perturb.experiments.confidence.measures import (
    aurc,
    auroc,
    brier_score,
    log_loss,
    mean_confidence,
    selective_error,
)
from perturb.experiments.confidence.predictions import Counts, Predictions, ordered

Fetch = Callable[[str], pa.Table]
Row = dict[str, Any]

#: Fractions of the predictions that are kept in the curves of error over coverage.
COVERAGES = tuple(percent / 100 for percent in range(10, 101, 10))
_MEASURES = {
    "mean_confidence": mean_confidence,
    "brier_score": brier_score,
    "log_loss": log_loss,
    "auroc": auroc,
    "aurc": aurc,
}
_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("test_set", pa.string()),
        ("corruption_severity", pa.int32()),
        ("num_images", pa.int64()),
        ("num_predictions", pa.int64()),
        ("measure", pa.string()),
        ("place", pa.int32()),  # of a bin, from 1; of a coverage, in percent
        ("confidence", pa.float64()),  # mean over the predictions of a bin
        ("counts", pa.struct([(field.name, pa.int64()) for field in fields(Counts)])),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)


def confidence_values(fetch: Fetch, _: Mapping[str, float | None]) -> pa.Table:
    """Return one row per model, test set, severity and measure; bins and coverages have `place`.

    Fractions of predictions have counts instead of a value: their intervals are those of all
    tables.

    The predictions of one model are in memory at a time.

    Parameters
    ----------
    fetch : runs a query over the relations of the table.
    """
    models = fetch("SELECT model FROM benchmark_models ORDER BY model")["model"].to_pylist()
    rows = [row for model in models for row in _rows_of(fetch, model)]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _rows_of(fetch: Fetch, model: str) -> Iterator[Row]:
    quoted = model.replace("'", "''")
    found = fetch(
        "SELECT test_set::VARCHAR AS test_set, severity, image, variant, is_correct, confidence, "
        f"loss FROM confidence_predictions WHERE model = '{quoted}'"
    )
    if found["confidence"].null_count or found["loss"].null_count:
        raise ValueError(f"shards: predictions of {model} have no confidence or no loss")
    for (test_set, severity), of in sorted(_sets(found).items(), key=_place):
        facts = {
            "model": model,
            "test_set": test_set,
            "corruption_severity": severity,
            "num_images": of.num_images,
            "num_predictions": len(of),
        }
        yield from (facts | row for row in measured(of))


def _place(item: tuple[tuple[str, int | None], Predictions]) -> tuple[str, int]:
    (test_set, severity), _ = item
    return test_set, -1 if severity is None else severity


def _sets(rows: pa.Table) -> dict[tuple[str, int | None], Predictions]:
    """Return the predictions on each test set, and on the corrupted images by severity.

    Severity 0 are the same images without corruption.
    """
    found = {}
    for test_set in pc.unique(rows["test_set"]).to_pylist():
        of_set = rows.filter(pc.equal(rows["test_set"], test_set))
        for severity in pc.unique(of_set["severity"]).to_pylist():
            is_of = (
                pc.is_null(of_set["severity"])
                if severity is None
                else pc.equal(of_set["severity"], severity)
            )
            found[test_set, severity] = of_set.filter(is_of)
    corrupted = rows.filter(pc.is_valid(rows["severity"]))["image"]
    if ("clean", None) in found and len(corrupted):
        clean = found["clean", None]
        is_same = pc.is_in(clean["image"], value_set=pc.unique(corrupted))
        if pc.any(is_same).as_py():
            found["corruptions", 0] = clean.filter(is_same)
    return {key: _predictions(table) for key, table in found.items()}


def _predictions(table: pa.Table) -> Predictions:
    columns = [
        table[name].to_numpy().astype(float) for name in ("confidence", "is_correct", "loss")
    ]
    image, variant = (table[name].to_numpy().astype(np.int64) for name in ("image", "variant"))
    return ordered(image, variant, *columns)


def measured(of: Predictions) -> list[Row]:
    """Return the rows of one model on one test set."""
    bins = bins_of(of)
    single = {name: measure(of) for name, measure in _MEASURES.items()}
    single["calibration_error"] = calibration_error(of, bins)
    single["plain_calibration_error"] = Estimate(plain_calibration_error(bins))
    rows = [_row(name, found) for name, found in single.items()]
    rows.append({"measure": "accuracy", "counts": asdict(Counts.of(of.image, of.is_right))})
    for place, number in enumerate(bins.number.tolist()):
        of_bin = bins.bin == place
        rows.append(
            {
                "measure": "bin_accuracy",
                "place": number,
                "confidence": float(bins.confidence[place]),
                "counts": asdict(Counts.of(of.image[of_bin], of.is_right[of_bin])),
            }
        )
    for coverage in COVERAGES:
        found = selective_error(of, coverage)
        rows.append(_row("selective_error", found) | {"place": round(100 * coverage)})
    return rows


def _row(measure: str, found: Estimate) -> Row:
    values = {"value": found.value, "low": found.low, "high": found.high}
    known = {name: None if np.isnan(value) else value for name, value in values.items()}
    return {"measure": measure, **known}
