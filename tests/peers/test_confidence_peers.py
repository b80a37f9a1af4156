"""Measures of confidence against scikit-learn and SciPy, with equal confidences and without."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn import metrics
from sklearn.calibration import calibration_curve

from perturb.experiments.confidence.calibration import NUM_BINS, bins_of, plain_calibration_error
from perturb.experiments.confidence.measures import (
    aurc,
    auroc,
    brier_score,
    log_loss,
    selective_error,
)
from perturb.experiments.confidence.predictions import Predictions
from perturb.experiments.confidence.values import COVERAGES

NUM_CLASSES = 7
NUM_PREDICTIONS = 40 * NUM_BINS
SHARED_BY = {"none": 1, "blocks": 8, "rounded": 0}


def probabilities_and_targets(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return what an overconfident model says of each class (N, K), and the right class (N,)."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(NUM_PREDICTIONS, NUM_CLASSES)) * 2
    chances = softmax(logits / 2, axis=1).cumsum(axis=1)
    targets = (random.random((NUM_PREDICTIONS, 1)) > chances).sum(axis=1)
    return softmax(logits, axis=1), targets


@pytest.fixture(params=SHARED_BY)
def of(request: pytest.FixtureRequest) -> Predictions:
    """Return predictions whose confidence none share, eight of one bin do, or many across bins."""
    probabilities, targets = probabilities_and_targets()
    confidence = probabilities.max(axis=1)
    is_right = (probabilities.argmax(axis=1) == targets).astype(float)
    loss = -np.log(probabilities[np.arange(NUM_PREDICTIONS), targets])
    if request.param == "rounded":
        confidence = np.round(confidence, 1)
    else:
        size = SHARED_BY[request.param]
        place = rankdata(confidence, method="ordinal").astype(int) - 1
        confidence = np.sort(confidence)[place // size * size]
    return Predictions(np.arange(NUM_PREDICTIONS), confidence, is_right, loss)


def is_shared_across_bins(of: Predictions) -> bool:
    return len(bins_of(of).number) < NUM_BINS


def test_bins_are_those_of_scikit_learn(of: Predictions) -> None:
    """Where no confidence lies in two bins: scikit-learn puts that in one by its value."""
    bins = bins_of(of)
    if is_shared_across_bins(of):
        # SciPy's mean rank of equal values, the rule of the method, instead.
        place = NUM_BINS * (rankdata(of.confidence) - 0.5) // len(of)
        rows = [place == number for number in np.unique(place)]
        accuracy = np.array([of.is_right[row].mean() for row in rows])
        confidence = np.array([of.confidence[row].mean() for row in rows])
        mass = np.array([row.mean() for row in rows])
    else:
        accuracy, confidence = calibration_curve(
            of.is_right, of.confidence, n_bins=NUM_BINS, strategy="quantile"
        )
        mass = np.full(NUM_BINS, 1 / NUM_BINS)
    assert bins.accuracy == pytest.approx(accuracy)
    assert bins.confidence == pytest.approx(confidence)
    expected = (mass * np.abs(accuracy - confidence)).sum()
    assert plain_calibration_error(bins) == pytest.approx(expected)


def test_the_ranking_is_that_of_scikit_learn(of: Predictions) -> None:
    assert auroc(of).value == pytest.approx(metrics.roc_auc_score(of.is_right, of.confidence))


def test_the_top_label_score_is_that_of_scikit_learn(of: Predictions) -> None:
    expected = metrics.brier_score_loss(of.is_right, of.confidence)
    assert brier_score(of).value == pytest.approx(expected)


def test_the_loss_is_that_of_scikit_learn(of: Predictions) -> None:
    assert log_loss(of).value == pytest.approx(
        metrics.log_loss(probabilities_and_targets()[1], probabilities_and_targets()[0])
    )


def test_error_over_coverage_is_that_of_scikit_learn(of: Predictions) -> None:
    """Its ROC curve of errors, of which a part of equal confidences is kept in proportion."""
    false, true, _ = metrics.roc_curve(1 - of.is_right, of.confidence, drop_intermediate=False)
    num_right = of.is_right.sum()
    wrong = true * (len(of) - num_right)
    kept = np.arange(1, len(of) + 1)
    risk = np.interp(kept, wrong + false * num_right, wrong) / kept
    assert aurc(of).value == pytest.approx(risk.mean())
    for coverage in COVERAGES:
        expected = risk[round(coverage * len(of)) - 1]
        assert selective_error(of, coverage).value == pytest.approx(expected)
