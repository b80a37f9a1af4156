"""Rank correlations of claim C1, the only statistic computed outside SQL."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perturb.experiments.claims.statistics import Estimate, Values, rank_correlation

_PERTURBED = ("corruptions", "renditions", "natural_adversarial")
_SCHEMA = pa.schema(
    [
        ("test_set", pa.string()),
        ("estimate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("num_models", pa.int64()),
        ("num_images", pa.int64()),
    ]
)


def rank_correlation_relation(
    fetch: Callable[[str], pa.Table], parameters: Mapping[str, float | None]
) -> pa.Table:
    """Return the relation `rank_correlations`, of the models that the paper compares.

    Parameters
    ----------
    fetch : runs a query over the relations of the table.
    parameters : of the table: `num_resamples` and `seed` of the bootstrap.
    """
    bootstrap = {name: int(parameters[name] or 0) for name in ("num_resamples", "seed")}
    rows = []
    for test_set in _PERTURBED:
        counts = _counts(fetch, test_set)
        if len(counts) == 0:
            continue
        is_corrupted = test_set == "corruptions"
        # The perturbed images are the clean images or some of them, both in the order of their ids.
        clean = _counts(fetch, "clean", of=test_set if is_corrupted else "clean")
        found = rank_correlation(clean, counts, same_images=is_corrupted, **bootstrap)
        rows.append({"test_set": test_set, **_values(found), **_sizes(counts)})
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _counts(fetch: Callable[[str], pa.Table], test_set: str, of: str | None = None) -> Values:
    """Return counts (I, M) of correct predictions; images and models in the order of ids.

    of : the test set whose images count, this one itself by default.
    """
    rows = fetch(
        "SELECT num_correct, dense_rank() OVER (ORDER BY model) AS place "
        "FROM image_outcomes SEMI JOIN compared_models USING (model) "
        f"WHERE test_set = '{test_set}' AND image IN "
        f"(SELECT image FROM image_outcomes WHERE test_set = '{of or test_set}') "
        "ORDER BY image, model"
    )
    num_models = pc.max(rows["place"]).as_py() or 1
    counts: Values = rows["num_correct"].to_numpy().astype(float).reshape(-1, num_models)
    return counts


def _values(found: Estimate) -> dict[str, float | None]:
    if np.isnan(found.estimate):
        return {"estimate": None, "low": None, "high": None}
    return {"estimate": found.estimate, "low": found.low, "high": found.high}


def _sizes(counts: Values) -> dict[str, int]:
    return {"num_models": counts.shape[1], "num_images": counts.shape[0]}
