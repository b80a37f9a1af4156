"""A job that was cut short keeps its finished cells, and takes none that is something else."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from perturb.evaluate.finished import forget_all
from perturb.runs.failed import _EVALUATING

from perturb.datasets.store import open_store, write_store
from perturb.evaluate.cell import Cell
from perturb.evaluate.jobs import evaluate_into, job_slots
from perturb.evaluate.loop import Subject
from perturb.evaluate.shards import read_metadata, read_whole
from perturb.experiments.transfer.jobs import transfer_into, transfer_slots
from perturb.models.classifier import Classifier, Preprocessing
from perturb.plan.paths import Paths
from tests.test_transfer import Templates
from tests.workspace import ROOT

SEVERITIES = ("0", "1_255", "2_255", "4_255")
RESULTS = "results"
LAYOUT = Paths(RESULTS)
FILES = {"test": (LAYOUT.images("test"), LAYOUT.manifest("test"))}
STARTED = 1_000_000_000


class CutShortError(Exception):
    """What ends an attempt."""


class Models:
    """Models `a`, `b` and `c` that count which of them are loaded, and cannot do one of many."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.loaded: list[str] = []

    def __call__(self, model: str) -> Subject:
        self.loaded.append(model)
        if model == self.broken:
            raise CutShortError
        card: Any = SimpleNamespace(weights_sha256="0", preprocessing=Preprocessing(side=32))
        classifier = Classifier(Templates(len(model)), Preprocessing(side=32)).eval()
        return Subject(classifier, card, torch.device("cpu"))


@pytest.fixture(autouse=True)
def _study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a store of eight images and the cards of three models."""
    monkeypatch.chdir(tmp_path)
    columns = {
        "image_id": pa.array([f"image-{row}" for row in range(8)]),
        "image_key": pa.array(range(8), pa.int64()),
        "target": pa.array([row % 4 for row in range(8)], pa.int16()),
    }
    pixels = torch.from_numpy(np.random.default_rng(3).integers(256, size=(8, 3, 32, 32)))
    images, manifest = map(Path, FILES["test"])
    write_store(images, manifest, num_images=8, chunks=[(pixels.to(torch.uint8), columns)])
    for model in ("a", "b", "c"):
        Path(LAYOUT.card(model)).parent.mkdir(parents=True)
        Path(LAYOUT.card(model)).write_text(f'{{"model": "{model}"}}')


def _asked(severity: str, **changed: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "dataset": "test",
        "stores": ["test"],
        "perturbation": "pgd",
        "severity": severity,
        "class_map": None,
        "conditions": ["pgd"],
        "options": {"steps": 2},
        "num_images": None,
        "seed": 7,
        "batch_size": 8,
        "device": "cpu",
        "precision": "float32",
        "compile": False,
        "protocol": 1,
    }
    return asked | changed


def _shard(severity: str) -> Path:
    return Path(LAYOUT.shard(Cell("a", "test", "pgd", severity)))


def _attempt(models: Models, stops_after: int = 99, **changed: Any) -> list[str]:
    """Run a job as Snakemake does; return the severities in the order of their shards."""
    for severity in SEVERITIES:
        _shard(severity).unlink(missing_ok=True)
    asked = [_asked(severity, **changed) for severity in SEVERITIES]
    outputs = [str(_shard(severity)) for severity in SEVERITIES]
    slots = job_slots(outputs, RESULTS, Path(LAYOUT.card("a")), asked, FILES)
    filled = []
    try:
        for cell in evaluate_into(slots, models, "a", asked, FILES):
            filled.append(cell.severity)
            if len(filled) == stops_after:
                raise CutShortError
    except CutShortError:
        pass
    return filled


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives the severity of each cell that is evaluated."""
    from perturb.evaluate.loop import jobs

    evaluate_cell, severities = jobs.evaluate_cell, list[str]()

    def counted(subject: Subject, store: Any, cell: Cell, *rest: Any, **how: Any) -> Any:
        severities.append(cell.severity)
        return evaluate_cell(subject, store, cell, *rest, **how)

    monkeypatch.setattr(jobs, "evaluate_cell", counted)
    return severities


def test_the_next_attempt_evaluates_the_rest_alone(
    evaluated: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert _attempt(Models(), stops_after=2) == ["0", "1_255"]
    first = _shard("0").read_bytes()
    assert _attempt(Models()) == list(SEVERITIES)
    assert evaluated == list(SEVERITIES)
    assert "2 of 4 cells are kept" in caplog.text
    assert _shard("0").read_bytes() == first
    identities = {read_whole(_shard(severity))["identity"] for severity in SEVERITIES}
    assert len(identities) == 4
    assert not Path(LAYOUT.all_finished).exists()


def test_nothing_is_loaded_where_nothing_is_left(evaluated: list[str]) -> None:
    _attempt(Models(), stops_after=4)  # the last shard is there, and the attempt does not end well
    models = Models()
    assert _attempt(models) == list(SEVERITIES)
    assert (len(evaluated), models.loaded) == (4, [])


def test_a_job_that_ended_well_evaluates_every_cell_when_it_is_forced(evaluated: list[str]) -> None:
    _attempt(Models())
    _attempt(Models())
    assert evaluated == 2 * list(SEVERITIES)


def test_kept_shards_are_younger_than_what_they_were_made_of() -> None:
    """Else Snakemake would take them for older than weights that were written again."""
    _attempt(Models(), stops_after=1)
    os.utime(LAYOUT.finished(Cell("a", "test", "pgd", "0")), (STARTED, STARTED))
    _attempt(Models())
    assert _shard("0").stat().st_mtime > Path(LAYOUT.card("a")).stat().st_mtime - 1


def _other_card() -> None:
    Path(LAYOUT.card("a")).write_text('{"model": "a", "weights_sha256": "1"}')


def _decoded_again() -> None:
    os.utime(FILES["test"][0], (STARTED, STARTED))


def _other_images() -> None:
    store = open_store(*map(Path, FILES["test"]))
    columns = {name: store.manifest[name] for name in store.manifest.column_names}
    columns["target"] = pa.array([0] * 8, pa.int16())
    paths = [path.with_suffix(f".new{path.suffix}") for path in map(Path, FILES["test"])]
    pixels = torch.from_numpy(np.array(store.pixels))
    write_store(*paths, num_images=8, chunks=[(pixels, columns)])
    paths[1].replace(FILES["test"][1])


def _break() -> None:
    path = Path(LAYOUT.finished(Cell("a", "test", "pgd", "0")))
    path.write_bytes(path.read_bytes()[:-9])


def _nothing() -> None:
    pass


STALE: dict[str, tuple[Callable[[], None], dict[str, Any]]] = {
    "other weights or preprocessing": (_other_card, {}),
    "the store decoded anew": (_decoded_again, {}),
    "other targets": (_other_images, {}),
    "a raised protocol": (_nothing, {"protocol": 2}),
    "another seed": (_nothing, {"seed": 8}),
    "other options": (_nothing, {"options": {"steps": 3}}),
    "fewer images": (_nothing, {"num_images": 4}),
    "another precision": (_nothing, {"precision": "bfloat16"}),
    "another batch size": (_nothing, {"batch_size": 4}),
}


@pytest.mark.parametrize(("change", "asked"), STALE.values(), ids=STALE)
def test_what_is_not_what_is_asked_for_is_evaluated_again(
    change: Callable[[], None], asked: dict[str, Any], evaluated: list[str]
) -> None:
    from perturb.evaluate.identity import _store_facts

    _attempt(Models(), stops_after=2)
    change()
    _store_facts.cache_clear()  # the next attempt is another process
    _attempt(Models(), **asked)
    assert evaluated == ["0", "1_255", *SEVERITIES]


def test_a_kept_shard_that_is_cut_short_is_evaluated_again(evaluated: list[str]) -> None:
    _attempt(Models(), stops_after=2)
    _break()
    _attempt(Models())
    assert evaluated == ["0", "1_255", "0", "2_255", "4_255"]


def test_a_file_system_without_hard_links_keeps_copies(
    evaluated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    _attempt(Models(), stops_after=2)
    assert _attempt(Models()) == list(SEVERITIES)
    assert evaluated == list(SEVERITIES)


def _transfer(models: Models) -> None:
    cells = {
        cell: Path(LAYOUT.shard(cell))
        for severity in ("4_255", "8_255")
        for cell in [Cell(model, "test", "transfer", severity, "a") for model in ("a", "b", "c")]
    }
    for shard in cells.values():
        shard.unlink(missing_ok=True)
    job = {"seed": 7, "options": {"steps": 2}, "batch_size": 8, "precision": "float32"}
    cards = {model: Path(LAYOUT.card(model)) for model in ("a", "b", "c")}
    slots = transfer_slots(cells, RESULTS, cards, job, FILES["test"])
    transfer_into(slots, models, open_store(*map(Path, FILES["test"])), job)
    assert all(read_metadata(shard)["model"] == cell.model for cell, shard in cells.items())


def test_transfer_keeps_the_targets_that_have_seen_the_images() -> None:
    with pytest.raises(CutShortError):
        _transfer(Models(broken="c"))
    models = Models()
    _transfer(models)
    # The source once for each severity that is left, and the targets that are.
    assert models.loaded == ["a", "c", "a", "a", "b", "c"]
    assert not Path(LAYOUT.all_finished).exists()


def test_transfer_from_another_source_is_made_again() -> None:
    with pytest.raises(CutShortError):
        _transfer(Models(broken="c"))
    _other_card()
    models = Models()
    _transfer(models)
    assert models.loaded == ["a", "a", "b", "c", "a", "a", "b", "c"]


def test_leftovers_of_cells_that_are_asked_for_no_more_go_when_the_study_is_whole() -> None:
    _attempt(Models(), stops_after=2)
    assert [*Path(LAYOUT.all_finished).rglob("*.parquet")]
    forget_all(RESULTS)
    forget_all(RESULTS)
    assert not Path(LAYOUT.all_finished).exists()


def test_the_rules_that_evaluate_keep_their_shards() -> None:
    rules = (ROOT / "rules" / "evaluate.smk").read_text()
    assert 'f"evaluate_cells_{NUMBER}"' in rules
    assert "rule transfer_attacks:" in rules
    assert _EVALUATING.fullmatch("evaluate_cells_12")
    assert _EVALUATING.fullmatch("transfer_attacks")
    assert not _EVALUATING.fullmatch("make_tables")
