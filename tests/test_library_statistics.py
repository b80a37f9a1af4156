"""Intervals of the library against scipy, NumPy and hand-made cases."""

import math
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

import perturb
from tests.interval_oracles import contrast
from tests.plain_models import predicted, small_cnn, small_vit, some_images


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (3, 10), (999, 1000), (50, 100)])
def test_wilson_is_that_of_scipy(count: int, total: int) -> None:
    low, high = stats.binomtest(count, total).proportion_ci(method="wilson")
    assert perturb.wilson(count, total) == pytest.approx((low, high), abs=1e-12)
    assert perturb.wilson(np.int64(count), total).low == perturb.wilson(count, total).low


def test_a_paired_difference_is_the_mean_of_the_images_differences() -> None:
    random = np.random.default_rng(1)
    first, second = random.random(200) < 0.7, random.random(200) < 0.6
    differences = first.astype(float) - second
    found = perturb.paired_difference(first, list(map(bool, second)))
    expected = differences.mean(), *contrast(differences)
    assert found[:3] == pytest.approx(expected, abs=1e-12)
    assert found.num_images == 200
    assert perturb.paired_difference(second, first).difference == -found.difference


def test_a_paired_difference_of_rows_counts_an_image_once() -> None:
    pair = some_images(), predicted(small_vit(), some_images())
    asked: dict[str, Any] = {"severity": 4, "conditions": ["fog", "snow", "contrast"]}
    rows = [
        perturb.evaluate(model, pair, "corruptions", **asked)
        for model in (small_cnn(), small_vit())
    ]
    first, second = rows
    found = perturb.paired_difference(first, second.sample(frac=1, random_state=0))
    by_image = [frame.groupby("image_id")["is_correct"].mean() for frame in rows]
    differences = by_image[0] - by_image[1]
    assert found.difference == pytest.approx(differences.mean(), abs=1e-12)
    assert differences.std() > 0
    assert (found.low, found.high) == pytest.approx(contrast(differences), abs=1e-12)
    assert found.num_images == 8
    with pytest.raises(ValueError, match=r"8 rows are only in first, such as .* condition snow"):
        perturb.paired_difference(first, second[second["condition"] != "snow"])
    with pytest.raises(ValueError, match="first has rows of 2 models"):
        perturb.paired_difference(_as_two_models(first), second)
    with pytest.raises(ValueError, match="second has no column target, is_correct; allowed: rows"):
        perturb.paired_difference(first, second.drop(columns=["target", "is_correct"]))
    with pytest.raises(ValueError, match="first has no row"):
        perturb.paired_difference(first[:0], second)


def _as_two_models(frame: Any) -> Any:
    return frame.assign(model=["a"] + ["b"] * (len(frame) - 1))


@pytest.mark.parametrize("count", [1, 2, 400])
def test_equal_models_may_differ_on_other_images(count: int) -> None:
    """No image of n distinguishes them: as far as Wilson's interval of 0 of n goes."""
    found = perturb.paired_difference([True] * count, [True] * count)
    assert (found.difference, found.num_images) == (0, count)
    high = stats.binomtest(0, count).proportion_ci(method="wilson").high
    assert (found.low, found.high) == pytest.approx((-high, high), abs=1e-12)


def test_shape_bias_by_hand() -> None:
    """Three of shape, one of texture, one of neither, one image without a conflict."""
    shapes = np.array([1, 2, 3, 4, 5, 6])
    textures = np.array([2, 1, 1, 1, 1, 6])
    found = perturb.shape_bias([1, 2, 3, 1, 9, 6], shapes, textures)
    assert found[3:] == (3, 1, 5)
    assert found.shape_bias == 0.75
    assert (found.low, found.high) == pytest.approx(perturb.wilson(3, 4), abs=1e-12)
    neither = perturb.shape_bias([9], [1], [2])
    assert math.isnan(neither.shape_bias)
    assert neither.num_images == 1


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("wilson", (3, 2), "num_correct is 3; allowed: a whole number, 0 to 2"),
        ("wilson", (0, 0), "num_images is 0; allowed: a whole number, 1 or more"),
        ("wilson", (0.5, 2), "num_correct is 0.5; allowed: a whole number, 0 to 2"),
        ("wilson", (True, 2), "num_correct is True; allowed"),
        ("paired_difference", ([True], [True, False]), "first has 1 images, second 2"),
        ("paired_difference", ([1.0], [0.0]), "first is float64 (1,); allowed: bool (N,)"),
        ("paired_difference", ([], []), "first is float64 (0,); allowed: bool (N,)"),
        ("shape_bias", ([0], [1, 2], [1, 2]), "allowed: as many of each"),
        ("shape_bias", ([0.5], [1], [2]), "predictions are float64 (1,); allowed: a class an im"),
        ("shape_bias", ([1], [1], [1]), "shape and texture are of one class in every image"),
    ],
)
def test_mistakes_are_named(function: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(perturb, function)(*arguments)
