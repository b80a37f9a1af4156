"""Tables of rotations and translations, against values computed by hand and against pandas."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.tables.run import make_table
from tests.hand_made import Rows, decided, vit, written
from tests.interval_oracles import clustered
from tests.study_tables import rows_where, sql, table_of
from tests.synthetic_study import Study, make_study

SPATIAL = {"perturbation": "spatial", "severity": 1.0}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"), extras=("spatial",), corruptions=["fog"])


@pytest.fixture(scope="module")
def samples(study: Study) -> pd.DataFrame:
    paths = [path for path in study.predictions if "spatial" in path.parts]
    frame = pa.concat_tables([pq.read_table(path) for path in paths]).to_pandas()
    return frame[frame["condition"].astype(str) == "random"].assign(
        model=lambda rows: rows["model"].astype(str)
    )


def turned(
    outcomes: str, sample: int, rotation: float, x: int, y: int = 0, model: str = "a"
) -> Rows:
    """Return the random sample of this number, the same for every image."""
    transform = {"rotation_deg": rotation, "translation_x_px": x, "translation_y_px": y}
    return decided(model, outcomes, **SPATIAL, condition="random", sample=sample, **transform)


def test_worst_of_grid_and_of_ten_and_mean_by_hand(tmp_path: Path) -> None:
    """An image that fails only in the eleventh of twelve samples is correct in the first ten."""
    rows = [*decided("a", "1110"), *decided("a", "1000", **SPATIAL, condition="grid")]
    for sample in range(1, 13):
        rows += turned({1: "1010", 11: "1000"}.get(sample, "1110"), sample, 0, 0)
    sources = written(tmp_path, [vit("a", 8)], rows)
    [row] = make_table("spatial_accuracy", sources).to_pylist()
    assert (row["clean_accuracy"], row["worst_of_grid"], row["worst_of_10"]) == (0.75, 0.25, 0.5)
    right = np.array([12, 10, 11, 0]) / 12
    assert row["grid_mean"] == pytest.approx(right.mean(), abs=1e-12)
    assert row["grid_mean_low"] == pytest.approx(clustered(12 * right, 12).low, abs=1e-12)
    assert row["worst_of_10_low"] == pytest.approx(sql("wilson_low(2, 4)"))
    assert (row["num_images"], row["num_samples"]) == (4, 12)


@pytest.mark.parametrize("num_samples", [0, 9])
def test_fewer_than_ten_samples_have_no_worst_of_ten(tmp_path: Path, num_samples: int) -> None:
    rows = [*decided("a", "11"), *decided("a", "10", **SPATIAL, condition="grid")]
    for sample in range(1, num_samples + 1):
        rows += turned("11", sample, 0, 0)
    sources = written(tmp_path, [vit("a", 8)], rows)
    [row] = make_table("spatial_accuracy", sources).to_pylist()
    assert (row["worst_of_10"], row["worst_of_10_low"]) == (None, None)
    assert row["grid_mean"] == (1 if num_samples else None)
    assert make_table("spatial_grid", sources).num_rows == min(num_samples, 1)


def test_grid_cells_by_hand(tmp_path: Path) -> None:
    rows = [*decided("a", "111"), *decided("a", "000", **SPATIAL, condition="grid")]
    angles = (-6, -4, -2, 0, 2, 4, 6)
    for sample, rotation in enumerate(angles, 1):
        rows += turned("110", sample, rotation, 0)
    # Two more of one cell: a shift of 3 px is the middle of three, for either sign and axis.
    rows += turned("100", 8, 2, 3) + turned("000", 9, 2, 0, -3)
    rows += turned("001", 10, -4, -7, 3)
    table = make_table("spatial_grid", written(tmp_path, [vit("a", 8)], rows))
    bins = ["-6", "-4 to -2", "0", "2 to 4", "6"]
    assert table["rotation_bin"].unique().to_pylist() == bins
    assert table["translation"].unique().to_pylist() == [0.5, 1]
    [cell] = rows_where(table, rotation_bin="2 to 4", translation=0.5)
    # With the two samples of the bin without translation, two of three are correct in each.
    assert (cell["num_images"], cell["num_predictions"]) == (3, 12)
    assert cell["accuracy"] == pytest.approx(5 / 12)
    [cell] = rows_where(table, rotation_low_deg=-4, translation=1)
    assert cell["accuracy"] == pytest.approx(1 / 3)
    [cell] = rows_where(table, rotation_bin="6", translation=0.5)
    assert cell["accuracy"] == pytest.approx(2 / 3)


def test_translations_are_fractions_of_the_models_own_longest(tmp_path: Path) -> None:
    """At sides of 224 and 384 px, 24 px are the longest translation of the first only."""
    rows: list[dict[str, Any]] = []
    for model, distances in {"a": (0, 12, 24), "b": (0, 21, 41)}.items():
        rows += [*decided(model, "11"), *decided(model, "11", **SPATIAL, condition="grid")]
        for sample, distance in enumerate(distances, 1):
            rows += turned(
                "10" if distance == distances[-1] else "11", sample, 0, distance, 0, model
            )
    sources = written(tmp_path, [vit("a", 8), vit("b", 8)], rows)
    table = make_table("spatial_grid", sources)
    found = [(row["model"], row["translation"], row["accuracy"]) for row in table.to_pylist()]
    assert found == [("a", 0.5, 1), ("a", 1, 0.5), ("b", 0.5, 1), ("b", 1, 0.5)]


def test_bins_of_the_published_grid(study: Study) -> None:
    table = table_of(study, "spatial_grid")
    bins = ["-30 to -20", "-18 to -8", "-6 to 6", "8 to 18", "20 to 30"]
    [*found] = dict.fromkeys(row["rotation_bin"] for row in rows_where(table, translation=1))
    assert found == bins
    assert set(table["translation"].to_pylist()) == {0.5, 1}


def test_grid_equals_pandas_and_its_intervals_a_ratio_estimator(
    study: Study, samples: pd.DataFrame
) -> None:
    cells = rows_where(table_of(study, "spatial_grid"), translation=0.5)
    for cell in cells[:40]:
        shift = samples[["translation_x_px", "translation_y_px"]].abs().max(axis=1)
        own = samples[
            (samples["model"] == cell["model"])
            & samples["rotation_deg"].between(
                cell["rotation_low_deg"] - 0.1, cell["rotation_high_deg"] + 0.1
            )
            & (shift <= 2)
        ]
        counts = own.groupby("image_id")["is_correct"].agg(["sum", "count"])
        n = len(counts)
        assert (cell["num_images"], cell["num_predictions"]) == (n, len(own))
        accuracy = own["is_correct"].mean()
        assert cell["accuracy"] == pytest.approx(accuracy, abs=1e-12)
        ends = clustered(counts["sum"], counts["count"])
        assert (cell["accuracy_low"], cell["accuracy_high"]) == pytest.approx(ends, abs=1e-9)


def test_a_cell_without_failure_keeps_an_interval(tmp_path: Path) -> None:
    rows = [*decided("a", "1111"), *decided("a", "1111", **SPATIAL, condition="grid")]
    for sample in (1, 2):
        rows += turned("1111", sample, 0, 0)
    sources = written(tmp_path, [vit("a", 8)], rows)
    [cell] = make_table("spatial_grid", sources).to_pylist()
    assert cell["accuracy"] == cell["accuracy_high"] == 1
    assert cell["accuracy_low"] == pytest.approx(sql("wilson_low(4, 4)"))
    [row] = make_table("spatial_accuracy", sources).to_pylist()
    assert row["grid_mean_low"] == pytest.approx(sql("wilson_low(4, 4)"))
