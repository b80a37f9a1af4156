"""The macros of intervals.sql: against SciPy, an implementation in NumPy, and at their ends."""

import functools
import math
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from benchmarks import coverage, coverage_cases
from perturb.tables.connection import define_functions
from tests.interval_oracles import clustered, contrast, contrast_moments, drawn


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    define_functions(connection)
    return connection


def sql(*expressions: str) -> Any:
    """Return the value of an expression over the macros, or of several."""
    [found] = _connection().sql(f"SELECT {', '.join(expressions)}").fetchall()
    return found[0] if len(found) == 1 else found


def ends(macro: str, *arguments: object) -> tuple[float, float]:
    """Return both ends that a pair of macros gives."""
    given = ", ".join(map(str, arguments))
    return sql(f"{macro}_low({given})", f"{macro}_high({given})")


def accuracy_ends(k: np.ndarray, predictions: int) -> tuple[float, float]:
    """Return the interval from the correct predictions of each image."""
    return ends("accuracy", k.sum(), (k**2).sum(), len(k), predictions)


def contrast_ends(d: np.ndarray, reach: float = 1) -> tuple[float, float]:
    """Return the interval from each image's value of a comparison."""
    return ends("contrast", d.sum(), (d**2).sum(), (d**4).sum(), len(d), reach)


@pytest.mark.parametrize(
    ("count", "total"), [(0, 1), (1, 1), (3, 10), (999, 1000), (60_000, 120_000)]
)
def test_one_prediction_an_image_is_wilsons_interval(count: int, total: int) -> None:
    expected = stats.binomtest(count, total).proportion_ci(method="wilson")
    for found in (
        ends("wilson", count, total),
        ends("accuracy", count, count, total, 1),
        ends("ratio", count, total, count, count, total, total),
    ):
        assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("predictions", [2, 15, 75])
@pytest.mark.parametrize("accuracy", [0.02, 0.4, 0.9, 0.995])
def test_clustered_intervals_equal_numpy(accuracy: float, predictions: int) -> None:
    random = np.random.default_rng(1)
    k = random.binomial(predictions, random.beta(2 * accuracy, 2 - 2 * accuracy, 80))
    expected = clustered(k, predictions)
    assert accuracy_ends(k, predictions) == pytest.approx(expected, abs=1e-12)
    n = random.integers(1, predictions + 1, 80)
    k = np.minimum(k, n)
    sums = k.sum(), n.sum(), (k**2).sum(), (k * n).sum(), (n**2).sum(), 80
    assert ends("ratio", *sums) == pytest.approx(clustered(k, n), abs=1e-12)


def test_predictions_that_agree_on_every_image_are_one_each() -> None:
    """All 15 predictions of 55 of 72 images are right: as much evidence as 72 predictions."""
    low, high = accuracy_ends(np.repeat([15, 0], [55, 17]), 15)
    of_images = stats.binomtest(55, 72).proportion_ci(method="wilson")
    assert low == pytest.approx(of_images.low, abs=1e-12)
    # Agresti and Coull's near 1, which is no narrower.
    assert of_images.high < high < of_images.high + 0.001


def test_independent_predictions_are_the_most_evidence_that_there_is() -> None:
    """Every image has 8 of 15 right, more alike than by chance: as 1,080 predictions."""
    low, high = accuracy_ends(np.full(72, 8), 15)
    assert high == pytest.approx(sql(f"wilson_high({8 * 72}, {15 * 72})"), abs=1e-3)
    width = high - low
    assert width >= sql(f"wilson_high({8 * 72}, {15 * 72}) - wilson_low({8 * 72}, {15 * 72})")


@pytest.mark.parametrize(("images", "predictions"), [(5, 3), (72, 15), (240, 15), (5000, 75)])
def test_a_wrong_prediction_never_narrows_an_interval(images: int, predictions: int) -> None:
    for is_one_image in (True, False):
        widths = []
        for wrong in range(min(images, predictions, 8) + 1):
            k = np.full(images, predictions)
            if is_one_image:
                k[0] -= wrong
            else:
                k[:wrong] -= 1
            low, high = accuracy_ends(k, predictions)
            widths.append(high - low)
            assert accuracy_ends(predictions - k, predictions) == pytest.approx(
                (1 - high, 1 - low), abs=1e-12
            )
        assert widths[0] == pytest.approx(1 - sql(f"wilson_low({images}, {images})"), abs=1e-12)
        early = widths[:3]
        assert all(one < other for one, other in pairwise(early))
        assert min(widths) == widths[0]


def test_a_mean_of_values_from_0_to_1_is_agresti_and_coulls() -> None:
    y = np.repeat([1, 0], [70, 2])
    arguments = f"{y.sum()}, {(y**2).sum()}, {len(y)}"
    z2 = stats.norm.ppf(0.975) ** 2
    centre = (70 + z2 / 2) / (72 + z2)
    assert sql(f"bounded_centre({arguments})") == pytest.approx(centre, abs=1e-12)
    variance = centre * (1 - centre) / (72 + z2)
    assert sql(f"bounded_variance({arguments})") == pytest.approx(variance, abs=1e-12)


@pytest.mark.parametrize("scale", [1, 0.02])
def test_contrasts_equal_numpy_and_hold_their_estimate(scale: float) -> None:
    random = np.random.default_rng(2)
    for shares in ((0, 0, 1), (0.01, 0, 0.99), (0.3, 0.1, 0.6), (1, 0, 0)):
        d = scale * random.choice([1.0, -1.0, 0.0], size=90, p=shares)
        low, high = contrast_ends(d)
        assert (low, high) == pytest.approx(contrast(d), abs=1e-12)
        assert low < d.mean() <= high
        assert contrast_ends(-d) == pytest.approx((-high, -low), abs=1e-12)
        # In other units the interval is the same.
        longer = contrast_ends(3 * d, 3)
        assert longer == pytest.approx((3 * low, 3 * high), abs=1e-12)


@pytest.mark.parametrize("images", [1, 2, 72, 50_000])
def test_no_difference_reaches_as_far_as_wilsons_interval_of_none(images: int) -> None:
    high = stats.binomtest(0, images).proportion_ci(method="wilson").high
    assert contrast_ends(np.zeros(images)) == pytest.approx((-high, high), abs=1e-12)
    assert ends("difference", 0, 0, 0, images, 75) == pytest.approx((-high, high), abs=1e-12)


def test_lines_count_distances_from_the_mean() -> None:
    x = np.random.default_rng(3).normal(5, 1, 40)
    with duckdb.connect() as connection:
        define_functions(connection)
        rows = ", ".join(f"({key}, {value})" for key, value in enumerate(x))
        found = connection.sql(
            f"SELECT line_half_width(x, key, 4), mean_half_width(x, key) "
            f"FROM (VALUES {rows}) AS rows (key, x)"
        ).fetchall()
    variance = contrast_moments(x - x.mean(), 4)[1]
    assert found[0][0] == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(variance), abs=1e-12)
    student = stats.t.interval(0.95, 39, x.mean(), stats.sem(x))
    assert found[0][1] == pytest.approx((student[1] - student[0]) / 2, abs=1e-12)


def test_variances_of_two_samples_are_welchs() -> None:
    random = np.random.default_rng(4)
    first, second = random.normal(0, 1, 5), random.normal(1, 4, 9)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    variances = [np.var(sample, ddof=1) / len(sample) for sample in (first, second)]
    total = f"({variances[0]} + {variances[1]})"
    parts = f"freedom_part({variances[0]}, 4) + freedom_part({variances[1]}, 8)"
    found = ends(
        "interval", first.mean() - second.mean(), total, f"total_freedom({total}, {total}, {parts})"
    )
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_quantile_of_known_and_estimated_variances_is_their_mean() -> None:
    found = ends("interval", 1, 4, "total_freedom(4, 1, freedom_part(1, 3))")
    half_width = (3 * stats.norm.ppf(0.975) + stats.t.ppf(0.975, 3)) / 4 * math.sqrt(4)
    assert found == pytest.approx((1 - half_width, 1 + half_width), abs=1e-9)
    known = ends("interval", 1, 4, "total_freedom(4, 0, freedom_part(0, 0))")
    assert known == pytest.approx(stats.norm.interval(0.95, 1, 2), abs=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 4])
def test_a_known_variance_and_one_of_few_values_cover(freedom: int) -> None:
    """At Satterthwaite's degrees of freedom 0.87, 0.92 and 0.94 of them cover."""
    random = np.random.default_rng(5)
    total = f"total_freedom(1 + drawn, drawn, freedom_part(drawn, {freedom}))"
    for deviation in (0.3, 1, 3, 10):
        error = math.hypot(1, deviation) * random.standard_normal(4000)
        drawn = deviation**2 * random.chisquare(freedom, 4000) / freedom
        with duckdb.connect() as connection:
            define_functions(connection)
            connection.register("made", pa.table({"drawn": drawn}))
            ends = connection.sql(f"SELECT interval_high(0, 1 + drawn, {total}) AS high FROM made")
            high = ends.fetchnumpy()["high"]
        assert np.mean(abs(error) <= high) > 0.93


def test_draws_widen_an_interval_unless_there_are_no_others() -> None:
    images = clustered([3, 2, 2, 0, 1, 3, 3], 3)
    accuracies = [0.5, 0.7, 0.8]
    variance = np.var(accuracies, ddof=1) / 3
    expected = drawn(images, 2 / 3, accuracies)
    low = sql(f"drawn_low(2 / 3, {images.low}, {variance}, 3)")
    high = sql(f"drawn_high(2 / 3, {images.high}, {variance}, 3)")
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    assert low < images.low
    for nothing in ("0", "NULL"):
        assert sql(f"drawn_low(2 / 3, 0.4, {nothing}, 3)") == 0.4


@pytest.mark.parametrize(
    "expression",
    [
        "accuracy_low(NULL, NULL, 3, 5)",
        "contrast_high(NULL, 1, 1, 3, 1)",
        "contrast_low(0, NULL, 1, 3, 1)",
        "drawn_low(NULL, NULL, 1, 3)",
        "interval_low(NULL, 1, 3)",
        "mean_half_width(x, x)",
    ],
)
def test_nothing_known_gives_no_end(expression: str) -> None:
    with duckdb.connect() as connection:
        define_functions(connection)
        found = connection.sql(f"SELECT {expression} FROM (VALUES (1.0)) AS one (x)").fetchall()
    assert found == [(None,)]


def test_differences_hold_the_truth_in_more_than_92_percent() -> None:
    """2,000 studies a setting: three standard errors of the least of 54 below 0.935."""
    kind = next(kind for kind in coverage.KINDS if kind.simulate is coverage_cases.pairs)
    for before, now in coverage.coverages(kind, 2000):
        assert now.covered > 0.92, now
        assert max(now.missed_low, now.missed_high) < 0.05, now
        assert now.covered >= before.covered - 0.02, now


@pytest.mark.parametrize(("accuracy", "rho"), [(0.998, 0.9), (0.99, 0.3), (0.5, 0.9)])
def test_accuracies_of_72_images_hold_the_truth_in_more_than_92_percent(
    accuracy: float, rho: float
) -> None:
    random = np.random.default_rng(5)
    spread = (1 - rho) / rho
    k = random.binomial(15, random.beta(accuracy * spread, (1 - accuracy) * spread, (2000, 72)))
    sums = {"k": k.sum(1), "k2": (k**2).sum(1), "n": 72.0, "m": 15.0}
    with duckdb.connect() as connection:
        define_functions(connection)
        case = coverage_cases.Case("", accuracy, sums)
        found = coverage.measure(connection, case, coverage.KINDS[0].now)
    assert found.covered > 0.92
