"""Spread between training runs, pairs of runs and charts of them, against values by hand."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from perturb.charts.notes import of_runs
from perturb.charts.runs import over_runs
from perturb.experiments.drawing import draw
from perturb.experiments.registry import chart, charts
from perturb.tables.connection import define_functions
from perturb.tables.run import make_table
from tests.hand_made import decided, resnet, vit, written
from tests.interval_oracles import quantile_of
from tests.study_tables import Z95, rows_where, sql

# Of eight images, by run.
RUNS = ("11111100", "11110000", "11111000")
ATTACKS = {"headline_epsilon": None}


def _run_of(facts: Mapping[str, Any], run: int) -> dict[str, Any]:
    """Return the facts of a run of a model."""
    entry = facts["model"]
    return {**facts, "entry": entry, "run": run, "model": _id(entry, run)}


def _id(entry: str, run: int) -> str:
    return entry if run == 1 else f"{entry}.run-{run}"


def _study(folder: Path, entries: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]]) -> Any:
    """Write a study of entries with their facts and the clean outcomes of their runs."""
    models, predictions = [], []
    for facts, outcomes in entries.values():
        for run, letters in enumerate(outcomes, start=1):
            models.append(_run_of(facts, run))
            predictions += decided(models[-1]["model"], letters)
    return written(folder, models, predictions)


def _runs_table(folder: Path, *outcomes: str, name: str = "training_runs") -> list[dict]:
    sources = _study(folder, {"a": (vit("a", 8), outcomes), "b": (resnet("b"), ("11110000",))})
    return make_table(name, sources, ATTACKS).to_pylist()


def _ends(accuracy: float, low: float, high: float, deviation: float, num_runs: int) -> Any:
    """Return the interval of images and runs by the formula of `method.md`."""
    if deviation == 0:
        return low, high
    found = []
    for end, side in ((low, -1), (high, 1)):
        image, run = (abs(end - accuracy) / Z95) ** 2, deviation**2 / num_runs
        point = quantile_of([(image, math.inf), (run, num_runs - 1)])
        found.append(accuracy + side * point * math.sqrt(image + run))
    return max(0.0, found[0]), min(1.0, found[1])


def test_spread_between_runs_by_hand(tmp_path: Path) -> None:
    """The runs get 6, 4 and 5 of 8 images right; image by image 3, 3, 3, 3, 2, 1, 0, 0 of them."""
    [row] = _runs_table(tmp_path, *RUNS)
    assert (row["entry"], row["num_runs"], row["num_images"]) == ("a", 3, 8)
    assert row["accuracy"] == pytest.approx(5 / 8)
    assert row["run_deviation"] == pytest.approx(1 / 8)
    assert (row["lowest_accuracy"], row["highest_accuracy"]) == (0.5, 0.75)
    low, high = sql("accuracy_low(15, 41, 8, 3)"), sql("accuracy_high(15, 41, 8, 3)")
    assert (row["image_low"], row["image_high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["image_error"] == pytest.approx((high - low) / 2 / Z95)
    ends = _ends(5 / 8, low, high, 1 / 8, 3)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(ends)
    assert row["accuracy_low"] < row["image_low"] < row["image_high"] < row["accuracy_high"]


def test_runs_that_agree_leave_the_error_of_images(tmp_path: Path) -> None:
    [row] = _runs_table(tmp_path, RUNS[0], RUNS[0])
    assert row["run_deviation"] == 0
    ends = _ends(0.75, row["image_low"], row["image_high"], 0, 2)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(ends)


@pytest.mark.parametrize("letter", ["0", "1"])
def test_runs_without_any_variance_have_an_interval(tmp_path: Path, letter: str) -> None:
    [row] = _runs_table(tmp_path, 8 * letter, 8 * letter)
    low, high = row["accuracy_low"], row["accuracy_high"]
    assert 0 <= low <= row["accuracy"] <= high <= 1
    assert high - low > 0.2


def test_models_that_are_trained_once_have_no_row(tmp_path: Path) -> None:
    assert _runs_table(tmp_path, RUNS[0]) == []
    assert _runs_table(tmp_path, RUNS[0], name="single_runs") == []


def test_single_runs_are_compared_with_their_mean(tmp_path: Path) -> None:
    rows = _runs_table(tmp_path, *RUNS, name="single_runs")
    assert [(row["model"], row["run"]) for row in rows] == [
        *(("a", 1), ("a.run-2", 2), ("a.run-3", 3)),
    ]
    assert [row["run_difference"] for row in rows] == pytest.approx([1 / 8, -1 / 8, 0])
    assert rows[0]["accuracy_low"] == pytest.approx(sql("wilson_low(6, 8)"))


def test_intervals_of_known_components_cover_the_true_accuracy() -> None:
    """Of 1,000 made-up models the interval covers at least 93 %, and that of images alone less."""
    random = np.random.default_rng(0)
    num_images, num_runs, num_models = 200, 3, 1000
    # On the scale of the latent margin: a common difficulty, the luck of a run, and the rest.
    run = random.normal(0, 0.25, (num_models, num_runs, 1))
    image = random.normal(0, 1, (num_models, 1, num_images))
    rest = random.normal(0, 1, (num_models, num_runs, num_images))
    is_right = 0.6 + run + image + rest > 0
    right, of_run = is_right.sum(axis=1), is_right.mean(axis=2)
    true = 0.5 * (1 + math.erf(0.6 / math.sqrt(2 * (1 + 1 + 0.25**2))))
    sums = {
        "k": right.sum(axis=1),
        "k2": (right**2).sum(axis=1),
        "accuracy": of_run.mean(axis=1),
        "deviation": of_run.std(axis=1, ddof=1),
    }
    images = [f"accuracy_{end}(k, k2, {num_images}, {num_runs})" for end in ("low", "high")]
    both = [
        f"drawn_{end}(accuracy, {of_images}, deviation ** 2 / {num_runs}, {num_runs})"
        for end, of_images in zip(("low", "high"), images, strict=True)
    ]
    assert _covers(true, sums, both) > 0.93
    assert _covers(true, sums, images) < 0.8


def _covers(true: float, sums: Mapping[str, np.ndarray], ends: list[str]) -> float:
    """Return how often intervals hold the truth: two expressions over the macros and the sums."""
    with duckdb.connect() as connection:
        define_functions(connection)
        connection.register("sums", pd.DataFrame(sums))
        low, high = connection.sql(f"SELECT {', '.join(ends)} FROM sums").fetchnumpy().values()
    return float(np.mean((low <= true) & (true <= high)))


ENTRIES = {
    "large": (vit("large", 8), RUNS),
    "small": (vit("small", 4), RUNS[:2]),
    "resnet": (resnet("resnet"), RUNS[:2]),
}


def test_run_k_is_compared_with_run_k(tmp_path: Path) -> None:
    sources = _study(tmp_path, ENTRIES)
    rows = make_table("matched_pairs", sources, ATTACKS).to_pylist()
    assert [(row["vit"], row["resnet"]) for row in rows] == [
        ("large", "resnet"),
        ("large.run-2", "resnet.run-2"),
        ("small", "resnet"),
        ("small.run-2", "resnet.run-2"),
    ]
    rows = make_table("patch_pairs", {**sources, "stimuli": []}, ATTACKS).to_pylist()
    assert [(row["large"], row["small"]) for row in rows] == [
        ("large", "small"),
        ("large.run-2", "small.run-2"),
    ]


def test_a_run_without_a_counterpart_takes_no_other_entry(tmp_path: Path) -> None:
    """The nearer ResNet has one run: run 2 of the ViT is not compared with the farther one's."""
    near, far = resnet("near", size="S"), resnet("far", size="B", num_parameters=1001)
    entries = {"vit": (vit("vit", 8), RUNS), "near": (near, RUNS[:1]), "far": (far, RUNS)}
    rows = make_table("matched_pairs", _study(tmp_path, entries), ATTACKS).to_pylist()
    assert [(row["vit"], row["resnet"]) for row in rows] == [("vit", "near")]


def test_a_line_goes_through_the_means_over_runs(tmp_path: Path) -> None:
    """Errors 2/8 and 4/8 of the small network, 1/8 of one of ten times the parameters."""
    entries = {
        "s": (resnet("s"), RUNS[:2]),
        "b": (resnet("b", size="B", num_parameters=10_000), ("11111110",)),
    }
    [row] = make_table("scaling", _study(tmp_path, entries)).to_pylist()
    small = (math.log10(2 / 8) + math.log10(4 / 8)) / 2
    assert row["slope"] == pytest.approx(math.log10(1 / 8) - small)


def test_labels_name_the_run_only_where_there_are_several(tmp_path: Path) -> None:
    twin = vit("twin", 8)
    sources = _study(tmp_path, ENTRIES | {"twin": (twin, RUNS[:1])})
    rows = make_table("models", sources).to_pylist()
    labels = {row["model"]: row["architecture_label"] for row in rows}
    assert labels == {
        "large": "ViT-S/8 (large), run 1",
        "large.run-2": "ViT-S/8 (large), run 2",
        "large.run-3": "ViT-S/8 (large), run 3",
        "small": "ViT-S/4, run 1",
        "small.run-2": "ViT-S/4, run 2",
        "resnet": "ResNet-S, run 1",
        "resnet.run-2": "ResNet-S, run 2",
        "twin": "ViT-S/8 (twin)",
    }


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, pa.Table]:
    sources = _study(tmp_path, ENTRIES | {"once": (resnet("once", label="Once"), RUNS[:1])})
    given: dict[str, Any] = {"training_runs": ATTACKS, "single_runs": ATTACKS}
    names = ("models", "accuracy", "training_runs", "single_runs")
    return {name: make_table(name, sources, given.get(name, {})) for name in names}


def test_chart_has_a_mark_a_run_and_a_bar_a_model(tables: Mapping[str, pa.Table]) -> None:
    frames = {name: table.to_pandas() for name, table in tables.items()}
    [data] = draw("training_runs", frames).to_dict()["datasets"].values()
    assert sum(row["points"] is not None for row in data) == 7
    assert sum(row["points_low"] is not None for row in data) == 3
    [lowest] = rows_where(pa.Table.from_pylist(data), model="large.run-2")
    assert lowest["points"] == pytest.approx(-12.5)


def test_other_charts_show_the_mean_over_runs(tables: Mapping[str, pa.Table]) -> None:
    frames = {name: table.to_pandas() for name, table in tables.items()}
    [data] = draw("robustness_benchmarks", frames).to_dict()["datasets"].values()
    shown = {row["architecture_label"]: row["accuracy"] for row in data}
    assert shown == pytest.approx(
        {"ViT-S/8": 5 / 8, "ViT-S/4": 5 / 8, "ResNet-S": 5 / 8, "Once": 6 / 8}
    )
    assert [row["num_images"] for row in data] == [8] * 4
    assert of_runs(tables["models"]) == (
        "Models are means over up to 3 training runs, whose spread no bar covers."
    )


@pytest.mark.parametrize("name", [name for name in charts() if not chart(name).is_of_runs])
def test_charts_of_means_name_the_model_of_each_row(
    made: Callable[[str], pa.Table], name: str
) -> None:
    """Else the rows of runs would be shown as they are, beside a note that they are means."""
    for table in set(chart(name).tables) - {"models"}:
        assert "model" in made(table).column_names, table


def test_means_over_runs_keep_settings_and_pairs_apart() -> None:
    models = pd.DataFrame(
        {
            "model": ["a", "a.run-2", "b"],
            "entry": ["a", "a", "b"],
            "run": [1, 2, 1],
            "num_runs": [2, 2, 1],
            "architecture_label": ["A, run 1", "A, run 2", "B"],
            "entry_label": ["A", "A", "B"],
            "pretraining_label": ["Small", "Small", None],
        }
    )
    pairs = pd.DataFrame(
        {
            "source": ["a", "b", "a.run-2", "a", "b"],
            "model": ["a", "a", "a.run-2", "b", "b"],
            "target_label": ["A, run 1 · Small"] * 2 + ["A, run 2 · Small"] + ["B · "] * 2,
            "accuracy": [0.2, 0.4, 0.6, 0.5, math.nan],
        }
    )
    block = pd.DataFrame(
        {"model": ["a", "a", "a.run-2", "a.run-2"], "block": [0, 1, 0, 1], "drop": [1.0, 2, 3, 5]}
    )
    found = over_runs({"pairs": pairs, "block": block, "models": models})
    assert found["models"]["architecture_label"].tolist() == ["A", "B"]
    rows = found["pairs"].set_index(["source", "model"])["accuracy"]
    assert rows["a", "a"] == pytest.approx(0.4)
    assert (rows["b", "a"], rows["a", "b"]) == (0.4, 0.5)
    assert math.isnan(rows["b", "b"])
    assert set(found["pairs"]["target_label"]) == {"A · Small", "B · "}
    assert found["block"].to_dict("list") == {
        "model": ["a", "a"],
        "block": [0, 1],
        "drop": [2, 3.5],
    }


def test_tables_of_models_that_are_trained_once_stay_as_they_are(
    tables: Mapping[str, pa.Table],
) -> None:
    models = tables["models"].to_pandas()
    once = models[models["num_runs"] == 1]
    frame = tables["accuracy"].to_pandas()
    found = over_runs({"accuracy": frame, "models": once})
    assert found["accuracy"] is frame
    assert found["models"] is once
