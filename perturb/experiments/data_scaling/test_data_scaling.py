"""Curves over pre-training images and their crossing points, on studies whose crossing is known."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from perturb.experiments.drawing import draw
from perturb.experiments.emptiness import why_empty
from perturb.page.shown import note_beside
from perturb.tables.run import make_table
from tests.hand_made import decided, other, resnet, vit, written
from tests.interval_oracles import quantile_of
from tests.study_tables import Z95, sql

TABLES = ("data_scaling", "data_gaps", "crossing_points")
SETS = {"k": 1_000, "h": 100_000, "m": 10_000_000}


def _study(
    folder: Path, outcomes: Mapping[str, str], sets: Mapping[str, int | None] = SETS
) -> dict[str, Any]:
    """Return the sources of a study; `vit-k` is a ViT on the set k, `vit-k-2` its second run."""
    models, rows = [], []
    for name, letters in outcomes.items():
        family, pretraining, *run = name.split("-")
        make = {"resnet": resnet, "other": other}.get(family)
        facts = {
            "architecture": family,
            "entry": f"{family}-{pretraining}",
            "run": int(run[0]) if run else 1,
            "pretraining": pretraining,
            "pretraining_label": pretraining.upper(),
            "pretraining_rank": list(sets).index(pretraining),
            "pretraining_images": sets[pretraining],
        }
        models.append(make(name, **facts) if make else vit(name, 8, **facts))
        rows += decided(name, letters)
    return written(folder, models, rows)


def _table(name: str, sources: Mapping[str, Any]) -> list[dict[str, Any]]:
    return make_table(name, sources, {"headline_epsilon": None}).to_pylist()


def _right(count: int, of: int = 200) -> str:
    return "1" * count + "0" * (of - count)


def test_curves_by_hand(tmp_path: Path) -> None:
    right = {"vit-k": 50, "vit-h": 100, "resnet-k": 80, "resnet-h": 90, "other-k": 10}
    sources = _study(tmp_path, {name: _right(count) for name, count in right.items()})
    rows = _table("data_scaling", sources)
    assert [(row["model"], row["pretraining_images"], row["accuracy"]) for row in rows] == [
        ("other-k", 1_000, 0.05),
        ("resnet-k", 1_000, 0.4),
        ("resnet-h", 100_000, 0.45),
        ("vit-k", 1_000, 0.25),
        ("vit-h", 100_000, 0.5),
    ]
    assert rows[1]["accuracy_low"] == pytest.approx(sql("accuracy_low(80, 80, 200, 1)"))
    assert rows[1]["accuracy_high"] == pytest.approx(sql("accuracy_high(80, 80, 200, 1)"))
    assert {(row["num_trainings"], row["num_images"]) for row in rows} == {(1, 200)}


CROSSINGS = {
    "between": ((20, 60, 90), (40, 50, 50), 10 ** (3 + 2 * 20 / 30), "22,000"),
    "at a set": ((20, 50, 90), (40, 50, 50), 1e5, "100,000"),
    "the last one": ((60, 20, 90), (40, 40, 40), 10 ** (5 + 2 * 20 / 70), "370,000"),
    "beyond": ((20, 30, 40), (50, 50, 50), None, "beyond 10,000,000"),
    "it falls back": ((60, 60, 40), (50, 50, 50), None, "beyond 10,000,000"),
    "below": ((50, 60, 70), (50, 50, 50), None, "below 1,000"),
}


@pytest.mark.parametrize("name", CROSSINGS)
def test_crossings_by_hand(tmp_path: Path, name: str) -> None:
    vits, resnets, images, word = CROSSINGS[name]
    outcomes = {f"vit-{set}": _right(2 * k) for set, k in zip(SETS, vits, strict=True)}
    outcomes |= {f"resnet-{set}": _right(2 * k) for set, k in zip(SETS, resnets, strict=True)}
    (row,) = _table("crossing_points", _study(tmp_path, outcomes))
    assert row["crossing"] == word
    assert row["crossing_images"] == (None if images is None else pytest.approx(images, rel=1e-3))
    low, high = row["crossing_images_low"], row["crossing_images_high"]
    if images is not None:
        assert (low or 0) < images < (high or math.inf)
    assert (row["num_sets"], row["num_images"]) == (3, 200)
    assert row["smallest_difference"] == pytest.approx((vits[0] - resnets[0]) / 100)
    assert row["largest_difference"] == pytest.approx((vits[2] - resnets[2]) / 100)


def test_ends_are_where_the_paired_interval_of_the_difference_is_zero(tmp_path: Path) -> None:
    outcomes = {"vit-k": _right(40), "vit-h": _right(120), "resnet-k": _right(80)}
    outcomes["resnet-h"] = _right(90)
    sources = _study(tmp_path, outcomes)
    (row,) = _table("crossing_points", sources)
    ends = {"smallest": (-40, 40, 40), "largest": (30, 30, 30)}
    gaps = _table("data_gaps", sources)
    for gap, (end, sums) in zip(gaps, ends.items(), strict=True):
        low, high = _interval(*sums)
        assert row[f"{end}_difference_low"] == pytest.approx(low)
        assert row[f"{end}_difference_high"] == pytest.approx(high)
        # The table of all sets has the same numbers.
        assert gap["pretraining_images"] == row[f"{end}_images"]
        for column in ("difference", "difference_low", "difference_high"):
            assert gap[column] == row[f"{end}_{column}"]
    # The images' differences do not overlap: 40 of -1 at the first set, 30 of 1 at the second.
    for end in ("low", "high"):
        t = (math.log10(row[f"crossing_images_{end}"]) - 3) / 2
        sums = 30 * t - 40 * (1 - t), *(40 * (1 - t) ** p + 30 * t**p for p in (2, 4))
        assert _interval(*sums)[end == "low"] == pytest.approx(0, abs=1e-4)


def _interval(d: float, d2: float, d4: float) -> tuple[float, float]:
    """Return the interval of a paired difference over 200 images, from the sums of its powers."""
    sums = f"{d}::DOUBLE, {d2}::DOUBLE, {d4}::DOUBLE"
    width = Z95 * math.sqrt(sql(f"contrast_variance({sums}, 200, 1)"))
    centre = sql(f"contrast_centre({d}::DOUBLE, 200)")
    return centre - width, centre + width


def test_bounds_stand_where_the_interval_leaves_the_sets(tmp_path: Path) -> None:
    outcomes = {"vit-k": _right(98), "vit-h": _right(103), "resnet-k": _right(100)}
    outcomes["resnet-h"] = _right(100)
    (row,) = _table("crossing_points", _study(tmp_path, outcomes))
    assert row["crossing_interval"] == "below 1,000 to beyond 100,000"
    assert (row["crossing_images_low"], row["crossing_images_high"]) == (None, None)


def test_runs_of_one_entry_are_one_model_and_widen_its_interval(tmp_path: Path) -> None:
    single = {"vit-k": _right(60), "vit-h": _right(140), "resnet-k": _right(80)}
    single["resnet-h"] = _right(110)
    runs = {"vit-k": _right(50), "vit-k-2": _right(70)}
    (tmp_path / "runs").mkdir()
    sources = _study(tmp_path, single), _study(tmp_path / "runs", single | runs)
    (one, *_), (several, *_) = (
        [row for row in _table("data_scaling", source) if row["model"] == "vit-k"]
        for source in sources
    )
    assert (several["accuracy"], several["num_trainings"]) == (one["accuracy"], 2)
    # A mean over runs is not labelled as one of them.
    assert several["architecture_label"] == one["architecture_label"]
    assert several["accuracy_low"] < one["accuracy_low"]
    assert several["accuracy_high"] > one["accuracy_high"]
    # Runs of 50 and 70 of 200 images: their variance has one degree of freedom, images have any.
    of_runs = (20 / 200) ** 2 / 2 / 2
    for end in ("low", "high"):
        of_images = sql(f"accuracy_{end}(120, 220, 200, 2)")
        drawn = sql(f"drawn_{end}(0.3, {of_images}, {of_runs}, 2)")
        assert several[f"accuracy_{end}"] == pytest.approx(drawn)
    (alone,), (mean,) = (_table("crossing_points", source) for source in sources)
    assert mean["crossing_images"] == alone["crossing_images"]
    # Image by image -1/2 for 20 and -1 for 10.
    variance = sql("contrast_variance(-20::DOUBLE, 15::DOUBLE, 11.25::DOUBLE, 200, 1)") + of_runs
    width = quantile_of([(variance - of_runs, math.inf), (of_runs, 1)]) * math.sqrt(variance)
    centre = sql("contrast_centre(-20::DOUBLE, 200)")
    assert mean["smallest_difference_low"] == pytest.approx(max(-1, centre - width))
    assert mean["smallest_difference_low"] < alone["smallest_difference_low"]
    assert mean["largest_difference_low"] == alone["largest_difference_low"]
    gap = _table("data_gaps", sources[1])[0]
    assert gap["difference_low"] == mean["smallest_difference_low"]
    assert (mean["crossing_images_low"] or 0) < alone["crossing_images_low"]


def test_chart_shows_a_mean_over_runs_as_it_is_in_the_table(tmp_path: Path) -> None:
    names = ("vit-k", "vit-k-2", "vit-h", "resnet-k", "resnet-h")
    sources = _study(tmp_path, {name: _right(60 + 10 * at) for at, name in enumerate(names)})
    tables = {
        name: make_table(name, sources, given).to_pandas()
        for name, given in (("data_scaling", {"headline_epsilon": None}), ("models", {}))
    }
    (rows,) = draw("data_scaling", tables).to_dict()["datasets"].values()
    assert len(rows) == 4
    [mean] = [row for row in rows if row["model"] == "vit-k"]
    assert (mean["architecture_label"], mean["num_trainings"]) == ("ViT-S/8", 2)
    # Its bar covers the runs, so that no note says that none does.
    given = {name: pa.Table.from_pandas(frame) for name, frame in tables.items()}
    assert note_beside("data_scaling", given) == "200 images."


@pytest.mark.parametrize("sets", [{"k": 1_000}, {"k": 1_000, "h": 1_000}, {"k": 1_000, "h": None}])
def test_without_two_known_numbers_there_is_no_curve(
    tmp_path: Path, sets: dict[str, int | None]
) -> None:
    outcomes = {f"{family}-{set}": "1100" for family in ("vit", "resnet") for set in sets}
    sources = _study(tmp_path, outcomes, sets)
    assert all(_table(name, sources) == [] for name in TABLES)
    assert "two pre-training sets" in why_empty("data_scaling", {"accuracy": []})


def test_chart_has_a_line_for_each_model_and_a_tick_for_each_set(tmp_path: Path) -> None:
    right = {"vit-k": 50, "vit-h": 100, "vit-m": 150, "resnet-k": 80, "resnet-m": 90}
    sources = _study(tmp_path, {name: _right(count) for name, count in right.items()})
    parameters = {"data_scaling": {"headline_epsilon": None}, "models": {}}
    tables = {
        name: make_table(name, sources, given).to_pandas() for name, given in parameters.items()
    }
    spec = draw("data_scaling", tables).to_dict()
    lines, points, bars = spec["spec"]["layer"]
    assert [layer["mark"]["type"] for layer in (lines, points, bars)] == ["line", "point", "rule"]
    axis = points["encoding"]["x"]
    assert (axis["scale"]["type"], axis["axis"]["values"]) == ("log", list(SETS.values()))
    (rows,) = spec["datasets"].values()
    assert len(rows) == len(right)
    for row in rows:  # beside its set, and nearer to it than to another
        assert row["place"] / row["pretraining_images"] == pytest.approx(1, abs=0.2)
    low, high = axis["scale"]["domain"]
    assert all(low < row["place"] < high for row in rows)


def test_chart_of_gaps_has_a_line_for_each_vit_and_one_at_zero(tmp_path: Path) -> None:
    right = {"vit-k": 50, "vit-h": 100, "vit-m": 95, "resnet-k": 80, "resnet-h": 90, "resnet-m": 90}
    sources = _study(tmp_path, {name: _right(count) for name, count in right.items()})
    tables = {
        name: make_table(name, sources, given).to_pandas()
        for name, given in (("data_gaps", {"headline_epsilon": None}), ("models", {}))
    }
    spec = draw("data_gaps", tables).to_dict()
    *_, points, bars, zero = spec["spec"]["layer"]
    assert zero["encoding"]["y"]["datum"] == 0
    assert points["encoding"]["y"]["field"] == "difference"
    assert (bars["encoding"]["y"]["field"], bars["encoding"]["y2"]["field"]) == (
        "difference_low",
        "difference_high",
    )
    low, high = points["encoding"]["y"]["scale"]["domain"]
    (rows,) = spec["datasets"].values()
    assert [row["difference"] for row in rows] == pytest.approx([-0.15, 0.05, 0.025])
    assert low == min(row["difference_low"] for row in rows) < 0
    assert high == max(row["difference_high"] for row in rows)
    assert {row["architecture_label"] for row in rows} == {"ViT-S/8"}


def test_axis_of_accuracies_spans_them_and_no_more(tmp_path: Path) -> None:
    right = {"vit-k": 150, "vit-h": 160, "resnet-k": 170, "resnet-h": 180}
    sources = _study(tmp_path, {name: _right(count) for name, count in right.items()})
    tables = {
        name: make_table(name, sources, given).to_pandas()
        for name, given in (("data_scaling", {"headline_epsilon": None}), ("models", {}))
    }
    _, points, _ = draw("data_scaling", tables).to_dict()["spec"]["layer"]
    scale = points["encoding"]["y"]["scale"]
    # The lowest interval begins at 68.6 %, the highest ends at 93.4 %.
    assert (scale["domain"], scale["zero"]) == ([0.6, 1.0], False)


def test_intervals_of_crossings_cover_the_true_one(tmp_path: Path) -> None:
    """With the true crossing between two sets; the standard error of the share is .015."""
    vits, resnets, num_studies = (0.5, 0.66, 0.78), (0.58, 0.64, 0.68), 200
    random = np.random.default_rng(17)
    truth = 10 ** (3 + 2 * 0.08 / 0.10)
    sources = written(tmp_path, *_many(random, vits, resnets, num_studies, num_images=400))
    rows = _table("crossing_points", sources)
    assert len(rows) == num_studies
    ends = [(row["crossing_images_low"], row["crossing_images_high"]) for row in rows]
    is_covered = [(low or 0) < truth < (high or math.inf) for low, high in ends]
    assert 0.93 < np.mean(is_covered) <= 0.995
    assert np.mean([low is not None and high is not None for low, high in ends]) > 0.8


def _many(
    random: np.random.Generator,
    vits: Sequence[float],
    resnets: Sequence[float],
    num_studies: int,
    num_images: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return models and predictions of many pairs, each of a size name of its own.

    Models of a study fail on the same difficult images, as real ones do.
    """
    models, rows = [], []
    for study in range(num_studies):
        shared = random.normal(size=num_images)
        for family, values in (("vit", vits), ("resnet", resnets)):
            for (set, images), accuracy in zip(SETS.items(), values, strict=True):
                name = f"{family}-{study}-{set}"
                facts = {"architecture": f"{family}-{study}", "entry": name, "size": f"{study}"}
                facts |= {"label": f"{family}-{study}", "pretraining": set}
                facts |= {"pretraining_images": images, "pretraining_rank": 0}
                models.append(vit(name, 8, **facts) if family == "vit" else resnet(name, **facts))
                own = random.normal(size=num_images)
                is_right = (0.8 * shared + 0.6 * own) < NormalDist().inv_cdf(accuracy)
                rows += decided(name, "".join("01"[int(right)] for right in is_right))
    return models, rows
