"""Notes on models that the chart of error over model size cannot show."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from perturb.charts.notes import images_by_set
from perturb.experiments.model_size.charts import FAMILY_NAMES

Row = Mapping[str, Any]


def missing_marks(points: pa.Table, *_: pa.Table) -> str:
    """Return sentences about the lines and points that are not drawn, and the images."""
    rows = points.to_pylist()
    sentences = [_families_without_line(rows), _sets_without_line(rows), _no_errors(rows)]
    return " ".join([*filter(None, sentences), images_by_set(points, "test_set_label")])


def _families_without_line(points: Sequence[Row]) -> str:
    """Return a sentence about the families with too few sizes for a slope, or an empty text."""
    fitted = {row["family"] for row in points if row["is_fitted"]}
    families = {row["family"] for row in points} - {"other"}
    lacking = [_family(family) for family in sorted(families - fitted)]
    if not lacking:
        return ""
    return f"No line for {' and '.join(lacking)}: fewer than two sizes at this pre-training set."


def _sets_without_line(points: Sequence[Row]) -> str:
    """Return a sentence about lines that a model without errors prevents, or an empty text."""
    lacking = dict.fromkeys(
        f"{_family(row['family'])} on {row['test_set_label']}"
        for row in points
        if row["is_fitted"] and row["fitted_error"] is None
    )
    if not lacking:
        return ""
    return f"No line for {', '.join(lacking)}: a model of the line makes no error there."


def _no_errors(points: Sequence[Row]) -> str:
    """Return a sentence about the models without errors, or an empty text."""
    lacking = [
        f"{row['architecture_label']} ({row['test_set_label']})"
        for row in points
        if row["error"] == 0
    ]
    if not lacking:
        return ""
    return f"Not drawn, since an error of zero has no logarithm: {', '.join(lacking)}."


def _family(family: str) -> str:
    return FAMILY_NAMES.get(family, family)
