"""A model that is no better than chance on clean images is named wherever models are listed."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.config import Config, load_config
from perturb.evaluation.cell import Cell
from perturb.evaluation.shards import SCHEMA, write_shard
from perturb.plan.clean_chance import chance_warnings, warn_of_chance
from perturb.plan.paths import Paths
from perturb.runs.census import census
from perturb.runs.events import Events
from perturb.runs.progress import Tracker
from perturb.runs.status import as_json, described
from perturb.tables.chance import clean_chance
from perturb.tables.display import grid
from perturb.tables.run import make_table
from perturb.tables.write import csv_text, markdown_text
from tests.hand_made import decided, resnet, vit, written

WARNING = "labels, classes or preprocessing may not match"
IMAGES = {"pretraining_images": 2000}
TWELVE = list(range(12))
# The class of each image, which of them are right (1), the chance, and whether that is reached.
CASES: dict[str, tuple[list[int], str, float, bool]] = {
    "one of twelve": (TWELVE, "1" + 11 * "0", 1 / 12, True),
    "none of twelve": (TWELVE, 12 * "0", 1 / 12, True),
    "two of twelve": (TWELVE, "11" + 10 * "0", 1 / 12, True),
    "three of twelve": (TWELVE, "111" + 9 * "0", 1 / 12, False),
    "all of three": ([0, 1, 2], "111", 1 / 3, False),
    "all of two": ([0, 1], "11", 1 / 2, False),
    "the one image": ([4], "1", 0, False),
    "not the one image": ([4], "0", 0, True),
    "always the most frequent class": (9 * [0] + [1], 9 * "1" + "0", 0.9, True),
    "a rare class, too": (80 * [0] + 20 * [1], 78 * "1" + "00" + 18 * "1" + "00", 0.8, False),
    "some of one class": (10 * [3], "1" + 9 * "0", 0, False),
    "none of one class": (10 * [3], 10 * "0", 0, True),
    "many images at chance": (40 * TWELVE, 40 * "1" + 440 * "0", 1 / 12, True),
    "many images": (40 * TWELVE, 90 * "1" + 390 * "0", 1 / 12, False),
}


def _predictions(
    model: str, targets: list[int], outcomes: str, **values: Any
) -> list[dict[str, Any]]:
    rows = decided(model, outcomes, **values)
    pairs = zip(rows, targets, strict=True)
    return [
        row | {"target": target, "prediction": target if row["is_correct"] else target + 1}
        for row, target in pairs
    ]


@pytest.mark.parametrize(
    ("targets", "outcomes", "chance", "is_at_chance"), CASES.values(), ids=CASES
)
def test_what_is_no_better_than_chance(
    targets: list[int], outcomes: str, chance: float, is_at_chance: bool, tmp_path: Path
) -> None:
    sources = written(tmp_path, [resnet("r", **IMAGES)], _predictions("r", targets, outcomes))
    [row] = clean_chance(sources["predictions"], "shapes")
    assert row["chance"] == pytest.approx(chance)
    assert row["clean_top1"] == pytest.approx(outcomes.count("1") / len(outcomes))
    assert row["warning"] == (WARNING if is_at_chance else None)
    # The table holds what the same query says.
    [listed] = make_table("models", sources).to_pylist()
    assert {name: listed[name] for name in row} == row


def test_its_row_has_a_mark_in_every_list_of_models(tmp_path: Path) -> None:
    models = [
        vit("good", 8, **IMAGES),
        resnet("bad", **IMAGES),
        resnet("reference", label="ResNet-R", is_reference=True, **IMAGES),
    ]
    one, all_right = CASES["one of twelve"], "1" * 12
    rows = [
        *_predictions("good", one[0], all_right),
        *_predictions("bad", one[0], one[1]),
        *_predictions("reference", one[0], all_right),
        # On another set a model may well be at chance.
        *_predictions("good", one[0], one[1], dataset="art"),
        *_predictions("bad", one[0], one[1], dataset="art"),
    ]
    sources = written(tmp_path, models, rows)
    for name in ("models", "accuracy"):
        table = make_table(name, sources)
        for row in table.to_pylist():
            assert row["warning"] == (WARNING if row["model"] == "bad" else None), name
        lines = markdown_text(grid(table, name), name).splitlines()
        assert next(WARNING in line for line in lines if line.startswith("| ResNet-S |"))
        assert not [line for line in lines if line.startswith("| ViT-S/8 |") and WARNING in line]
        assert WARNING in csv_text(table)


@pytest.fixture
def config(tiny_study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return a study in the working directory with `a` at chance and `b` on the way."""
    monkeypatch.chdir(tmp_path)
    config = load_config(tiny_study)
    for model, case in (("a", "one of twelve"), ("reference", "many images")):
        targets, outcomes, _, _ = CASES[case]
        rows = _predictions(model, targets, outcomes, dataset="test")
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        facts = {"model": model, "dataset": "test", "perturbation": "none", "severity": 0}
        write_shard(Path(Paths("results").shard(Cell(model, "test", "none", "0"))), table, facts)
    return config


SENTENCE = f"a: {WARNING}: accuracy on 12 clean images is 8.3 % [1.5, 35.4], "
SENTENCE += "no better than chance (8.3 %)"


def test_it_is_named_on_the_terminal(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    assert chance_warnings(config) == [SENTENCE]
    assert chance_warnings(config, ["b", "reference"]) == []
    warn_of_chance(config, ["a"])
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", SENTENCE)
    ]


def test_it_is_named_in_status(config: Config) -> None:
    found = census(config)
    assert f"WARNING: {SENTENCE}" in described(config, found, None)
    assert as_json(found, None)["warnings"] == [SENTENCE]


def test_it_stands_in_the_status_file_as_soon_as_it_is_known(config: Config) -> None:
    shard = Path(Paths("results").shard(Cell("a", "test", "none", "0")))
    whole = shard.read_bytes()
    tracker = Tracker(config, Events(Path("events.jsonl")), 0)
    shown = []
    for content in (whole[:-9], whole):
        shard.write_bytes(content)
        tracker.write("running")
        shown.append(json.loads(tracker.status_path.read_text())["warnings"])
    assert shown == [[], [SENTENCE]]


def test_a_broken_shard_is_named(config: Config) -> None:
    Path(Paths("results").shard(Cell("a", "test", "none", "0"))).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        chance_warnings(config)
    assert census(config).warnings == []


def test_shards_are_read_as_they_are_written(config: Config) -> None:
    path = Path(Paths(config.results).shard(Cell("a", "test", "none", "0")))
    assert pq.read_schema(path).remove_metadata() == SCHEMA
