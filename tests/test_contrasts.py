"""Comparisons of models that were trained several times, by the relations alone."""

import math
from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from perturb.tables.connection import define_functions
from perturb.tables.queries import relation_file
from tests.interval_oracles import contrast_moments, freedom_of, quantile_of

IMAGES = 120
# The entry that each model is a run of; a letter is its family.
RUNS = {"v1": "v", "v2": "v", "v3": "v", "r1": "r", "r2": "r", "s1": "s"}
FAMILIES = {"v": "vit", "r": "resnet", "s": "resnet"}


@pytest.fixture(scope="module")
def right() -> dict[str, np.ndarray]:
    """Return whether each model is right on each image."""
    random = np.random.default_rng(0)
    chances = dict(zip(RUNS, (0.9, 0.8, 0.7, 0.6, 0.75, 0.5), strict=True))
    return {model: random.random(IMAGES) < chance for model, chance in chances.items()}


def contrasts_of(
    right: Mapping[str, np.ndarray], pairs: Sequence[tuple[str, str]] = (("v1", "r1"),)
) -> dict[tuple[str, str], dict]:
    """Return the comparisons by kind and name; the given pairs are of a series."""
    models = [
        {"model": model, "entry": RUNS[model], "family": FAMILIES[RUNS[model]]} for model in right
    ]
    outcomes = [
        {
            "test_set": "clean",
            "model": model,
            "image": image,
            "num_predictions": 1,
            "num_correct": int(is_right),
        }
        for model, images in right.items()
        for image, is_right in enumerate(images)
    ]
    matched = [
        {"pretraining": "all", "pretraining_rank": 0, "vit": vit, "resnet": resnet}
        for vit, resnet in pairs
    ]
    with duckdb.connect() as connection:
        define_functions(connection)
        for name, rows in {
            "benchmark_models": models,
            "image_outcomes": outcomes,
            "matched": [pair | {"is_series": True} for pair in matched],
        }.items():
            connection.register(name, pa.Table.from_pylist(rows))
        connection.execute(
            "CREATE VIEW compared_models AS FROM benchmark_models;"
            "CREATE TABLE patch_pairs ("
            "large VARCHAR, small VARCHAR, pretraining VARCHAR, pretraining_rank INTEGER);"
            "CREATE TABLE slope_weights (family VARCHAR, pretraining VARCHAR,"
            "pretraining_rank INTEGER, model VARCHAR, weight DOUBLE)"
        )
        for name in ("image_values", "contrasts"):
            connection.execute(relation_file(name).read_text())
        found = connection.sql("FROM contrasts").to_arrow_table().to_pylist()
    return {(row["kind"], row["name"]): row for row in found}


def test_variances_between_runs_add_to_that_between_images(right: dict[str, np.ndarray]) -> None:
    found = contrasts_of(right)["family_difference", "vit - resnet"]
    means = {
        entry: np.mean([right[model] for model in RUNS if RUNS[model] == entry], axis=0)
        for entry in FAMILIES
    }
    # One entry counts as much as another, however often it was trained.
    d = means["v"] - (means["r"] + means["s"]) / 2
    centre, of_images = contrast_moments(d)
    of_vits = np.var([right[name].mean() for name in ("v1", "v2", "v3")], ddof=1) / 3
    of_resnets = np.var([right[name].mean() for name in ("r1", "r2")], ddof=1) / 2 / 4
    variance = of_images + of_vits + of_resnets
    sources = [(of_images, math.inf), (of_vits, 2), (of_resnets, 1)]
    half_width = quantile_of(sources) * math.sqrt(variance)
    assert found["estimate"] == pytest.approx(d.mean(), abs=1e-12)
    assert found["centre"] == pytest.approx(centre, abs=1e-12)
    assert found["variance"] == pytest.approx(variance, abs=1e-12)
    assert found["degrees_of_freedom"] == pytest.approx(freedom_of(sources), rel=1e-6)
    assert (found["low"], found["high"]) == pytest.approx(
        (centre - half_width, centre + half_width), abs=1e-9
    )
    # The runs of one entry are one model.
    assert found["num_models"] == 3


def test_pairs_of_several_runs_count_as_much_as_those_of_one(right: dict[str, np.ndarray]) -> None:
    """A ResNet of two runs is in a pair of two runs, and its first in one of one run."""
    runs = [("v1", "r1"), ("v2", "r2"), ("s1", "r1")]
    found = contrasts_of(right, runs)["mean_pair", "vit - resnet"]
    first = (right["v1"].astype(float) - right["r1"] + right["v2"] - right["r2"]) / 2
    d = (first + right["s1"] - right["r1"]) / 2
    _, of_images = contrast_moments(d)
    # The third run of the ViT is in no pair, but says how far its runs lie apart.
    of_vits = np.var([right[name].mean() for name in ("v1", "v2", "v3")], ddof=1) / 2 / 4
    weights = np.array([3 / 4, 1 / 4])
    of_resnets = np.var([right[name].mean() for name in ("r1", "r2")], ddof=1) * (weights**2).sum()
    assert found["estimate"] == pytest.approx(d.mean(), abs=1e-12)
    assert found["variance"] == pytest.approx(of_images + of_vits + of_resnets, abs=1e-12)
    assert found["num_models"] == 3


def test_a_model_of_one_run_has_the_images_alone(right: dict[str, np.ndarray]) -> None:
    found = contrasts_of({name: right[name] for name in ("v1", "r1")})
    d = right["v1"].astype(float) - right["r1"]
    centre, variance = contrast_moments(d)
    for row in (found["mean_pair", "vit - resnet"], found["pair", "v1"]):
        assert (row["centre"], row["variance"]) == pytest.approx((centre, variance), abs=1e-12)
        assert row["degrees_of_freedom"] == math.inf


def test_runs_without_a_partner_tell_how_far_runs_lie_apart(right: dict[str, np.ndarray]) -> None:
    """A mean over pairs is about any runs of its entries, a single pair about these two."""
    several = contrasts_of({name: right[name] for name in ("v1", "v2", "v3", "s1")}, [("v1", "s1")])
    alone = contrasts_of({name: right[name] for name in ("v1", "s1")}, [("v1", "s1")])
    of_vits = np.var([right[name].mean() for name in ("v1", "v2", "v3")], ddof=1)
    mean = ("mean_pair", "vit - resnet")
    assert several[mean]["variance"] == pytest.approx(alone[mean]["variance"] + of_vits, abs=1e-12)
    assert several["pair", "v1"] == alone["pair", "v1"]


def test_a_family_of_runs_alone_is_one_model(right: dict[str, np.ndarray]) -> None:
    found = contrasts_of(right)["family_mean", "vit"]
    accuracies = [right[name].mean() for name in ("v1", "v2", "v3")]
    assert found["num_models"] == 1
    assert found["estimate"] == pytest.approx(np.mean(accuracies), abs=1e-12)
    assert found["variance"] > np.var(accuracies, ddof=1) / 3
    assert found["low"] < found["estimate"] < found["high"] <= 1


def test_models_that_agree_on_every_image_may_differ_on_others() -> None:
    same = np.arange(IMAGES) % 4 > 0
    found = contrasts_of({"v1": same, "r1": same})["pair", "v1"]
    high = stats.binomtest(0, IMAGES).proportion_ci(method="wilson").high
    assert found["estimate"] == 0
    assert (found["low"], found["high"]) == pytest.approx((-high, high), abs=1e-12)
