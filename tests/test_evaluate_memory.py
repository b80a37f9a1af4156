"""A cell whose batches do not fit into the memory has the rows of one whose batches do."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from perturb.datasets.build import build_generated
from perturb.datasets.store import Images, ImageStore, open_store
from perturb.evaluation.cell import Cell
from perturb.evaluation.keeping import Task
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.evaluation.outcome import Outcome, Setting
from perturb.evaluation.shards import read_metadata
from perturb.experiments.layer_correlations.measure import correlations_of
from perturb.experiments.perturbation_patterns.measure import LEVELS, patterns_of
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.registry import perturbation as perturbation_of
from perturb.experiments.transfer import jobs
from perturb.experiments.transfer.jobs import evaluate_transfer
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing

CPU = torch.device("cpu")
ARGUMENTS = {"patch_size": 8, "embed_dim": 32, "depth": 4, "num_heads": 2, "mlp_ratio": 2}
CARD: Any = SimpleNamespace(weights_sha256="0", preprocessing=Preprocessing(side=32))


class Greedy(Classifier):
    """A classifier that runs out of memory with more than some images."""

    capacity = 1_000_000
    num_failures = 0

    def prepare(self, images: Tensor) -> Tensor:
        """Fail as CUDA does."""
        if len(images) > self.capacity:
            type(self).num_failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().prepare(images)


def _subject(capacity: int = 1_000_000) -> Subject:
    torch.manual_seed(1)
    network = build_network("vit", ARGUMENTS, 12, 32)
    with torch.no_grad():  # a fresh head is all zeros
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    classifier = Greedy(network, Preprocessing(side=32)).eval()
    classifier.capacity = capacity
    return Subject(classifier, CARD, CPU)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    """Return thirteen images of which the classifier gets most right."""
    folder = tmp_path_factory.mktemp("store")
    paths = folder / "images.npy", folder / "manifest.parquet"
    build_generated(*paths, {"set": "target", "split": "test"}, num_images=13, seed=1)
    store = open_store(*paths)
    targets = _subject().classifier(store.read(0, 13).pixels).argmax(dim=1)
    targets[::4] = store.targets[::4]
    position = store.manifest.column_names.index("target")
    column = pa.array(targets.tolist(), pa.int16())
    return ImageStore(store.pixels, store.manifest.set_column(position, "target", column))


CASES = {
    "none": ("0", {}),
    "corruptions": ("3", {}),
    "pgd": ("4_255", {"steps": 2, "random_start": True}),
    "spatial": ("1", {"rotations": 3, "translations": 3, "samples": 2}),
    "lesions": ("2", {"samples": 3}),
    "heads": ("1", {}),
    "restricted_attention": ("1", {"seeds": 2}),
    "token_removal": ("0.5", {"seeds": 2}),
}


def _evaluated(
    subject: Subject, store: ImageStore, name: str, batch_size: int, **how: Any
) -> tuple[pa.Table, dict[str, Any]]:
    severity, options = CASES[name]
    cell = Cell("a", "test", name, severity)
    conditions = ("fog", "snow") if name == "corruptions" else perturbation_of(name).conditions
    setting = Setting(conditions, cell.severity_value, 7, options)
    return evaluate_cell(
        subject,
        dict.fromkeys(conditions, store),
        cell,
        setting,
        evaluator_of(name),
        protocol=1,
        batch_size=batch_size,
        **how,
    )


def _assert_same(found: pa.Table, wanted: pa.Table) -> None:
    """Compare tables that may differ in the last bits of floating-point columns."""
    for name in wanted.column_names:
        values, expected = found[name], wanted[name]
        if pa.types.is_floating(expected.type):
            values, expected = values.to_pandas().tolist(), expected.to_pandas().tolist()
            assert values == pytest.approx(expected, rel=1e-3, abs=1e-4, nan_ok=True), name
        else:
            assert values.to_pylist() == expected.to_pylist(), name


@pytest.mark.parametrize("capacity", [1, 3, 6])
@pytest.mark.parametrize("name", CASES)
def test_rows_are_the_same(name: str, capacity: int, store: ImageStore) -> None:
    wanted, metadata = _evaluated(_subject(), store, name, 8)
    assert metadata["smallest_batch_size"] == metadata["batch_size"] == 8
    Greedy.num_failures = 0
    found, metadata = _evaluated(_subject(capacity), store, name, 8)
    assert Greedy.num_failures > 0
    assert metadata["batch_size"] == 8
    assert metadata["smallest_batch_size"] == {1: 1, 3: 2, 6: 4}[capacity]
    _assert_same(found, wanted)


def test_what_a_failed_batch_had_yielded_is_thrown_away(store: ImageStore) -> None:
    sizes: list[int] = []

    def evaluator(_: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
        logits = torch.nn.functional.one_hot(images.keys.remainder(12), 12).float()
        for number, condition in enumerate(setting.conditions):
            yield Outcome(condition, 0, logits.roll(number, dims=1))
            if number == 1 and len(images.keys) > 2:
                sizes.append(len(images.keys))
                raise torch.OutOfMemoryError("CUDA out of memory")

    setting = Setting(("a", "b", "c"), 0, 1)
    cell = Cell("a", "test", "none", "0")
    stores = dict.fromkeys("abc", store)
    table, _ = evaluate_cell(_subject(), stores, cell, setting, evaluator, protocol=1, batch_size=8)
    assert sizes == [8, 4]
    assert table.num_rows == 3 * 13
    keys = store.read(0, 13).keys
    for number, condition in enumerate("abc"):
        part = table.slice(number * 13, 13)
        assert part["condition"].unique().to_pylist() == [condition]
        assert part["image_id"].to_pylist() == store.image_ids.to_pylist()
        assert part["prediction"].to_pylist() == ((keys + number) % 12).tolist()


def test_image_that_does_not_fit_names_model_cell_and_batch(store: ImageStore) -> None:
    message = r"^a / test / pgd / 4_255: .*batch of 1 image, halved from 8"
    with pytest.raises(torch.OutOfMemoryError, match=message):
        _evaluated(_subject(0), store, "pgd", 8)


def test_precision_is_recorded_and_used(store: ImageStore) -> None:
    exact, metadata = _evaluated(_subject(), store, "none", 8)
    assert (metadata["dtype"], metadata["is_compiled"]) == ("float32", False)
    rough, metadata = _evaluated(_subject(), store, "none", 8, precision="bfloat16")
    assert metadata["dtype"] == "bfloat16"
    assert not exact["loss"].equals(rough["loss"])
    assert rough["loss"].to_pylist() == pytest.approx(exact["loss"].to_pylist(), abs=0.3)
    _, metadata = _evaluated(_subject(), store, "none", 8, precision="auto")
    assert metadata["dtype"] == "float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_transfer_is_the_same(
    precision: str, store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "stores_of", lambda *_: {"a": store})
    cells = [Cell(model, "test", "transfer", "8_255", "a") for model in ("a", "b")]
    asked = {
        "seed": 3,
        "options": {"steps": 2},
        "precision": precision,
        "protocol": 1,
    }
    tables = {}
    for capacity in (1_000_000, 3):
        tasks = {
            cell: Task(str(cell), tmp_path / f"{capacity}-{cell.model}.parquet", asked, "0")
            for cell in cells
        }
        assert [*evaluate_transfer(tasks, lambda _, n=capacity: _subject(n), {}, 8)] == cells
        paths = [task.path for task in tasks.values()]
        tables[capacity] = [(pq.read_table(path), read_metadata(path)) for path in paths]
    for (wanted, _), (found, metadata) in zip(*tables.values(), strict=True):
        assert metadata["smallest_batch_size"] == 2
        assert metadata["dtype"] == precision
        if precision == "float32":
            _assert_same(found, wanted)
        assert found["image_id"].to_pylist() == wanted["image_id"].to_pylist()


def test_patterns_are_the_same(store: ImageStore) -> None:
    asked = {
        "patch_sizes": [8],
        "options": {"epsilon": 1 / 255, "steps": 2},
        "generate": None,
        "seed": 7,
        "precision": "float32",
    }
    wanted, found = (
        patterns_of(_subject(capacity), store, "a", asked, 8) for capacity in (1_000_000, 3)
    )
    ratios = [name for name in wanted.column_names if name != LEVELS]
    _assert_same(found.select(ratios), wanted.select(ratios))
    pictures = [table[LEVELS].to_pylist() for table in (wanted, found)]
    assert [level is None for level in pictures[0]] == [False] * 12 + [True]
    for one, other in zip(*(shown[:12] for shown in pictures), strict=True):
        levels = [np.frombuffer(each, np.uint8).astype(int) for each in (one, other)]
        assert abs(levels[0] - levels[1]).max() <= 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_correlations_are_the_same(precision: str, store: ImageStore) -> None:
    """CKA depends on which images are compared in a batch: that must not be halved."""
    asked = {"precision": precision}
    wanted, found = (
        correlations_of(_subject(capacity), store, "a", asked, 8) for capacity in (1_000_000, 3)
    )
    _assert_same(found, wanted)
    assert "cka_all" in found["measure"].to_pylist()
