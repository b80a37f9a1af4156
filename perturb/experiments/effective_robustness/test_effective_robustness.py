"""Effective robustness: known distances from a known line, and what each image adds to them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import norm

from perturb.experiments.effective_robustness.fits import LEAST_MODELS, Fit, clipped, fit
from perturb.experiments.effective_robustness.lines import line_through
from perturb.tables.run import make_table
from tests.hand_made import decided, resnet, vit, written
from tests.study_tables import sql

NUM_IMAGES = 4000


def placed(accuracy: np.ndarray, num_images: int = NUM_IMAGES, seed: int = 0) -> np.ndarray:
    """Return outcomes (images, models) of models that are right on so many images, in any order."""
    random = np.random.default_rng(seed)
    right = np.arange(num_images)[:, None] < np.round(accuracy * num_images)
    return np.stack([random.permutation(column) for column in right.T], axis=1).astype(float)


def test_models_on_a_line_have_none_and_one_beside_it_has_its_distance() -> None:
    x = np.linspace(0.4, 0.9, 8)
    line = ndtr(-0.7 + 0.9 * ndtri(x))
    off = np.where(np.arange(8) == 3, 0.05, 0.0)
    found = fit(placed(x), placed(line + off), np.arange(8))
    # Accuracies are counts of images, so that no model lies on the line exactly.
    assert found.estimate[3] == pytest.approx(0.05, abs=1e-3)
    assert found.predicted[3] == pytest.approx(line[3], abs=1e-3)
    # The others' lines go past the one that is off, hence a little below them; its own does not.
    assert np.abs(np.delete(found.estimate, 3)).max() < 0.015
    assert found.estimate.argmax() == 3
    assert set(found.num_baseline) == {7}


def likeliest(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return intercept and slope of probit regression, found by a search without derivatives."""

    def improbability(line: np.ndarray) -> float:
        at = line[0] + line[1] * x
        return -float((weights * (y * log_ndtr(at) + (1 - y) * log_ndtr(-at))).sum())

    found = minimize(
        improbability,
        np.zeros(2),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 2000},
    )
    assert found.success
    line: np.ndarray = found.x
    return line


@pytest.mark.parametrize("num_without_right", [0, 3])
def test_the_line_is_the_likeliest_one_through_the_others(num_without_right: int) -> None:
    random = np.random.default_rng(1)
    x, y = random.uniform(0.3, 0.9, 9), random.uniform(0.1, 0.8, 9)
    y[:num_without_right] = 0
    clean, perturbed = placed(x), placed(y)
    found = fit(clean, perturbed, np.arange(9))
    x, y = ndtri(clean.mean(axis=0)), perturbed.mean(axis=0)
    for place in range(9):
        intercept, slope = likeliest(x, y, (np.arange(9) != place).astype(float))
        assert found.predicted[place] == pytest.approx(ndtr(intercept + slope * x[place]), abs=1e-6)
    whole = likeliest(x, y, np.ones(9))
    assert (found.intercept, found.slope) == pytest.approx(tuple(whole), abs=1e-6)


def test_models_on_a_line_are_on_it_however_low() -> None:
    """Six exact points, one of 0.02 %: no accuracy stands for another."""
    x = ndtri(np.linspace(0.4, 0.9, 6))
    y = ndtr(-2.7 + 1.8 * x)
    line = line_through(x, y, np.ones(6))
    assert line.coefficients == pytest.approx([-2.7, 1.8], abs=1e-6)


RUNS_OF_SIX = np.array([0, 0, 0, 1, 2, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("clean", "perturbed"),
    [
        ([0.7, 0.69999, 0.7, 0.7, 0.70001, 0.69999], [0, 0.8, 0, 0.8, 0.8, 0.2]),
        ([0.09, 0.53, 0.89, 0.25, 0.48, 0.27], [1, 0.001, 0.0004, 1, 0.003, 0.008]),
    ],
    ids=["steep", "far from a line"],
)
def test_the_search_for_a_line_ends(clean: list[float], perturbed: list[float]) -> None:
    x, y = ndtri(np.array(clean)), np.array(perturbed)
    line = line_through(x, y, np.ones(6))
    # No line beside it has a higher likelihood.
    at = line.intercept + line.slope * x
    pull = norm.pdf(at) / (ndtr(at) * ndtr(-at))
    assert pull @ (y - ndtr(at)) == pytest.approx(0, abs=1e-6)
    assert pull * (x - x.mean()) / np.ptp(x) @ (y - ndtr(at)) == pytest.approx(0, abs=1e-6)


def test_runs_of_one_training_are_one_model_of_the_line() -> None:
    """Together they weigh as much as another model, and none is in the baseline of another run."""
    random = np.random.default_rng(7)
    clean, perturbed = placed(random.uniform(0.3, 0.9, 9)), placed(random.uniform(0.1, 0.8, 9))
    found = fit(clean, perturbed, RUNS_OF_SIX)
    assert found.num_baseline.tolist() == [5] * 9
    x, y = ndtri(clean.mean(axis=0)), perturbed.mean(axis=0)
    weights = np.array([1 / 3, 1 / 3, 1 / 3, 1, 1 / 2, 1 / 2, 1, 1, 1])
    for place, entry in enumerate(RUNS_OF_SIX):
        intercept, slope = likeliest(x, y, np.where(entry == RUNS_OF_SIX, 0, weights))
        assert found.predicted[place] == pytest.approx(ndtr(intercept + slope * x[place]), abs=1e-6)
    whole = likeliest(x, y, weights)
    assert (found.intercept, found.slope) == pytest.approx(tuple(whole), abs=1e-6)


def test_many_runs_of_few_models_are_no_baseline() -> None:
    found = fit(
        placed(np.linspace(0.4, 0.9, 12)), placed(np.linspace(0.2, 0.5, 12)), np.arange(12) % 2
    )
    assert np.isnan(found.estimate).all()
    assert found.num_baseline.tolist() == [0] * 12


@pytest.mark.parametrize("num_models", [1, 2, LEAST_MODELS])
def test_few_models_are_no_baseline(num_models: int) -> None:
    x = np.linspace(0.4, 0.9, num_models)
    found = fit(placed(x), placed(x / 2), np.arange(num_models))
    assert np.isnan(found.estimate).all()
    assert found.num_baseline.tolist() == [0] * num_models


def test_models_of_one_clean_accuracy_have_no_line() -> None:
    found = fit(placed(np.full(8, 0.7)), placed(np.linspace(0.2, 0.6, 8)), np.arange(8))
    assert np.isnan(found.estimate).all()


def test_accuracies_of_0_and_1_lie_half_an_image_inside_on_the_chart() -> None:
    assert clipped(np.array([0.0, 0.3, 1.0]), 50).tolist() == [0.01, 0.3, 0.99]


def test_a_model_that_is_right_on_all_clean_images_or_none_has_no_place() -> None:
    """It is in no line and has no value; one that is right on no perturbed image has both."""
    ends = np.array([0.0, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 1.0])
    perturbed = np.array([0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.9])
    found = fit(placed(ends, 50), placed(perturbed, 50), np.arange(8))
    assert np.flatnonzero(np.isnan(found.estimate)).tolist() == [0, 7]
    assert found.num_baseline.tolist() == [0, 5, 5, 5, 5, 5, 5, 0]
    inner = fit(placed(ends[1:7], 50), placed(perturbed[1:7], 50), np.arange(6))
    assert found.estimate[1:7] == pytest.approx(inner.estimate)


def test_models_without_a_right_image_draw_no_line() -> None:
    clean, perturbed = np.linspace(0.4, 0.9, 8), np.array([0, 0, 0, 0, 0, 0.1, 0.2, 0.3])
    found = fit(placed(clean, 50), placed(perturbed, 50), np.arange(8))
    # Without one of the three that are right on some images, two are left.
    assert np.isfinite(found.estimate).tolist() == [True] * 5 + [False] * 3


@pytest.mark.parametrize("entries", [np.arange(9), RUNS_OF_SIX])
def test_an_image_adds_what_the_estimate_loses_without_it(entries: np.ndarray) -> None:
    random = np.random.default_rng(2)
    difficulty = random.normal(size=(300, 1))
    ability = np.linspace(-0.5, 1.5, 9)
    clean, perturbed = (
        (difficulty + random.normal(size=(300, 9)) < ability - harm).astype(float)
        for harm in (0.0, 0.8)
    )
    found = fit(clean, perturbed, entries)
    without = np.array(
        [
            fit(np.delete(clean, i, axis=0), np.delete(perturbed, i, axis=0), entries).estimate
            for i in range(300)
        ]
    )
    jackknife = 299 / 300 * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    both = found.clean_influence + found.influence
    assert both.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert (both**2).sum(axis=0) / 300**2 == pytest.approx(jackknife, rel=0.05)


def test_the_table_has_every_model_on_every_other_test_set(made: Callable[[str], pa.Table]) -> None:
    table = made("effective_robustness")
    assert "clean" not in table["test_set"].to_pylist()
    for row in table.to_pylist():
        assert row["num_baseline"] == 14
        low, value, high = (row[f"effective_robustness{end}"] for end in ("_low", "", "_high"))
        assert low < value < high
        assert value == pytest.approx(row["accuracy"] - row["predicted_accuracy"])
    same = {row["test_set"]: row["is_same_images"] for row in table.to_pylist()}
    assert same["corruptions"]
    assert same["pgd"]
    assert not same["renditions"]


ART = {"dataset": "art"}


@pytest.mark.parametrize(("nearest", "is_matched"), [(71, True), (72, True), (73, False)])
def test_a_vit_meets_the_resnet_of_the_nearest_clean_accuracy(
    nearest: int, is_matched: bool, tmp_path: Path
) -> None:
    """At most two percentage points away."""
    right = {"v": 70, "r": nearest, "far": 80}
    rows = [
        row
        for model, count in right.items()
        for row in decided(model, "1" * count + "0" * (100 - count))
    ]
    art = {"v": "1" * 25 + "0" * 15, "r": "1" * 15 + "0" * 25, "far": "0" * 40}
    rows += [row for model, outcomes in art.items() for row in decided(model, outcomes, **ART)]
    models = [vit("v", 8), resnet("r"), resnet("far", size="B")]
    sources = written(tmp_path, models, rows)
    table = make_table("matched_accuracy", sources, {"headline_epsilon": None})
    if not is_matched:
        assert table.num_rows == 0
        return
    [row] = table.to_pylist()
    assert (row["vit_model"], row["resnet_model"], row["test_set"]) == ("v", "r", "renditions")
    assert row["clean_gap"] == pytest.approx((70 - nearest) / 100)
    assert row["matched_gap"] == pytest.approx(10 / 40)
    assert 0 < row["matched_gap_low"] < row["matched_gap"] < row["matched_gap_high"]
    assert row["num_images"] == 40


def test_the_interval_of_a_difference_ends_at_one(tmp_path: Path) -> None:
    rows = [row for model in ("v", "r") for row in decided(model, "10")]
    rows += [*decided("v", "00000", **ART), *decided("r", "11111", **ART)]
    sources = written(tmp_path, [vit("v", 8), resnet("r", pretraining_label="")], rows)
    [row] = make_table("matched_accuracy", sources, {"headline_epsilon": None}).to_pylist()
    assert (row["matched_gap"], row["matched_gap_low"]) == (-1, -1)
    assert (row["vit_name"], row["resnet_name"]) == ("ViT-S/8 (Small)", "ResNet-S")


def test_models_that_lack_unlike_images_are_refused(tmp_path: Path) -> None:
    """Together they lack as many as an image has, so that their number alone shows nothing."""
    models = [vit(f"v{place}", 8) for place in range(7)]
    rows = [
        {**row, "model": model["model"]}
        for place, model in enumerate(models)
        for row in decided("v", "1100110", **ART)
        if row["image_id"] != f"image-{place}"
    ]
    rows += [row for model in models for row in decided(model["model"], "1010")]
    sources = written(tmp_path, models, rows)
    with pytest.raises(ValueError, match="test set renditions: a model lacks images that others"):
        make_table("effective_robustness", sources, {"headline_epsilon": None})


def test_a_model_that_lacks_an_image_is_refused(tmp_path: Path) -> None:
    models = [vit(f"v{place}", 8) for place in range(7)]
    rows = [
        row
        for place, model in enumerate(models)
        for row in decided(model["model"], "1" * (10 + place) + "0" * (10 - place))
    ]
    short = [row for row in rows if row["model"] != "v6" or row["image_id"] != "image-3"]
    art = [row for model in models for row in decided(model["model"], "1100", **ART)]
    sources = written(tmp_path, models, [*short, *art])
    with pytest.raises(ValueError, match="test set clean: a model lacks images that others have"):
        make_table("effective_robustness", sources, {"headline_epsilon": None})


def covered(samples: list[Fit], truth: np.ndarray, folder: Path) -> np.ndarray:
    """Return how often the interval of each model has the truth; both sets are of one sample."""
    influence = [found.clean_influence + found.influence for found in samples]
    columns = {
        "model": np.tile(np.arange(len(truth)), len(samples)),
        "error": np.concatenate([found.estimate - truth for found in samples]),
        "d2": np.concatenate([(part**2).sum(axis=0) for part in influence]),
        "d4": np.concatenate([(part**4).sum(axis=0) for part in influence]),
    }
    pq.write_table(pa.table(columns), folder / "samples.parquet")
    size = f"contrast_variance(0, d2, d4, {len(influence[0])}, 1)"
    found = sql(
        f"(SELECT list(share ORDER BY model) FROM (SELECT model, "
        f"avg((abs(error) < z95() * sqrt({size}))::INTEGER) AS share "
        f"FROM '{folder}/samples.parquet' WHERE NOT isnan(error) GROUP BY model))"
    )
    return np.array(found)


def test_the_interval_covers(tmp_path: Path) -> None:
    """Of eight models with a known distance from the line, on 120 images, 200 times."""
    random = np.random.default_rng(6)
    ability, harm = np.linspace(-0.2, 1.4, 8), 0.6 + np.array([0, 0.2, -0.1, 0, 0.3, 0, -0.2, 0.1])

    def outcomes(num_images: int) -> tuple[np.ndarray, np.ndarray]:
        difficulty = random.normal(size=(num_images, 1))
        noise = random.normal(size=(2, num_images, 8))
        clean, perturbed = difficulty + noise < np.stack([ability, ability - harm])[:, None]
        return clean.astype(float), perturbed.astype(float)

    truth = fit(*outcomes(200_000), np.arange(8)).estimate
    samples = [fit(*outcomes(120), np.arange(8)) for _ in range(200)]
    assert covered(samples, truth, tmp_path).mean() >= 0.93


def test_models_without_a_right_image_bend_no_line(tmp_path: Path) -> None:
    """Eight models on a line, from 0.02 to 38 %, on 500 images: a fifth have none right."""
    random = np.random.default_rng(0)
    clean = ndtri(np.linspace(0.4, 0.9, 8))
    share = (clean - clean[0]) / (clean[-1] - clean[0])
    perturbed = ndtri(0.0002) + share * (ndtri(0.378) - ndtri(0.0002))
    at = np.stack([clean, perturbed])[:, None]

    def outcomes() -> tuple[np.ndarray, np.ndarray]:
        draws = random.normal(size=(500, 1)), random.normal(size=(2, 500, 8))
        right, kept = sum(draws) / np.sqrt(2) < at
        return right.astype(float), kept.astype(float)

    studies = [outcomes() for _ in range(150)]
    assert np.mean([kept.mean(axis=0) == 0 for _, kept in studies]) > 0.2
    samples = [fit(*study, np.arange(8)) for study in studies]
    errors = np.array([found.estimate for found in samples])
    # Least squares through clipped probits: 8 points above the line, and a coverage of 0.67.
    assert np.abs(np.nanmean(errors, axis=0)).max() < 0.015
    assert covered(samples, np.zeros(8), tmp_path).min() >= 0.89
