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
    outcomes = fetch("FROM image_outcomes JOIN compared_models USING (model)")
    bootstrap = {name: int(parameters[name] or 0) for name in ("num_resamples", "seed")}
    return rank_correlations(outcomes, **bootstrap)


def rank_correlations(outcomes: pa.Table, *, num_resamples: int, seed: int) -> pa.Table:
    """Return Spearman's rho over models between clean accuracy and that on each perturbed set.

    Parameters
    ----------
    outcomes : test_set, model, image_id, num_correct of the models under test; every model has
        every image of every test set; corrupted are the clean images or some of them.
    num_resamples, seed : of the bootstrap over images.

    Returns
    -------
    test_set, estimate, low, high, num_models, num_images (those of the perturbed set); no
    estimate for fewer than two models or where all models are equal.
    """
    present = set(outcomes["test_set"].unique().to_pylist())
    rows = []
    for test_set in _PERTURBED:
        if test_set not in present:
            continue
        clean, perturbed = _of(outcomes, "clean"), _of(outcomes, test_set)
        is_corrupted = test_set == "corruptions"
        if is_corrupted:
            # The perturbed images are the clean images or some of them, both in the order of their
            # ids.
            clean = clean.filter(pc.is_in(clean["image_id"], perturbed["image_id"]))
        counts = _counts(perturbed)
        found = rank_correlation(
            _counts(clean),
            counts,
            same_images=is_corrupted,
            num_resamples=num_resamples,
            seed=seed,
        )
        rows.append({"test_set": test_set, **_values(found), **_sizes(counts)})
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _of(outcomes: pa.Table, test_set: str) -> pa.Table:
    return outcomes.filter(pc.equal(outcomes["test_set"], test_set))


def _counts(rows: pa.Table) -> Values:
    """Return counts (I, M) of correct predictions; images and models in the order of ids."""
    rows = rows.sort_by([("image_id", "ascending"), ("model", "ascending")])
    num_models = pc.count_distinct(rows["model"]).as_py()
    counts: Values = rows["num_correct"].to_numpy().astype(float).reshape(-1, num_models)
    return counts


def _values(found: Estimate) -> dict[str, float | None]:
    if np.isnan(found.estimate):
        return {"estimate": None, "low": None, "high": None}
    return {"estimate": found.estimate, "low": found.low, "high": found.high}


def _sizes(counts: Values) -> dict[str, int]:
    return {"num_models": counts.shape[1], "num_images": counts.shape[0]}
