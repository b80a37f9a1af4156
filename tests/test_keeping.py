"""A job evaluates the cells that are not there, whole and as asked, and keeps the others.

What a change of a whole study evaluates is in `test_cells_that_stay.py`.
"""

import gc
import json
import os
import re
import shutil
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from perturb.datasets.store import open_store, write_store
from perturb.evaluation.cell import Cell
from perturb.evaluation.failures import FailedError, each_in_turn
from perturb.evaluation.identity import cell_identity, dataset_facts, identities_of, model_facts
from perturb.evaluation.jobs import evaluate_cells
from perturb.evaluation.keeping import Task
from perturb.evaluation.loop import Subject
from perturb.evaluation.outcome import Evaluator, Outcome
from perturb.evaluation.shards import read_metadata, read_whole, write_shard
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.registry import perturbation
from perturb.experiments.transfer import jobs as transfer_jobs
from perturb.experiments.transfer.jobs import evaluate_transfer
from perturb.experiments.transfer.test_transfer import Templates
from perturb.models.classifier import Classifier, Preprocessing
from perturb.plan.paths import Paths

SEVERITIES = ("0", "1_255", "2_255", "4_255")
RESULTS = "results"
LAYOUT = Paths(RESULTS)
CORRUPTED = {name: f"test-c/{name}-3" for name in ("fog", "frost", "snow")}
FILES = {
    store: (LAYOUT.images(store), LAYOUT.manifest(store)) for store in ("test", *CORRUPTED.values())
}
STARTED = 1_000_000_000

PGD: Evaluator = evaluator_of("pgd")


class CutShortError(BaseException):
    """What ends an attempt, as a signal does."""


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
    """Write stores of eight images, darker ones after the first, and the cards of three models."""
    monkeypatch.chdir(tmp_path)
    columns = {
        "image_id": pa.array([f"image-{row}" for row in range(8)]),
        "image_key": pa.array(range(8), pa.int64()),
        "target": pa.array([row % 4 for row in range(8)], pa.int16()),
    }
    pixels = torch.from_numpy(np.random.default_rng(3).integers(256, size=(8, 3, 32, 32)))
    for part, name in enumerate(FILES):
        images, manifest = map(Path, FILES[name])
        chunk = (pixels.to(torch.uint8) // (part + 1), columns)
        write_store(images, manifest, num_images=8, chunks=[chunk])
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
        "precision": "float32",
        "protocol": 1,
        "are_conditions_independent": True,
        "repeated": {},
        "by_condition": [],
    }
    return asked | changed


def _shard(severity: str) -> Path:
    return Path(LAYOUT.shard(Cell("a", "test", "pgd", severity)))


def _task(cell: Cell, asked: dict[str, Any], *models: str) -> Task:
    cards = [Path(LAYOUT.card(model)) for model in models]
    identities = identities_of(asked, [FILES[store] for store in asked["stores"]], cards)
    identity = cell_identity(identities)
    earlier = Path(LAYOUT.earlier(cell))
    return Task(str(cell), Path(LAYOUT.shard(cell)), asked, identity, identities, earlier=earlier)


def _tasks(**changed: Any) -> dict[Cell, Task]:
    dataset_facts.cache_clear()  # each attempt is another process
    model_facts.cache_clear()
    tasks = {}
    for severity in SEVERITIES:
        cell = Cell("a", "test", "pgd", severity)
        tasks[cell] = _task(cell, _asked(severity, **changed), "a")
    return tasks


def _attempt(
    models: Models,
    stops_after: int = 99,
    evaluator: Evaluator = PGD,
    **changed: Any,
) -> list[str]:
    """Run a job; return the severities that it evaluated."""
    done = []
    try:
        for cell in evaluate_cells(_tasks(**changed), models, FILES, lambda _: evaluator, 8):
            done.append(cell.severity)
            if len(done) == stops_after:
                raise CutShortError
    except CutShortError:
        pass
    return done


def test_the_next_attempt_evaluates_the_rest_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert _attempt(Models(), stops_after=2) == ["0", "1_255"]
    first = _shard("0").read_bytes()
    assert _attempt(Models()) == ["2_255", "4_255"]
    assert "2 of 4 are kept, made by an earlier job" in caplog.text
    assert _shard("0").read_bytes() == first
    identities = {read_whole(_shard(severity))["identity"] for severity in SEVERITIES}
    assert len(identities) == 4


def test_nothing_is_loaded_where_nothing_is_left() -> None:
    _attempt(Models())
    models = Models()
    assert (_attempt(models), models.loaded) == ([], [])


def test_kept_shards_are_not_written_again() -> None:
    _attempt(Models())
    os.utime(_shard("0"), (STARTED, STARTED))
    _attempt(Models())
    assert _shard("0").stat().st_mtime == STARTED


def _conditions_evaluated(id: str, **changed: Any) -> list[tuple[str, ...]]:
    """Run a job with the evaluator of a perturbation; return the conditions of each call."""
    calls = []

    def watched(classifier: Classifier, images: Any, setting: Any) -> Any:
        calls.append(setting.conditions)
        return evaluator_of(id)(classifier, images, setting)

    declared = perturbation(id)
    _attempt(
        Models(),
        evaluator=watched,
        are_conditions_independent=declared.are_conditions_independent,
        repeated=dict(declared.repeated),
        **changed,
    )
    return calls


def test_the_attack_ensemble_is_evaluated_whole() -> None:
    options = {"steps": 1, "restarts": 1, "targets": 2, "queries": 1}
    for conditions in (("apgd_ce",), ("apgd_ce", "square"), ("square", "apgd_ce"), ("square",)):
        asked = {"conditions": list(conditions), "options": options}
        assert _conditions_evaluated("attack_ensemble", **asked) == [conditions] * 4
        assert _conditions_evaluated("attack_ensemble", **asked) == []


def test_more_samples_of_one_condition_leave_the_other(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    asked = {"conditions": ["grid", "random"], "num_images": 4}
    grid = {"rotations": 3, "translations": 3}
    few, many = ({**grid, "samples": samples} for samples in (2, 3))
    assert _conditions_evaluated("spatial", options=few, **asked) == [("grid", "random")] * 4
    assert _conditions_evaluated("spatial", options=many, **asked) == [("random",)] * 4
    assert "completed: it has other conditions" in caplog.text
    assert "1 of 2 conditions are kept" in caplog.text
    metadata = read_whole(_shard("4_255"))
    assert metadata["samples"] == {"grid": [0], "random": [1, 2, 3]}
    assert metadata["options"] == many
    wider = {**many, "rotations": 5}
    assert _conditions_evaluated("spatial", options=wider, **asked) == [("grid", "random")] * 4


def _loaded_for(*conditions: str) -> list[str]:
    """Run a job whose conditions are only names; return the models that it loaded."""
    models = Models()
    _attempt(models, evaluator=_named, conditions=list(conditions), options={}, num_images=4)
    return models.loaded


def test_a_shard_says_how_each_condition_was_evaluated() -> None:
    for conditions in (["one"], ["one", "two"], ["three", "one", "two"], ["three", "one"]):
        _loaded_for(*conditions)
        if conditions != ["three", "one"]:
            _say(_shard("0"), commit=f"commit {len(conditions)}", seconds=12.0)
    found = read_whole(_shard("0"))
    assert found["samples"] == {"three": [0], "one": [0]}
    assert found["commit"] == "commit 3"
    assert [(part["conditions"], part["commit"]) for part in found["earlier"]] == [
        (["one"], "commit 1")
    ]
    assert found["seconds"] == 8.0  # two thirds of the rows are left
    assert _loaded_for("one") == []
    found = read_whole(_shard("0"))
    assert (found["commit"], found["earlier"]) == ("commit 1", [])


def _say(path: Path, **facts: Any) -> None:
    """Let a shard say something else of its evaluation."""
    write_shard(path, pq.read_table(path, partitioning=None), read_metadata(path) | facts)


def _named(classifier: Classifier, images: Any, setting: Any) -> Any:
    for condition in setting.conditions:
        yield Outcome(condition, 0, classifier(images.pixels).detach())


def _stored(*conditions: str) -> list[tuple[str, float]]:
    """Run a job of stored corruptions; return conditions and mean pixels of those evaluated."""
    found = []

    def watched(classifier: Classifier, images: Any, setting: Any) -> Any:
        found.append((*setting.conditions, images.pixels.float().mean().item()))
        return _named(classifier, images, setting)

    cell = Cell("a", "test-c", "stored_corruptions", "3")
    stores = [CORRUPTED[name] for name in conditions]
    asked = _asked("3", conditions=list(conditions), stores=stores, options={})
    dataset_facts.cache_clear()
    task = _task(cell, asked, "a")
    list(evaluate_cells({cell: task}, Models(), FILES, lambda _: watched, 8))
    assert list(read_whole(task.path)["samples"]) == list(conditions)
    return found


def test_a_stored_corruption_depends_on_its_own_images() -> None:
    of_one = {name: _stored(name)[0] for name in CORRUPTED}
    assert len({mean for _, mean in of_one.values()}) == 3
    shutil.rmtree("results/earlier")
    assert _stored("snow", "frost") == [of_one["frost"]]
    assert _stored("fog", "frost", "snow") == [of_one["fog"]]
    assert _stored("fog", "snow") == []
    _rewrite(CORRUPTED["snow"], lambda pixels: 255 - pixels)
    ((name, mean),) = _stored("fog", "snow")
    assert (name, mean) == ("snow", pytest.approx(255 - of_one["snow"][1], rel=1e-5))


def test_a_corruption_with_other_targets_than_the_kept_ones_is_refused() -> None:
    _stored("fog", "snow")
    _rewrite(CORRUPTED["frost"], target=OTHER_TARGETS)
    with pytest.raises(FailedError, match="'frost' has other targets than 'fog'"):
        _stored("fog", "frost", "snow")


def test_a_condition_that_was_removed_returns_without_evaluation() -> None:
    _loaded_for("one", "two", "three")
    _say(_shard("0"), commit="commit 1")
    rows = _rows_by_condition()
    assert _loaded_for("three", "one") == []
    assert _loaded_for("three", "four", "one") == ["a"]
    _say(_shard("0"), commit="commit 2")
    assert _loaded_for("one", "two", "three", "four") == []
    found = read_whole(_shard("0"))
    assert _rows_by_condition().items() >= rows.items()
    assert [(part["conditions"], part["commit"]) for part in found["earlier"]] == [
        (["two"], "commit 1"),
        (["three", "one"], "commit 1"),
    ]
    assert list(found["samples"]) == ["one", "two", "three", "four"]


def test_an_earlier_version_of_other_weights_is_not_used() -> None:
    _loaded_for("one", "two")
    _loaded_for("one")
    _card(weights_sha256="1")
    assert _loaded_for("one", "two") == ["a"]


def _rows_by_condition() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in pq.read_table(_shard("0"), partitioning=None).to_pylist():
        found.setdefault(row["condition"], []).append(row)
    return found


def test_a_new_condition_that_fails_leaves_the_others() -> None:
    def failing(*arguments: Any) -> Any:
        raise ValueError(f"no {arguments[2].conditions}")

    _loaded_for("one")
    before = _shard("0").read_bytes()
    asked = {"conditions": ["one", "two"], "options": {}, "num_images": 4}
    with pytest.raises(ValueError, match=r"no \('two',\)"):
        _attempt(Models(), evaluator=failing, **asked)
    assert _shard("0").read_bytes() == before


def test_a_cell_without_conditions_has_no_identity() -> None:
    with pytest.raises(ValueError, match="pgd of test has no condition"):
        _attempt(Models(), conditions=[])


def test_a_cell_that_fails_is_named_after_the_others() -> None:
    def failing(*arguments: Any) -> Any:
        if arguments[2].severity in (1 / 255, 2 / 255):
            raise ValueError(f"no {arguments[2].severity * 255:g}")
        return PGD(*arguments)

    with pytest.raises(ValueError, match=r"2 failed:\n.*no 1\n.*no 2"):
        _attempt(Models(), evaluator=failing)
    assert [_shard(severity).exists() for severity in SEVERITIES] == [True, False, False, True]
    assert _attempt(Models()) == ["1_255", "2_255"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("head"), "KeyError: 'head'"),
        (RuntimeError("shapes differ"), "RuntimeError: shapes differ"),
        (RuntimeError("CUDA error: out of memory"), "memory runs out with a batch of 1"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling x"), "RuntimeError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_any_error_of_a_cell_leaves_the_others_to_be_evaluated(
    error: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*arguments: Any) -> Any:
        if arguments[2].severity == 0:
            raise error
        return PGD(*arguments)

    caplog.set_level("INFO")
    with pytest.raises(FailedError, match=rf"^a / test / pgd / 0: {reason}"):
        _attempt(Models(), evaluator=failing)
    assert "Traceback" in caplog.text
    assert "in failing" in caplog.text
    assert [_shard(severity).exists() for severity in SEVERITIES] == [False, True, True, True]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_what_concerns_all_cells_ends_the_job(error: Exception) -> None:
    def failing(*_: Any) -> Any:
        raise error

    with pytest.raises(type(error), match=re.escape(str(error))) as caught:
        _attempt(Models(), evaluator=failing)
    assert caught.value is error


def test_nothing_of_a_failed_cell_stays_in_memory() -> None:
    held = list[weakref.ref[torch.Tensor]]()

    def failing(*arguments: Any) -> Any:
        gc.collect()
        assert all(reference() is None for reference in held)
        activations = torch.zeros(3)
        held.append(weakref.ref(activations))
        raise ValueError(f"no {arguments[2].severity * 255:g}")

    with pytest.raises(FailedError, match=r"^4 failed:\n.*no 0\n.*no 1\n.*no 2\n.*no 4"):
        _attempt(Models(), evaluator=failing)
    assert len(held) == len(SEVERITIES)


def test_rows_that_cannot_be_written_are_of_one_cell() -> None:
    real = Task.write

    def write(task: Task, table: pa.Table, metadata: Any) -> None:
        if task.path == _shard("0"):
            raise pa.ArrowInvalid("no such column")
        real(task, table, metadata)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Task, "write", write)
        with pytest.raises(FailedError, match="a / test / pgd / 0: no such column"):
            _attempt(Models())
    assert [_shard(severity).exists() for severity in SEVERITIES] == [False, True, True, True]


def test_a_model_that_cannot_be_loaded_is_loaded_once() -> None:
    loaded = []

    def load(model: str) -> Subject:
        loaded.append(model)
        raise KeyError("weights")

    with pytest.raises(FailedError, match=r"^4 failed:\n"):
        list(evaluate_cells(_tasks(), load, FILES, lambda _: PGD, 8))
    assert loaded == ["a"]


def test_failures_of_all_parts_of_a_job_are_raised_at_its_end() -> None:
    def part(*names: str) -> Any:
        yield from names
        raise FailedError({f"{name} again": "no" for name in names})

    found: list[str] = []
    parts = each_in_turn(part("a", "b"), part("c"), iter(["d"]))
    with pytest.raises(FailedError, match=r"^3 failed:\na again: no\nb again: no\nc again: no$"):
        found.extend(iter(lambda: next(parts), None))
    assert found == ["a", "b", "c", "d"]


def _card(**facts: Any) -> None:
    """Write the card of model `a` with other facts."""
    Path(LAYOUT.card("a")).write_text(json.dumps({"model": "a", **facts}))


OTHER_TARGETS = pa.array([0] * 8, pa.int16())


def _rewrite(
    name: str, change: Callable[[Any], Any] = lambda pixels: pixels, **columns: pa.Array
) -> None:
    """Write a decoded dataset again, with other pixels or columns."""
    images, manifest = map(Path, FILES[name])
    store = open_store(images, manifest)
    kept = {name: store.manifest[name] for name in store.manifest.column_names}
    pixels = torch.from_numpy(change(np.array(store.pixels)))
    write_store(images, manifest, num_images=8, chunks=[(pixels, kept | columns)])


STALE: dict[str, tuple[Callable[[], None] | None, dict[str, Any]]] = {
    "another preprocessing": (partial(_card, preprocessing={"side": 16}), {}),
    "other targets": (partial(_rewrite, "test", target=OTHER_TARGETS), {}),
    "other options": (None, {"options": {"steps": 3}}),
    "another precision": (None, {"precision": "bfloat16"}),
}


@pytest.mark.parametrize(("change", "asked"), STALE.values(), ids=STALE)
def test_what_is_not_what_is_asked_for_is_evaluated_again(
    change: Callable[[], None] | None, asked: dict[str, Any]
) -> None:
    _attempt(Models(), stops_after=2)
    if change is not None:
        change()
    assert _attempt(Models(), **asked) == list(SEVERITIES)


def test_what_decides_no_number_is_no_part_of_an_identity() -> None:
    _attempt(Models())
    _card(versions={"torch": "3"}, curve=[])  # trained again, with the same weights
    assert _attempt(Models()) == []


def test_a_shard_without_identity_is_evaluated_again() -> None:
    _attempt(Models())
    metadata = read_metadata(_shard("2_255"))
    del metadata["identity"]
    write_shard(_shard("2_255"), pq.read_table(_shard("2_255")), metadata)
    assert _attempt(Models()) == ["2_255"]


def _transfer(models: Models) -> list[Cell]:
    dataset_facts.cache_clear()
    model_facts.cache_clear()
    tasks = {}
    for severity in ("4_255", "8_255"):
        for model in ("a", "b", "c"):
            cell = Cell(model, "test", "transfer", severity, "a")
            asked = _asked(severity, perturbation="transfer", conditions=["a"])
            tasks[cell] = _task(cell, asked, model, "a")
    done = list(evaluate_transfer(tasks, models, FILES, 8))
    assert all(read_metadata(task.path)["model"] == cell.model for cell, task in tasks.items())
    return done


def test_transfer_keeps_the_targets_that_have_seen_the_images() -> None:
    with pytest.raises(CutShortError):
        _transfer(Models(broken="c"))
    models = Models()
    _transfer(models)
    # The source once for each severity that is left, and the targets that are.
    assert models.loaded == ["a", "c", "a", "a", "b", "c"]
    models = Models()
    assert (_transfer(models), models.loaded) == ([], [])


def test_examples_that_cannot_be_made_are_tried_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attacked = []

    def failing(*_: Any, **options: Any) -> Any:
        attacked.append(options["setting"].severity)
        raise RuntimeError("no gradient")

    monkeypatch.setattr(transfer_jobs, "examples_against", failing)
    caplog.set_level("INFO")
    with pytest.raises(FailedError, match=r"^6 failed:\na / test / transfer / 4_255 / a: Runtime"):
        _transfer(Models())
    assert "in failing" in caplog.text
    assert attacked == [4 / 255, 8 / 255]


def _identities(**asked: Any) -> dict[str, str]:
    return identities_of(_asked("0", **asked), [FILES["test"]], [Path(LAYOUT.card("a"))])


def test_a_class_map_counts_by_its_content_and_not_by_its_place() -> None:
    Path("one.json").write_text('{"one": [0]}')
    Path("other.json").write_text('{"one": [0]}')
    before = _identities(class_map="one.json")
    assert _identities(class_map="other.json") == before
    Path("other.json").write_text('{"one": [1]}')
    assert _identities(class_map="other.json") != before


def test_classes_of_another_dataset_are_no_part_of_a_condition() -> None:
    def identities(**classes: list[int]) -> dict[str, str]:
        options = {"classes": classes}
        return _identities(conditions=[*classes], options=options, by_condition=["classes"])

    alone, both, other = identities(r=[0]), identities(r=[0], a=[1, 2]), identities(r=[3], a=[1, 2])
    assert alone["r"] == both["r"] != other["r"]
    assert both["a"] == other["a"]
