"""Models that are evaluated together have the rows that they have alone, and fail alone."""

import copy
import gc
import shutil
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from perturb.datasets.build import build_generated
from perturb.datasets.store import Images, ImageStore, open_store
from perturb.evaluation import together
from perturb.evaluation.cell import Cell
from perturb.evaluation.failures import FailedError
from perturb.evaluation.loop import Load, Subject, evaluate_cell
from perturb.evaluation.outcome import Evaluator, InputEvaluator, Perturbed, Setting
from perturb.evaluation.shards import read_metadata
from perturb.evaluation.together import evaluate_together
from perturb.experiments.corruptions import evaluate as corruption
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.models.classifier import Preprocessing
from perturb.models.precision import hold_in_bfloat16
from tests import kept_study
from tests.device_counts import Counts, counted
from tests.test_evaluate_memory import Greedy
from tests.tiny_study import TINY_STUDY

CPU = torch.device("cpu")
NUM_IMAGES = 13

# --------------------------------------------------------------------------- a whole small study


def _study(models_per_job: int) -> dict[str, Any]:
    study = copy.deepcopy(TINY_STUDY) | {"models_per_job": models_per_job, "batch_size": 5}
    for dataset in study["datasets"].values():
        dataset["images"] = min(dataset["images"], 12)
    study["models"]["c"] = {**study["models"]["a"]}
    study["perturbations"]["none"]["datasets"].append("second")
    study["perturbations"]["fgsm"] = {"datasets": ["test"], "images": 6, "epsilons": ["1/255"]}
    return study


@pytest.fixture
def corrupted(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int, tuple[int, ...]]]:
    """Return how often each corruption, severity and batch was computed."""
    counts: Counter[tuple[str, int, tuple[int, ...]]] = Counter()
    real = corruption.corrupt

    def corrupt(pixels: Tensor, name: str, severity: int, keys: Tensor, *rest: Any, **how: Any):
        counts[name, severity, tuple(keys.tolist())] += 1
        return real(pixels, name, severity, keys, *rest, **how)

    monkeypatch.setattr(corruption, "corrupt", corrupt)
    return counts


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, int]]:
    """Return how often each part of a decoded dataset was read."""
    counts: Counter[tuple[int, int]] = Counter()
    real = ImageStore.read

    def watched(store: ImageStore, start: int, stop: int) -> Images:
        counts[start, stop] += 1
        return real(store, start, stop)

    monkeypatch.setattr(ImageStore, "read", watched)
    return counts


def _rows() -> dict[str, pa.Table]:
    shards = sorted(Path("results/shards").rglob("*.parquet"))
    return {str(path): pq.read_table(path, partitioning=None) for path in shards}


def _facts(path: str) -> dict[str, Any]:
    """Return the metadata of a shard that do not tell its time."""
    facts = read_metadata(Path(path))
    return {name: facts[name] for name in facts if name not in ("seconds", "images_per_second")}


def test_shards_are_the_same_and_batches_are_made_once(
    corrupted: Counter[Any],
    read: Counter[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    all_cells = kept_study.run_anew(_study(1))
    alone, facts = _rows(), {path: _facts(path) for path in _rows()}
    assert len(corrupted) == 2 * 2 * 3  # corruptions, severities, batches
    assert set(corrupted.values()) == {4}
    num_read = read.total()
    for folder in ("shards", "receipts"):
        shutil.rmtree(Path("results") / folder)
    corrupted.clear()
    read.clear()
    assert kept_study.run_anew(_study(3)) == all_cells
    found = _rows()
    assert found.keys() == alone.keys()
    for path, table in found.items():
        assert table.equals(alone[path]), path
        assert _facts(path) == facts[path]
    # Three models and one more; the reference has another list of datasets: clean images alone.
    assert set(corrupted.values()) == {2}
    assert read.total() < num_read
    assert len(list(Path("results/receipts").rglob("*.json"))) == 7


def test_kept_cells_are_not_evaluated_again_with_the_others(
    corrupted: Counter[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept_study.run_anew(_study(4))
    before = _rows()
    gone = [f"results/shards/{model}/test/corruptions/2.parquet" for model in ("b", "c")]
    for path in gone:
        Path(path).unlink()
    corrupted.clear()
    assert kept_study.run_anew(_study(4)) == {
        f"{model} / test / corruptions / 2" for model in ("b", "c")
    }
    assert {severity for _, severity, _ in corrupted} == {2}
    assert set(corrupted.values()) == {1}
    assert all(table.equals(before[path]) for path, table in _rows().items())


def test_conditions_that_are_missing_are_evaluated_together(
    corrupted: Counter[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = _study(4)
    kept_study.run_anew(study)
    corrupted.clear()
    study["perturbations"]["corruptions"]["corruptions"] += ["fog"]
    assert len(kept_study.run_anew(study)) == 8
    assert {name for name, _, _ in corrupted} == {"fog"}
    assert set(corrupted.values()) == {1}
    metadata = read_metadata(Path("results/shards/c/test/corruptions/2.parquet"))
    assert [part["conditions"] for part in metadata["earlier"]] == [["brightness", "contrast"]]


class Alive:
    """How many models are in memory when another one is loaded."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loaded: list[weakref.ref[Any]] = []
        self.counts: list[tuple[str, int]] = []

    def __call__(self, model: str) -> Subject:
        gc.collect()
        self.counts.append((model, sum(one() is not None for one in self._loaded)))
        subject = self._load(model)
        self._loaded.append(weakref.ref(subject.classifier))
        return subject


def test_models_are_in_memory_together_only_for_what_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[Alive] = []

    def loader(*arguments: Any) -> Alive:
        made.append(Alive(real(*arguments)))
        return made[-1]

    real = kept_study.loader
    monkeypatch.setattr(kept_study, "loader", loader)
    num_alive: list[int] = []
    evaluator = evaluator_of("fgsm")

    def attack(*arguments: Any) -> Any:
        gc.collect()
        num_alive.append(sum(one() is not None for alive in made for one in alive._loaded))
        return evaluator(*arguments)

    monkeypatch.setattr(
        kept_study, "evaluator_of", lambda id: attack if id == "fgsm" else evaluator_of(id)
    )
    kept_study.run_anew(_study(3) | {"jobs_by": "model"})
    assert made[0].counts == [("a", 0), ("b", 1), ("c", 2)]
    assert set(num_alive) == {1}


# ----------------------------------------------------------------------------- failures of models


class Numbered(nn.Module):
    """A network of random weights that fails from some image on."""

    def __init__(self, seed: int, num_classes: int = 12, bad: float | None = None) -> None:
        super().__init__()
        self.num_classes, self.bad, self.num_seen = num_classes, bad, 0
        generator = torch.Generator().manual_seed(seed)
        self.weights = nn.Parameter(torch.randn(48, num_classes, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        logits = images[:, :, ::8, ::8].flatten(1) @ self.weights
        self.num_seen += len(logits)
        if self.bad is not None and self.num_seen > 6:
            logits = logits + self.bad
        return logits


def _subject(seed: int, capacity: int = 1_000_000, **network: Any) -> Subject:
    classifier = Greedy(Numbered(seed, **network), Preprocessing(side=32)).eval()
    classifier.capacity = capacity
    card: Any = SimpleNamespace(weights_sha256=str(seed), preprocessing=Preprocessing(side=32))
    return Subject(classifier, card, CPU)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    """Return thirteen images."""
    folder = tmp_path_factory.mktemp("store")
    paths = folder / "images.npy", folder / "manifest.parquet"
    build_generated(*paths, {"set": "target", "split": "test"}, num_images=NUM_IMAGES, seed=1)
    return open_store(*paths)


SETTING = Setting(("fog", "gaussian_noise"), 3.0, 7)


def _cell(name: str, perturbation: str = "corruptions") -> Cell:
    return Cell(name, "test", perturbation, "3")


def _together(
    subjects: Mapping[str, Subject],
    store: ImageStore,
    evaluator: Evaluator | None = None,
    setting: Setting = SETTING,
    precisions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    found = evaluate_together(
        {_cell(name): subject for name, subject in subjects.items()},
        dict.fromkeys(setting.conditions, store),
        setting,
        evaluator or evaluator_of("corruptions"),
        protocol=1,
        batch_size=5,
        precisions={_cell(name): (precisions or {}).get(name, "float32") for name in subjects},
    )
    return {cell.model: result for cell, result in found.items()}


def _alone(name: str, subject: Subject, store: ImageStore, precision: str = "float32") -> pa.Table:
    evaluator = evaluator_of("corruptions")
    stores = dict.fromkeys(SETTING.conditions, store)
    return evaluate_cell(
        subject,
        stores,
        _cell(name),
        SETTING,
        evaluator,
        protocol=1,
        batch_size=5,
        precision=precision,
    )[0]


FAILING: dict[str, tuple[dict[str, Any], str]] = {
    "logits that are no numbers": ({"bad": float("nan")}, "logits of .* images are not finite"),
    "infinite logits": ({"bad": float("inf")}, "logits of .* images are not finite"),
    "too few classes": ({"num_classes": 5}, "has targets up to 11, but bad has 5 classes"),
    "no memory": ({"capacity": 0}, "memory runs out with a batch of 1 image, halved from 5"),
}


@pytest.mark.parametrize(("bad", "message"), FAILING.values(), ids=FAILING)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_model_fails_alone(
    place: int, bad: dict[str, Any], message: str, store: ImageStore
) -> None:
    subjects = [("one", _subject(1)), ("two", _subject(2))]
    subjects.insert(place, ("bad", _subject(3, **bad)))
    found = _together(dict(subjects), store)
    assert list(found) == [name for name, _ in subjects]
    error = found["bad"]
    assert isinstance(error, Exception)
    assert error.__traceback__ is None  # nothing of the failed batch is kept
    with pytest.raises(type(error), match=f"(?s)bad.*{message}|{message}"):
        raise error
    for number, name in enumerate(("one", "two"), 1):
        assert found[name][0].equals(_alone(name, _subject(number), store))


def test_each_model_has_its_precision(store: ImageStore) -> None:
    precisions = {"one": "float32", "two": "bfloat16", "three": "pure_bfloat16"}
    subjects = {name: _subject(number) for number, name in enumerate(precisions)}
    hold_in_bfloat16(subjects["three"].classifier.network)
    found = _together(subjects, store, precisions=precisions)
    for name, precision in precisions.items():
        assert found[name][1]["dtype"] == precision
        assert found[name][0].equals(_alone(name, subjects[name], store, precision))
    with pytest.raises(ValueError, match="the weights were loaded in bfloat16"):
        raise _together({"three": subjects["three"]}, store)["three"]


def test_nothing_is_read_after_the_last_model_failed(store: ImageStore, read: Counter[Any]) -> None:
    found = _together({name: _subject(1, capacity=0) for name in "ab"}, store)
    assert all(isinstance(error, torch.OutOfMemoryError) for error in found.values())
    assert read.total() <= 2


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_batches_are_halved_for_the_model_that_needs_it(capacity: int, store: ImageStore) -> None:
    found = _together({"one": _subject(1), "small": _subject(2, capacity)}, store)
    halved = {1: 1, 2: 2, 3: 3}[capacity]
    assert found["one"][1]["smallest_batch_size"] == found["one"][1]["batch_size"] == 5
    assert found["small"][1]["smallest_batch_size"] == halved
    assert found["small"][1]["batch_size"] == 5
    assert found["one"][0].equals(_alone("one", _subject(1), store))
    for name in ("prediction", "image_id", "condition"):
        wanted = _alone("small", _subject(2), store)[name]
        assert found["small"][0][name].to_pylist() == wanted.to_pylist()


def test_images_that_do_not_fit_are_perturbed_in_halves(store: ImageStore) -> None:
    real, sizes = evaluator_of("corruptions"), list[int]()
    assert isinstance(real, InputEvaluator)

    def pixels(images: Images, setting: Setting) -> Iterator[Perturbed]:
        sizes.append(len(images.keys))
        if len(images.keys) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real.pixels(images, setting)

    found = _together({"one": _subject(1), "two": _subject(2)}, store, InputEvaluator(pixels))
    assert sizes[:3] == [5, 3, 2]
    assert max(sizes[3:]) == 2
    wanted = _alone("two", _subject(2), store)
    for name in ("prediction", "image_id", "condition"):
        assert found["two"][0][name].to_pylist() == wanted[name].to_pylist()


def test_perturbations_that_need_the_model_share_the_batches(
    store: ImageStore, read: Counter[Any]
) -> None:
    setting = Setting(("r",), 0.0, 7, {"classes": {"r": [1, 2, 11]}})
    evaluator = evaluator_of("class_subset")
    found = _together({"one": _subject(1), "two": _subject(2)}, store, evaluator, setting)
    assert set(found["two"][0]["prediction"].to_pylist()) <= {1, 2, 11}
    assert set(read.values()) == {1}


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), RuntimeError("CUDA error: device-side assert")]
)
def test_what_concerns_all_ends_the_pass(error: Exception, store: ImageStore) -> None:
    def failing(*_: Any) -> Any:
        raise error

    with pytest.raises(type(error), match=str(error.args[-1])):
        _together({"one": _subject(1), "two": _subject(2)}, store, failing)


def test_images_that_cannot_be_perturbed_fail_for_all(store: ImageStore) -> None:
    def pixels(*_: Any) -> Iterator[Perturbed]:
        raise ValueError("no clouds")

    with pytest.raises(ValueError, match="no clouds"):
        _together({"one": _subject(1)}, store, InputEvaluator(pixels))


def test_the_host_waits_as_often_with_more_batches_and_shared_work_is_done_once(
    store: ImageStore,
) -> None:
    subjects = {"one": _subject(1), "two": _subject(2)}
    both = _counts(subjects, store)
    assert both.syncs == _counts(subjects, store.subset([0, 1, 2, 3, 4])).syncs
    # A second model adds as many kernels as to images that are not perturbed.
    unchanged = evaluator_of("none")
    added = both.kernels - _counts({"one": _subject(1)}, store).kernels
    both_unchanged, one_unchanged = (
        _counts(some, store, unchanged).kernels for some in (subjects, {"one": _subject(1)})
    )
    assert added == both_unchanged - one_unchanged


def _counts(
    subjects: Mapping[str, Subject], store: ImageStore, evaluator: Evaluator | None = None
) -> Counts:
    with counted() as counts:
        _together(subjects, store, evaluator)
    return counts


def test_times_add_up_to_that_of_the_pass(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(together.time, "perf_counter", lambda: float(next(ticks)))
    found = _together({"one": _subject(1), "two": _subject(2)}, store)
    total = sum(found[name][1]["seconds"] for name in ("one", "two"))
    assert total == pytest.approx(float(next(ticks)) - 1, abs=5)


# ------------------------------------------------------------------------ failures of whole jobs


def test_a_failed_model_of_a_job_is_named_and_the_others_have_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    real = kept_study.loader

    def loader(*arguments: Any) -> Load:
        load = real(*arguments)

        def broken(model: str) -> Subject:
            if model == "c":
                raise KeyError("head.weight")
            subject = load(model)
            if model == "b":
                for weights in subject.classifier.parameters():
                    weights.data.fill_(float("nan"))
            return subject

        return broken

    with monkeypatch.context() as patched:
        patched.setattr(kept_study, "loader", loader)
        with pytest.raises(FailedError) as caught:
            kept_study.run_anew(_study(4) | {"jobs_by": "cell"})
    assert caught.value.reasons == {
        "b / test / none / 0": "b / test / none / 0: none: logits of 12 images are not finite",
        "c / test / none / 0": "KeyError: 'head.weight'",
    }
    assert "Traceback" in caplog.text
    shards = Path("results/shards")
    assert [model for model in ("a", "b", "c") if (shards / model).exists()] == ["a"]
    evaluated = kept_study.run_anew(_study(4) | {"jobs_by": "cell"})
    assert "a / test / none / 0" not in evaluated
    assert {"b / test / none / 0", "c / test / none / 0"} <= evaluated


def test_images_that_cannot_be_perturbed_fail_each_cell_of_the_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    calls: list[str] = []

    def corrupt(*arguments: Any, **_: Any) -> Tensor:
        calls.append(arguments[1])
        raise ValueError("no clouds")

    monkeypatch.setattr(corruption, "corrupt", corrupt)
    study = _study(4)
    study["perturbations"]["corruptions"]["severities"] = [1]
    with pytest.raises(FailedError, match=r"^4 failed:\n") as caught:
        kept_study.run_anew(study)
    assert set(caught.value.reasons) == {
        f"{model} / test / corruptions / 1" for model in ("a", "b", "reference", "c")
    }
    assert len(calls) == 1  # it is not tried again for each
