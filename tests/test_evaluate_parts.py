"""Stored corruptions, predictions among some classes, images of which several classes are right."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from perturb.datasets.store import Images, ImageStore
from perturb.evaluation import jobs
from perturb.evaluation.cell import Cell
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.evaluation.outcome import Setting
from perturb.evaluation.shards import Expected, verify_shard, write_shard
from perturb.experiments.benchmarks.evaluate import subset_outcomes
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.models.class_maps import ClassMap
from perturb.models.classifier import Classifier, Preprocessing

CARD: Any = SimpleNamespace(weights_sha256="0", preprocessing=Preprocessing(side=16))
STORED = Cell("a", "c", "stored_corruptions", "3")
CLEAN = Cell("a", "c", "none", "0")


class FirstPixels(nn.Module):
    """A network whose logits are the first six pixels of an image, in gray levels."""

    num_classes = 6

    def __init__(self) -> None:
        super().__init__()
        self.num_passes = 0

    def forward(self, images: Tensor) -> Tensor:
        self.num_passes += 1
        return images[:, 0, 0, :6] * 255


def _subject(class_map: ClassMap | None = None) -> Subject:
    preprocessing = Preprocessing(side=16, mean=(0, 0, 0), std=(1, 1, 1))
    classifier = Classifier(FirstPixels(), preprocessing).eval()
    return Subject(classifier, CARD, torch.device("cpu"), class_map)


def _store(
    logits: list[list[int]], targets: list[int], ids: str = "pqrs", **columns: pa.Array
) -> ImageStore:
    pixels = np.zeros((len(logits), 3, 16, 16), np.uint8)
    pixels[:, 0, 0, :6] = logits
    manifest = {
        "image_id": pa.array(list(ids[: len(logits)])),
        "image_key": pa.array(range(len(logits)), pa.int64()),
        "target": pa.array(targets, pa.int16()),
        **columns,
    }
    return ImageStore(pixels, pa.table(manifest))


def _evaluate(
    subject: Subject, stores: dict[str, ImageStore] | ImageStore, cell: Cell, setting: Setting
) -> tuple[pa.Table, dict[str, Any]]:
    if isinstance(stores, ImageStore):
        stores = dict.fromkeys(setting.conditions, stores)
    evaluator = evaluator_of(cell.perturbation)
    return evaluate_cell(subject, stores, cell, setting, evaluator, protocol=1, batch_size=2)


def _one_hot(*classes: int) -> list[list[int]]:
    return (np.eye(6, dtype=int)[list(classes)] * 9).tolist()


def test_each_condition_is_decided_on_its_own_store(tmp_path: Path) -> None:
    targets = [0, 1, 2]
    stores = {"fog": _store(_one_hot(0, 1, 5), targets), "snow": _store(_one_hot(3, 3, 2), targets)}
    setting = Setting(("snow", "fog"), 3, 1)
    table, metadata = _evaluate(_subject(), stores, STORED, setting)
    rows = table.select(["condition", "image_id", "prediction", "is_correct"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("snow", "p", 3, False),
        ("snow", "q", 3, False),
        ("snow", "r", 2, True),
        ("fog", "p", 0, True),
        ("fog", "q", 1, True),
        ("fog", "r", 5, False),
    ]
    assert metadata["samples"] == {"snow": [0], "fog": [0]}
    assert metadata["num_images"] == 3
    path = tmp_path / "shard.parquet"
    identities = {"snow": "1", "fog": "2"}
    write_shard(path, table, metadata | {"identity": "0", "identities": identities})
    samples = {"fog": (0,), "snow": (0,)}
    image_ids = stores["fog"].image_ids
    verify_shard(path, Expected(STORED, samples, image_ids, 1, 1, "0", "0", identities))


@pytest.mark.parametrize(
    ("stores", "message"),
    [
        ({"fog": ("pqr", [0, 1, 2])}, "decoded datasets of fog; allowed: one each of fog, snow"),
        (
            {"fog": ("pqr", [0, 1, 2]), "snow": ("pq", [0, 1])},
            "'snow' has 2 images, but 'fog' has 3",
        ),
        (
            {"fog": ("pqr", [0, 1, 2]), "snow": ("pxr", [0, 1, 2])},
            "image 1 of 'snow' is 'x', of 'fog' 'q'",
        ),
        (
            {"fog": ("pqr", [0, 1, 2]), "snow": ("pqr", [0, 1, 3])},
            "'snow' has other targets than 'fog'",
        ),
    ],
)
def test_parts_of_other_images_are_refused(
    stores: dict[str, tuple[str, list[int]]], message: str
) -> None:
    opened = {
        condition: _store(_one_hot(*targets), targets, ids)
        for condition, (ids, targets) in stores.items()
    }
    setting = Setting(("fog", "snow"), 3, 1)
    with pytest.raises(ValueError, match=rf"^a / c / stored_corruptions / 3: {message}"):
        _evaluate(_subject(), opened, STORED, setting)


def test_conditions_are_counted_against_their_decoded_datasets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "open_subset", lambda images, *_: images.name)
    files = {name: (name, name) for name in ("c/fog-3", "c/snow-3")}
    asked = {"stores": list(files), "num_images": None, "seed": 1}
    asked["conditions"] = ["fog", "snow"]
    found = jobs.stores_of(asked, files, ["fog", "snow"])
    assert found == {"fog": "fog-3", "snow": "snow-3"}
    assert jobs.stores_of(asked, files, ["snow"]) == {"snow": "snow-3"}
    asked["conditions"] = ["fog", "snow", "frost"]
    with pytest.raises(ValueError, match="shorter"):
        jobs.stores_of(asked, files, ["fog", "snow", "frost"])


LOGITS = [[9, 8, 7, 0, 0, 0], [0, 8, 7, 3, 9, 1], [5, 5, 5, 5, 5, 9]]


def _subset(conditions: tuple[str, ...], classes: dict[str, Any], **options: Any) -> list[Any]:
    store, subject = _store(LOGITS, [1, 2, 5]), _subject()
    images = store.read(0, 3)
    setting = Setting(conditions, 0, 1, {"classes": classes, **options})
    outcomes = list(subset_outcomes(subject.classifier, images, setting))
    assert subject.classifier.network.num_passes == 1
    return outcomes


def test_predictions_among_some_classes() -> None:
    two, all_classes = _subset(("two", "all"), {"all": [0, 1, 2, 3, 4, 5], "two": [2, 1]})
    assert (two.condition, all_classes.condition) == ("two", "all")
    assert two.logits.argmax(dim=1).tolist() == [1, 1, 1]
    logits = torch.tensor(LOGITS).float()
    assert torch.allclose(all_classes.logits, logits, atol=1e-4)
    probabilities = two.logits.softmax(dim=1)
    assert torch.allclose(probabilities[:, 1:3], logits[:, 1:3].softmax(dim=1))
    assert (probabilities[:, [0, 3, 4, 5]] == 0).all()
    assert torch.isfinite(two.logits.log_softmax(dim=1)).all()


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        ({"other": [1]}, {}, "class_subset has no classes of 'two'; allowed: other"),
        ({"two": [], "other": [1]}, {}, "has no classes of 'two'"),
        ({"two": [6]}, {}, "class_subset of 'two' has class 6; allowed: 0 to 5"),
        ({"two": [-1]}, {}, "has class -1"),
        ({"two": [True]}, {}, "has class True"),
        ({"two": [1]}, {"words": 1}, "option of class_subset is 'words'; allowed: classes"),
    ],
)
def test_wrong_subsets_are_refused(
    classes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _subset(("two",), classes, **options)


def test_subsets_make_rows() -> None:
    cell = Cell("a", "c", "class_subset", "0")
    setting = Setting(("two",), 0, 1, {"classes": {"two": [1, 2]}})
    table, _ = _evaluate(_subject(), _store(LOGITS, [1, 2, 5]), cell, setting)
    assert table["prediction"].to_pylist() == [1, 1, 1]
    assert table["is_correct"].to_pylist() == [True, False, False]
    loss = table["loss"].to_pylist()
    assert loss[0] == pytest.approx(np.log1p(np.exp(-1)), rel=1e-3)
    assert 9e3 < loss[2] < 2e4


ACCEPTED = pa.array([[1], [1, 4], [0, 3]], pa.list_(pa.int16()))


def test_prediction_among_several_accepted_classes_is_right() -> None:
    store = _store(LOGITS, [1, 1, 0], accepted=ACCEPTED)
    table, _ = _evaluate(_subject(), store, CLEAN, Setting(("none",), 0, 1))
    assert table["prediction"].to_pylist() == [0, 4, 5]
    assert table["target"].to_pylist() == [1, 4, 0]
    assert table["is_correct"].to_pylist() == [False, True, False]
    losses = torch.tensor(LOGITS).float().log_softmax(dim=1).neg()
    wanted = [losses[0, 1].item(), losses[1, 4].item(), losses[2, 0].item()]
    assert table["loss"].to_pylist() == pytest.approx(wanted, rel=1e-4)
    assert table["is_top5"].to_pylist() == [True, True, True]


def test_shard_of_several_accepted_classes_is_accepted(tmp_path: Path) -> None:
    store = _store(LOGITS, [1, 1, 0], accepted=ACCEPTED).subset([2, 1])
    table, metadata = _evaluate(_subject(), store, CLEAN, Setting(("none",), 0, 1))
    path = tmp_path / "shard.parquet"
    identities = {"none": "1"}
    write_shard(path, table, metadata | {"identity": "0", "identities": identities})
    expected = Expected(CLEAN, {"none": (0,)}, store.image_ids, 1, 1, "0", "0", identities)
    verify_shard(path, expected)


@pytest.mark.parametrize(
    ("accepted", "message"),
    [
        ([[1], [], [0]], "image 'q': `accepted` is empty; allowed: one class or more"),
        ([[1], None, [0]], "image 'q': `accepted` is empty"),
        ([[1], [2, 6], [0]], "c has targets up to 6, but a has 6 classes"),
    ],
)
def test_wrong_accepted_classes_are_refused(accepted: list[Any], message: str) -> None:
    column = pa.array(accepted, pa.list_(pa.int16()))
    store = _store(LOGITS, [1, 2, 0], accepted=column)
    with pytest.raises(ValueError, match=message):
        _evaluate(_subject(), store, CLEAN, Setting(("none",), 0, 1))


def test_coarser_classes_do_not_go_with_several_accepted_ones() -> None:
    store = _store(LOGITS, [1, 1, 0], accepted=ACCEPTED)
    subject = _subject(ClassMap(("x", "y"), ((0, 1), (2,))))
    with pytest.raises(ValueError, match="c accepts several classes; allowed without class map"):
        _evaluate(subject, store, CLEAN, Setting(("none",), 0, 1))


def test_images_are_what_they_were() -> None:
    """The pixels of a store are read only: nothing may write to them."""
    store = _store(LOGITS, [1, 2, 5])
    before = store.pixels.copy()
    _evaluate(_subject(), store, CLEAN, Setting(("none",), 0, 1))
    assert (store.pixels == before).all()
    assert isinstance(store.read(0, 1), Images)
