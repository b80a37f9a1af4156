"""The relation `robustness_fits`: a line through the models of the study on each test set."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from perturb.experiments.effective_robustness.fits import Fit, fit

Fetch = Callable[[str], pa.Table]

_SCHEMA = pa.schema(
    [
        ("test_set", pa.string()),
        ("model", pa.string()),
        ("num_images", pa.int64()),
        ("num_clean_images", pa.int64()),
        ("num_clean_right", pa.int64()),
        ("is_same_images", pa.bool_()),
        ("num_baseline", pa.int64()),
        ("intercept", pa.float64()),
        ("slope", pa.float64()),
        ("predicted", pa.float64()),
        ("estimate", pa.float64()),
        # Sums over images of the second and fourth powers of what they add to the estimate.
        ("d2", pa.float64()),
        ("d4", pa.float64()),
        ("clean_d2", pa.float64()),
        ("clean_d4", pa.float64()),
    ]
)
_TEST_SETS = """
    SELECT DISTINCT o.test_set::VARCHAR AS test_set
    FROM image_outcomes AS o JOIN test_sets USING (test_set)
    WHERE o.test_set <> 'clean'
        AND experiment IN ('benchmarks', 'corruptions', 'attacks', 'spatial')
    ORDER BY test_set
"""
# Published sets have images of some of the clean set's classes only.
_OF_ITS_CLASSES = """
    AND image IN (
        SELECT image FROM short_predictions JOIN datasets USING (dataset)
        WHERE perturbation = 'none' AND role = 'clean' AND target IN (
            SELECT target FROM short_predictions JOIN datasets USING (dataset)
            WHERE perturbation = 'none' AND role = '{test_set}'))
"""
_IS_PART = """
    SELECT count(*) AS count FROM datasets
    WHERE role = '{test_set}' AND published IN ('imagenet-r', 'imagenet-a')
"""
_MODELS = "SELECT model, entry FROM benchmark_models ORDER BY model"


def robustness_fits(fetch: Fetch, _: Mapping[str, float | None]) -> pa.Table:
    """Return the relation, one row per test set and model.

    Parameters
    ----------
    fetch : runs a query over the relations of the table.

    Raises
    ------
    ValueError
        if a model lacks images that others have.
    """
    rows = [
        row
        for test_set in fetch(_TEST_SETS)["test_set"].to_pylist()
        for row in _rows(fetch, test_set)
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _rows(fetch: Fetch, test_set: str) -> Iterator[dict[str, Any]]:
    models, images, perturbed = _outcomes(fetch, test_set, "image_outcomes", "num_predictions")
    clean_models, clean_images, clean = _outcomes(fetch, test_set, "clean_outcomes", "1")
    is_same = len(clean) > 0
    if not is_same:  # images of its own: the clean images are the other sample
        is_part = fetch(_IS_PART.format(test_set=test_set))["count"][0].as_py() > 0
        some = _OF_ITS_CLASSES.format(test_set=test_set) if is_part else ""
        clean_models, _, clean = _outcomes(
            fetch, "clean", "image_outcomes", "num_predictions", some
        )
    entry_of = {row["model"]: row["entry"] for row in fetch(_MODELS).to_pylist()}
    _, entries = np.unique([entry_of[model] for model in models], return_inverse=True)
    lacks = is_same and not np.array_equal(images, clean_images)
    if lacks or models != clean_models:
        raise ValueError(f"test set {test_set}: a model lacks images that others have")
    found = fit(clean, perturbed, entries)
    sizes = {
        "num_images": len(perturbed),
        "num_clean_images": len(clean),
        "is_same_images": is_same,
        "intercept": found.intercept,
        "slope": found.slope,
    }
    for place, model in enumerate(models):
        if np.isfinite(found.estimate[place]):
            right = round(float(clean[:, place].sum()))
            names = {"test_set": test_set, "model": model, "num_clean_right": right}
            yield {**names, **sizes, **_values(found, place, is_same)}


def _values(found: Fit, place: int, is_same: bool) -> dict[str, float]:
    clean, own = found.clean_influence[:, place], found.influence[:, place]
    # The same images are one sample: what the two images of a pair add belongs together.
    samples = {"": own + clean if is_same else own, "clean_": 0 * clean if is_same else clean}
    sums = {
        f"{name}d{power}": float((values**power).sum())
        for name, values in samples.items()
        for power in (2, 4)
    }
    return {
        "num_baseline": int(found.num_baseline[place]),
        "predicted": float(found.predicted[place]),
        "estimate": float(found.estimate[place]),
        **sums,
    }


def _outcomes(
    fetch: Fetch, test_set: str, relation: str, predictions: str, some: str = ""
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return models, images, and the fraction of right predictions, (images, models)."""
    rows = fetch(
        f"SELECT model::VARCHAR AS model, num_correct / {predictions} AS value, image "
        f"FROM {relation} SEMI JOIN benchmark_models USING (model) "
        f"WHERE test_set = '{test_set}' {some} ORDER BY image, model"
    )
    models = sorted(set(rows["model"].to_pylist()))
    values = rows["value"].to_numpy().astype(float)
    images = rows["image"].to_numpy()[:: max(1, len(models))]
    if not np.array_equal(rows["image"].to_numpy(), images.repeat(len(models))):
        raise ValueError(f"test set {test_set}: a model lacks images that others have")
    return models, images, values.reshape(-1, max(1, len(models)))
