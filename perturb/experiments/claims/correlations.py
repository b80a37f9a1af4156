"""Rank correlations of claim C1, the only statistic computed outside SQL."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perturb.experiments.claims.spearman import Values
from perturb.experiments.claims.statistics import RankCorrelation, rank_correlation

_SCHEMA = pa.schema(
    [
        ("test_set", pa.string()),
        ("estimate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("p_value", pa.float64()),
        ("num_models", pa.int64()),
        ("num_images", pa.int64()),
    ]
)


def rank_correlation_relation(
    fetch: Callable[[str], pa.Table], _parameters: Mapping[str, float | None]
) -> pa.Table:
    """Return the relation `rank_correlations`, of the models that the paper compares.

    Parameters
    ----------
    fetch : runs a query over the relations of the table.
    """
    rules = fetch(
        "SELECT DISTINCT test_set, threshold FROM claim_rules "
        "WHERE kind = 'rank_correlation' ORDER BY test_set"
    )
    rows = []
    for rule in rules.to_pylist():
        test_set = rule["test_set"]
        perturbed = _values(fetch, test_set)
        if len(perturbed) == 0:
            continue
        # Corrupted images are clean images, or some of them.
        same_images = test_set == "corruptions"
        clean = _values(fetch, "clean", of=test_set if same_images else "clean")
        correlation = rank_correlation(clean, perturbed, same_images=same_images)
        found = _found(correlation, rule["threshold"])
        sizes = {"num_models": perturbed.shape[1], "num_images": perturbed.shape[0]}
        rows.append({"test_set": test_set, **found, **sizes})
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _values(fetch: Callable[[str], pa.Table], test_set: str, of: str | None = None) -> Values:
    """Return fractions of correct predictions (I, M); images and models in the order of ids.

    The runs of one model's training are one model, with their mean.

    of : the test set whose images count, this one itself by default.
    """
    rows = fetch(
        "SELECT sum(num_correct) / sum(num_predictions) AS value, "
        "dense_rank() OVER (ORDER BY entry) AS place "
        "FROM image_outcomes JOIN compared_models AS m ON m.model = image_outcomes.model "
        f"WHERE test_set = '{test_set}' AND image IN "
        f"(SELECT image FROM image_outcomes WHERE test_set = '{of or test_set}') "
        "GROUP BY image, entry ORDER BY image, entry"
    )
    num_models = pc.max(rows["place"]).as_py() or 1
    values: Values = rows["value"].to_numpy().astype(float).reshape(-1, num_models)
    return values


def _found(found: RankCorrelation, threshold: float) -> dict[str, float | None]:
    """Return what the table has of a correlation; nothing but the estimate without an interval."""
    estimate = found.estimate if np.isfinite(found.estimate) else None
    if not found.has_interval:
        return {"estimate": estimate, "low": None, "high": None, "p_value": None}
    low, high = found.interval
    p_value = found.p_value(threshold)
    return {"estimate": estimate, "low": low, "high": high, "p_value": p_value}
