"""Confidence: hand cases, scikit-learn and direct sums as oracles, intervals that cover."""

import math
from itertools import permutations

import numpy as np
import pytest
from sklearn import metrics

from benchmarks.confidence_coverage import KINDS, drawn, measures, truth
from perturb.experiments.confidence.calibration import (
    bins_of,
    calibration_error,
    plain_calibration_error,
)
from perturb.experiments.confidence.intervals import bounded, positive, spread
from perturb.experiments.confidence.measures import (
    aurc,
    auroc,
    brier_score,
    log_loss,
    selective_error,
)
from perturb.experiments.confidence.predictions import Predictions, ordered


def said(confidence: list[float], right: str, image: list[int] | None = None) -> Predictions:
    """Return predictions of which `right` has a letter each: 1 is right, 0 is wrong."""
    is_right = np.array([float(letter) for letter in right])
    probability = np.array(confidence)
    target = np.where(is_right == 1, probability, (1 - probability) / 2)
    numbers = np.arange(len(right)) if image is None else np.array(image)
    return Predictions(numbers, probability, is_right, -np.log(target))


def some(num_images: int = 50, per_image: int = 3, *, is_tied: bool = False) -> Predictions:
    """Return predictions of an overconfident model; ties if the confidence is rounded."""
    of = drawn(KINDS["overconfident"], num_images, per_image, np.random.default_rng(0))
    confidence = np.round(of.confidence, 1) if is_tied else of.confidence
    return Predictions(of.image, confidence, of.is_right, of.loss)


def test_numbers_of_a_few_predictions() -> None:
    of = said([0.9, 0.8, 0.6, 0.5], "1011")
    assert brier_score(of).value == pytest.approx((0.1**2 + 0.8**2 + 0.4**2 + 0.5**2) / 4)
    assert log_loss(of).value == pytest.approx(-np.log([0.9, 0.1, 0.6, 0.5]).mean())
    # Of three pairs of a right and a wrong one, one is in order.
    assert auroc(of).value == pytest.approx(1 / 3)
    assert aurc(of).value == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert [selective_error(of, k / 4).value for k in (1, 2, 3, 4)] == [0, 1 / 2, 1 / 3, 1 / 4]
    bins = bins_of(of, 2)
    assert bins.size.tolist() == [2, 2]
    assert plain_calibration_error(bins) == pytest.approx((0.45 + 0.35) / 2)


@pytest.mark.parametrize("is_tied", [False, True])
def test_scikit_learn_agrees(is_tied: bool) -> None:
    of = some(is_tied=is_tied)
    assert auroc(of).value == pytest.approx(metrics.roc_auc_score(of.is_right, of.confidence))
    assert brier_score(of).value == pytest.approx(
        metrics.brier_score_loss(of.is_right, of.confidence)
    )
    # Of two classes, the predicted one and all others.
    of = Predictions(of.image, *_two_classes(of))
    assert log_loss(of).value == pytest.approx(metrics.log_loss(of.is_right, of.confidence))


def _two_classes(of: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    confidence = np.clip(of.confidence, 0.01, 0.99)
    target = np.where(of.is_right == 1, confidence, 1 - confidence)
    return confidence, of.is_right, -np.log(target)


def test_area_under_risk_over_coverage_is_the_mean_of_all_its_points() -> None:
    of = some()
    wrong = 1 - of.is_right[np.argsort(-of.confidence)]
    points = np.cumsum(wrong) / np.arange(1, len(of) + 1)
    assert aurc(of).value == pytest.approx(points.mean())
    for kept in (3, 75, 150):
        assert selective_error(of, kept / 150).value == pytest.approx(points[kept - 1])


def test_equal_confidence_is_a_mean_over_all_orders() -> None:
    confidence, right = [0.9, 0.5, 0.5, 0.5, 0.2], "01101"
    orders = [[0, *middle, 4] for middle in permutations([1, 2, 3])]
    wrong = [[1 - int(right[place]) for place in order] for order in orders]
    points = np.mean([np.cumsum(row) / np.arange(1, 6) for row in wrong], axis=0)
    of = said(confidence, right)
    assert aurc(of).value == pytest.approx(points.mean())
    for kept in range(1, 6):
        assert selective_error(of, kept / 5).value == pytest.approx(points[kept - 1])


def test_calibration_error_equals_a_plain_form() -> None:
    of = some()
    order = np.argsort(of.confidence)
    gaps = [
        len(rows) * abs(of.is_right[rows].mean() - of.confidence[rows].mean())
        for rows in np.array_split(order, 15)
    ]
    assert plain_calibration_error(bins_of(of)) == pytest.approx(sum(gaps) / len(of))


def test_the_correction_is_what_drawn_accuracies_give() -> None:
    """As Kumar et al. compute it, with the standard errors of the bins."""
    of = some(400, 1)
    bins = bins_of(of)
    draws = np.random.default_rng(0).normal(bins.gap, bins.error, (200_000, len(bins.gap)))
    drawn_error = (np.abs(draws) * bins.size / len(of)).sum(axis=1).mean()
    plain = plain_calibration_error(bins)
    assert calibration_error(of, bins).value == pytest.approx(2 * plain - drawn_error, abs=2e-4)


def test_equal_confidence_shares_a_bin() -> None:
    of = some(is_tied=True)
    bins = bins_of(of)
    found = {value: set(bins.bin[of.confidence == value]) for value in np.unique(of.confidence)}
    assert all(len(places) == 1 for places in found.values())
    assert bins.size.sum() == len(of)
    assert len(bins.number) < 15
    constant = bins_of(said([0.7] * 10, "1" * 7 + "0" * 3))
    assert (constant.number.tolist(), constant.size.tolist()) == ([8], [10])
    assert plain_calibration_error(constant) == pytest.approx(0)


@pytest.mark.parametrize(
    ("measure", "is_tied"),
    [
        (measure, is_tied)
        for measure in ("Brier", "NLL", "AUROC", "AURC", "error at 80 %")
        for is_tied in (False, True)
    ],
)
def test_variance_is_that_of_leaving_out_images(measure: str, is_tied: bool) -> None:
    """The jackknife over images, an oracle of the influences."""
    num_images = 300
    of = some(num_images, 2, is_tied=is_tied)

    def without(image: int) -> float:
        kept = of.image != image
        columns = (of.confidence[kept], of.is_right[kept], of.loss[kept])
        left = ordered(of.image[kept], np.zeros(kept.sum(), int), *columns)
        return measures(left)[measure].value

    values = np.array([without(image) for image in range(num_images)])
    jackknife = (num_images - 1) * values.var()
    assert _variance(of, measure) == pytest.approx(jackknife, rel=0.08)


def _variance(of: Predictions, measure: str) -> float:
    """Return the variance behind an interval, from its distance to the value for many images."""
    found = measures(Predictions(of.image, of.confidence, of.is_right, of.loss))[measure]
    if measure == "NLL":
        return (math.log(found.high / found.value) * found.value / 1.97) ** 2
    return ((found.high - found.low) / 2 / 1.98) ** 2


def test_predictions_on_one_image_are_one_observation() -> None:
    one = some(80, 1)
    fourfold = [np.repeat(column, 4) for column in (one.image, one.confidence, one.is_right)]
    of = Predictions(*fourfold, np.repeat(one.loss, 4))
    for name in ("Brier", "NLL", "AUROC"):
        alone, repeated = measures(one)[name], measures(of)[name]
        assert repeated.low == pytest.approx(alone.low), name
        assert repeated.high == pytest.approx(alone.high), name


def test_what_is_undefined_is_no_number() -> None:
    for right in ("1111", "0000"):
        assert math.isnan(auroc(said([0.9, 0.8, 0.7, 0.6], right)).value)
    lone = brier_score(said([0.9], "1"))
    assert lone.value == pytest.approx(0.01)
    assert math.isnan(lone.low)
    sure = Predictions(np.arange(3), np.ones(3), np.ones(3), np.zeros(3))
    assert math.isnan(log_loss(sure).high)


@pytest.mark.parametrize("rounding", [0, 1e-7])
def test_equal_losses_have_no_interval(rounding: float) -> None:
    """They show no spread; a shard rounds them to single precision."""
    loss = 0.693 * (1 + rounding * np.array([-1, 1] * 5))
    of = Predictions(np.arange(10), np.full(10, 0.5), np.array([1.0, 0.0] * 5), loss)
    found = log_loss(of)
    assert found.value == pytest.approx(0.693)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    loss[3] = 0.8
    found = log_loss(Predictions(of.image, of.confidence, of.is_right, loss))
    assert found.low < found.value < found.high


def test_a_calibrated_model_keeps_about_half_of_the_bias() -> None:
    """As the method says; the lower end of the interval allows for the rest."""
    random = np.random.default_rng(1)
    studies = [drawn(KINDS["calibrated"], 480, 1, random) for _ in range(100)]
    found = [calibration_error(of, bins_of(of)) for of in studies]
    plain = np.mean([plain_calibration_error(bins_of(of)) for of in studies])
    assert plain == pytest.approx(0.044, abs=0.003)
    assert np.mean([each.value for each in found]) == pytest.approx(0.024, abs=0.003)
    assert np.mean([each.low == 0 for each in found]) >= 0.95


def test_intervals_stay_within_bounds_and_have_a_width() -> None:
    for right in ("1" * 30, "0" * 30, "1" * 29 + "0"):
        of = said([0.99] * 15 + [0.98] * 15, right)
        for name, found in measures(of).items():
            if not math.isnan(found.value) and name != "NLL":
                assert 0 <= found.low <= found.value <= found.high <= 1, name
                assert found.low < found.high, name


def test_a_proportion_has_the_interval_of_agresti_and_coull() -> None:
    is_right = np.repeat([1.0, 0.0], [900, 100])
    found = spread(is_right - 0.9, np.arange(1000), 1000)
    estimate = bounded(0.9, found, 1000)
    centre = (900 + 1.92) / 1003.84
    reach = 1.96 * math.sqrt(centre * (1 - centre) / 1003.84)
    assert (estimate.low, estimate.high) == pytest.approx(
        (centre - reach, centre + reach), rel=1e-3
    )


def test_the_interval_of_a_mean_is_students_where_all_images_vary_alike() -> None:
    values = np.random.default_rng(0).normal(5, 1, 10_000)
    found = spread(values - values.mean(), np.arange(10_000), 10_000)
    assert found.variance == pytest.approx(values.var(ddof=1) / 10_000)
    estimate = positive(float(values.mean()), found)
    reach = math.log(estimate.high / estimate.value) * estimate.value
    assert reach / math.sqrt(found.variance) == pytest.approx(1.96, abs=2e-3)
    assert estimate.low * estimate.high == pytest.approx(estimate.value**2)


@pytest.mark.parametrize(("kind", "per_image"), [("calibrated", 1), ("overconfident", 5)])
def test_intervals_cover(kind: str, per_image: int) -> None:
    """`python -m benchmarks.confidence_coverage` measures more kinds and sizes."""
    random = np.random.default_rng(0)
    true = truth(KINDS[kind], random, 300_000)
    found = [measures(drawn(KINDS[kind], 240, per_image, random)) for _ in range(200)]
    for name, value in true.items():
        inside = np.mean([each[name].low <= value <= each[name].high for each in found])
        # 200 studies: three standard errors below 95 %.
        assert inside >= 0.905, name


def test_the_order_of_files_changes_no_bit() -> None:
    of = some(is_tied=True)
    variant = np.tile(np.arange(3), 50)
    order = np.random.default_rng(0).permutation(len(of))
    columns = (of.confidence, of.is_right, of.loss)
    shuffled = ordered(of.image[order], variant[order], *(column[order] for column in columns))
    assert measures(shuffled) == measures(ordered(of.image, variant, *columns))
