"""`perturb compare`: differences are those of the library, and nothing is left out in silence."""

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import perturb
from perturb.__main__ import main
from perturb.config import load_config
from perturb.evaluation.shards import read_shard, write_shard
from perturb.experiments.corruptions.names import GROUPS
from perturb.sharing.comparison import compared
from tests import two_labs
from tests.two_labs import two_model_study


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the results of the study, and with outcomes that tell models apart."""
    folder = tmp_path_factory.mktemp("study")
    with two_labs.working_in(folder):
        two_labs.run(two_model_study())
        for number, path in enumerate(sorted(Path("results/shards").rglob("*.parquet"))):
            _make_up(path, np.random.default_rng(number))
    return folder


def _make_up(path: Path, rng: np.random.Generator) -> None:
    table, metadata = read_shard(path)
    columns = table.to_pydict()
    names = sorted(set(columns["image_id"]))
    ease = dict(zip(names, np.linspace(0.1, 0.9, len(names)), strict=True))
    correct = np.array([rng.random() < ease[name] for name in columns["image_id"]])
    columns["is_correct"] = correct
    columns["prediction"] = [
        target if hit else target + 1
        for target, hit in zip(columns["target"], correct, strict=True)
    ]
    write_shard(path, pa.table(columns), metadata)


@pytest.fixture
def study(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the study, with its file and a copy of its results in the working directory."""
    shutil.copytree(base / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    _write(two_model_study())
    return two_model_study()


def _write(study: dict[str, Any]) -> None:
    Path("study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


def _compare(*words: str) -> int:
    return main(["compare", *words])


def _rows(model: str, *cells: str) -> pd.DataFrame:
    frames = [
        pd.read_parquet(f"results/shards/{model}/{cell}.parquet", partitioning=None)
        for cell in cells
    ]
    return pd.concat(frames)


def _of(rows: pd.DataFrame, conditions: Iterable[str]) -> pd.DataFrame:
    return rows[rows["condition"].isin(list(conditions))]


def _sides(conditions: Iterable[str], *cells: str) -> list[pd.DataFrame]:
    return [_of(_rows(model, *cells), conditions) for model in "ab"]


@pytest.mark.usefixtures("study")
def test_each_row_is_the_paired_difference_of_the_library() -> None:
    found = compared(load_config(two_model_study()), "a", "b")
    assert {row.perturbation for row in found.rows} == {
        *("none", "corruptions", "fgsm", "weight_noise")
    }
    for row in found.rows:
        severity = row.severity.replace("/", "_")
        conditions = GROUPS.get(row.condition, (row.condition,))
        sides = _sides(conditions, f"{row.dataset}/{row.perturbation}/{severity}")
        difference, low, high, num_images = perturb.paired_difference(*sides)
        numbers = row.difference
        assert numbers.num_images == num_images
        assert numbers.value == pytest.approx(difference, abs=1e-12)
        assert numbers.first - numbers.second == pytest.approx(difference, abs=1e-12)
        assert (numbers.low, numbers.high) == pytest.approx((low, high), abs=1e-12)
    assert found.is_whole


@pytest.mark.usefixtures("study")
def test_the_mean_over_corruptions_is_clustered_by_image_and_of_the_benchmark_alone() -> None:
    found = compared(load_config(two_model_study()), "a", "b")
    names = ("brightness", "contrast", "fog")
    sides = _sides(names, "test/corruptions/1", "test/corruptions/3")
    difference, low, high, num_images = perturb.paired_difference(*sides)
    assert found.mean is not None
    assert (found.mean.first_predictions, found.mean.num_images) == (6, num_images)
    mean = found.mean.value, found.mean.low, found.mean.high
    assert mean == pytest.approx((difference, low, high), abs=1e-12)
    clean = next(row for row in found.rows if (row.dataset, row.perturbation) == ("test", "none"))
    assert found.clean == clean.difference


@pytest.mark.usefixtures("study")
def test_the_largest_difference_stands_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert _compare("a", "b", "--csv", "rows.csv") == 0
    with Path("rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    sizes = [abs(float(row["difference"])) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    told = capsys.readouterr().out
    assert "Of one model alone:\n  a / test / token_removal / 0.5\n" in told
    *_, clean, mean = told.splitlines()
    assert "on clean images, 16 images" in clean
    assert "in the mean over 6 corruptions and severities, 16 images" in mean
    assert _compare("a", "b", "--sort", "study", "--csv", "rows.csv") == 0
    with Path("rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["perturbation"] for row in rows][:2] == ["none", "none"]
    assert rows[2]["condition"] == "Weather"
    assert _compare("a", "b", "--sort", "study", "--conditions", "--csv", "rows.csv") == 0
    assert "fog" in Path("rows.csv").read_text()


@pytest.mark.usefixtures("study")
def test_the_other_order_has_the_other_sign() -> None:
    config = load_config(two_model_study())
    one, other = compared(config, "a", "b"), compared(config, "b", "a")
    differences = {(row.dataset, row.condition, row.severity): row.difference for row in one.rows}
    for row in other.rows:
        difference = differences[row.dataset, row.condition, row.severity]
        assert difference.value == pytest.approx(-row.difference.value, abs=1e-12)
        ends = -row.difference.high, -row.difference.low
        assert (difference.low, difference.high) == pytest.approx(ends, abs=1e-12)


def test_only_cells_of_the_configuration_are_read(study: dict[str, Any]) -> None:
    """Neither shards of severities that it no longer names, nor of removed models."""
    study["perturbations"]["corruptions"]["severities"] = [3]
    del study["models"]["reference"]
    Path("results/shards/a/test/corruptions/1.parquet").write_text("no shard")
    found = compared(load_config(study), "a", "b")
    assert found.is_whole
    corruptions = [row for row in found.rows if row.perturbation == "corruptions"]
    assert {row.severity for row in corruptions} == {"3"}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("a", "c"), "there is no model 'c' in this study; allowed: a, b, reference"),
        (("x", "y"), "there is no model 'x' in this study"),
        (("a", "a"), "model 'a' is named twice; allowed: two models"),
    ],
)
@pytest.mark.usefixtures("study")
def test_unknown_models_are_refused(
    models: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compare(*models) == 2
    assert said in capsys.readouterr().err


def test_a_removed_model_is_unknown_though_its_shards_are_there(
    study: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    del study["models"]["b"]
    _write(study)
    assert _compare("a", "b") == 2
    assert "there is no model 'b'" in capsys.readouterr().err


@pytest.mark.usefixtures("study")
def test_missing_shards_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for severity in (1, 3):
        Path(f"results/shards/b/test/corruptions/{severity}.parquet").unlink()
    assert _compare("a", "b") == 1
    told = capsys.readouterr().out
    assert "Missing, no shard yet:\n  b / test / corruptions / 1, 3\n" in told
    assert "In the mean over corruptions: nothing to compare." in told


def _edit() -> None:
    path = Path("results/shards/a/second/none/0.parquet")
    table = pq.read_table(path, partitioning=None)
    wrong = pa.array([True] * table.num_rows)
    place = table.schema.get_field_index("is_correct")
    pq.write_table(table.set_column(place, "is_correct", wrong), path)


def _swap() -> None:
    shutil.copy("results/shards/b/second/none/0.parquet", "results/shards/a/second/none/0.parquet")


def _remove_card() -> None:
    Path("results/checkpoints/a/card.json").unlink()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (_edit, "was changed after it was written"),
        (_swap, "was made of other images, weights or settings than the study's"),
        (_remove_card, "card.json is needed to check it"),
    ],
)
@pytest.mark.usefixtures("study")
def test_shards_that_are_not_the_studys_are_listed_and_not_compared(
    fault: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fault()
    two_labs.forget_files()
    assert _compare("a", "b") == 1
    told = capsys.readouterr().out
    assert "results/shards/a/second/none/0.parquet: " in told
    assert said in told
    assert "second   none" not in told


def test_no_study_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _compare("a", "b") == 2
    assert "config.yaml: there is no such configuration file" in capsys.readouterr().err
