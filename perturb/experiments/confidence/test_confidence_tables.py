"""Tables of confidence: which predictions are in which row."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.experiments.confidence.values import COVERAGES
from perturb.tables.facts import DATASETS
from perturb.tables.run import make_table
from tests.hand_made import Rows, decided, resnet, vit, written
from tests.study_tables import rows_where


def sure(rows: Rows, confidence: float = 0.75) -> Rows:
    """Return predictions with this confidence."""
    return [{**row, "confidence": confidence, "loss": 0.5} for row in rows]


def corrupted(outcomes: str, condition: str, severity: int, **values: Any) -> Rows:
    """Return predictions under a corruption."""
    values = {"perturbation": "corruptions", "condition": condition} | values
    return sure(decided("a", outcomes, severity=float(severity), **values))


CLEAN = sure(decided("a", "110110"))


def calibration(folder: Path, predictions: Rows, models: Rows | None = None) -> pa.Table:
    """Return the table of a study with these predictions."""
    return make_table("calibration", written(folder, models or [vit("a", 16)], predictions))


def test_a_row_is_a_test_set_or_a_severity(tmp_path: Path) -> None:
    predictions = [
        *CLEAN,
        *sure(decided("a", "100", dataset="art")),
        *sure(decided("a", "111", dataset="conflict")),
        *sure(decided("a", "10", dataset="small")),
        *corrupted("1100", "fog", 3),
        *corrupted("1000", "snow", 3),
        *corrupted("0000", "fog", 5),
        # Of the extra four, which are in no mean.
        *corrupted("0000", "spatter", 3),
    ]
    table = calibration(tmp_path, predictions)
    rows = {(row["test_set"], row["corruption_severity"]): row for row in table.to_pylist()}
    assert list(rows) == [
        ("clean", None),
        ("corruptions", 0),
        ("corruptions", 3),
        ("corruptions", 5),
        ("renditions", None),
        ("small", None),
    ]
    sizes = {key: (row["num_images"], row["num_predictions"]) for key, row in rows.items()}
    assert sizes["clean", None] == (6, 6)
    # The same images, unchanged.
    assert sizes["corruptions", 0] == (4, 4)
    assert sizes["corruptions", 3] == (4, 8)
    accuracies = [row["accuracy"] for row in rows.values()]
    assert accuracies == pytest.approx([4 / 6, 3 / 4, 3 / 8, 0, 1 / 3, 1 / 2])
    worst = rows["corruptions", 5]
    assert worst["auroc"] is worst["auroc_low"] is None
    assert worst["aurc"] == pytest.approx(1)
    assert worst["plain_calibration_error"] == pytest.approx(0.75)
    assert worst["brier_score"] == pytest.approx(0.75**2)
    assert worst["log_loss"] == pytest.approx(0.5)


def test_the_reference_is_not_compared(tmp_path: Path) -> None:
    models = [vit("a", 16), resnet("r", is_reference=True)]
    both = [*CLEAN, *sure(decided("r", "110110"))]
    table = calibration(tmp_path, both, models)
    assert table["model"].to_pylist() == ["a"]


def test_stored_corruptions_are_matched_with_their_clean_images(tmp_path: Path) -> None:
    stored = corrupted("1010", "fog", 2, perturbation="stored_corruptions", dataset="stored")
    renamed = [{**row, "image_id": f"fog/2/{row['image_id']}"} for row in stored]
    sources = written(tmp_path, [vit("a", 16)], [*CLEAN, *renamed])
    roles = {"shapes": "clean", "stored": "corrupted"}
    facts = [{"dataset": id, "label": id, "role": role} for id, role in roles.items()]
    pq.write_table(pa.Table.from_pylist(facts, DATASETS), sources["datasets"])
    table = make_table("calibration", sources)
    [unchanged] = rows_where(table, corruption_severity=0)
    [changed] = rows_where(table, corruption_severity=2)
    assert unchanged["num_images"] == changed["num_images"] == 4
    assert changed["test_set_label"] == "Corruptions (stored)"


def test_bins_and_coverages_have_a_row_each(tmp_path: Path) -> None:
    predictions = [
        {**row, "confidence": 0.3 + place / 50}
        for place, row in enumerate(sure(decided("a", "01" * 15)))
    ]
    sources = written(tmp_path, [vit("a", 16)], predictions)
    bins = make_table("reliability", sources)
    assert bins["confidence_bin"].to_pylist() == list(range(1, 16))
    assert bins["bin_size"].to_pylist() == [2] * 15
    assert bins["bin_accuracy"].to_pylist() == [0.5] * 15
    assert bins["bin_confidence"].to_pylist() == sorted(bins["bin_confidence"].to_pylist())
    kept = make_table("risk_coverage", sources)
    assert kept["coverage"].to_pylist() == pytest.approx(list(COVERAGES))
    assert kept["selective_error"].to_pylist()[-1] == 0.5


def test_predictions_without_confidence_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="predictions of a have no confidence or no loss"):
        calibration(tmp_path, decided("a", "110"))
