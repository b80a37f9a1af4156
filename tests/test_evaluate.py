"""The evaluation loop: one row an image and condition, whatever the batches."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from torch import Tensor, nn

from perturb.datasets.build import build_filtered, build_generated
from perturb.datasets.store import ImageStore, open_store
from perturb.evaluation.cell import Cell
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.evaluation.outcome import Setting
from perturb.evaluation.shards import Expected, verify_shard, write_shard
from perturb.experiments.corruptions.names import CORRUPTIONS
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.registry import protocol_of
from perturb.models.checkpoints import ModelCard
from perturb.models.class_maps import ClassMap
from perturb.models.classifier import Classifier, Preprocessing

CLEAN = Cell("a", "test", "none", "0")
CORRUPTED = Cell("a", "test", "corruptions", "3")
CARD = ModelCard(
    model="a",
    architecture="by-colour",
    family="vit",
    size="S",
    patch_size=8,
    arguments={},
    num_classes=12,
    preprocessing=Preprocessing(side=32),
    weights_sha256="0",
)


def _evaluate(
    classifier: Classifier,
    store: ImageStore,
    cell: Cell,
    conditions: tuple[str, ...],
    *,
    seed: int = 2021,
    batch_size: int = 10,
    class_map: ClassMap | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    subject = Subject(classifier, CARD, torch.device("cpu"), class_map)
    setting = Setting(conditions, cell.severity_value, seed)
    return evaluate_cell(
        subject,
        dict.fromkeys(conditions, store),
        cell,
        setting,
        evaluator_of(cell.perturbation),
        protocol=protocol_of(cell.perturbation),
        batch_size=batch_size,
    )


class ByColour(nn.Module):
    """A network whose logits are known: brightness of 12 bands of the image, times a factor."""

    num_classes = 12

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        return (
            nn.functional.adaptive_avg_pool2d(images.mean(dim=1), (12, 1)).flatten(1) * self.factor
        )


def _classifier(network: nn.Module) -> Classifier:
    return Classifier(network, Preprocessing(side=32)).eval()


def _store(folder: Path, num_images: int = 24) -> ImageStore:
    paths = folder / "images.npy", folder / "manifest.parquet"
    build_generated(*paths, {"set": "target", "split": "test"}, num_images=num_images, seed=1)
    return open_store(*paths)


def test_rows_are_what_the_logits_say(tmp_path: Path) -> None:
    store, classifier = _store(tmp_path), _classifier(ByColour())
    table, metadata = _evaluate(classifier, store, CLEAN, ("none",))
    logits = classifier(store.read(0, 24).pixels)
    probabilities = logits.softmax(dim=1)[torch.arange(24), store.targets]
    assert table["prediction"].to_pylist() == logits.argmax(dim=1).tolist()
    assert table["is_correct"].to_pylist() == (logits.argmax(dim=1) == store.targets).tolist()
    ranks = (logits > logits[torch.arange(24), store.targets][:, None]).sum(dim=1)
    assert table["is_top5"].to_pylist() == (ranks < 5).tolist()
    assert table["target_probability"].to_pylist() == pytest.approx(
        probabilities.tolist(), rel=1e-5
    )
    assert table["loss"].to_pylist() == pytest.approx(probabilities.log().neg().tolist(), rel=1e-4)
    highest = logits.softmax(dim=1).max(dim=1).values
    assert table["confidence"].to_pylist() == pytest.approx(highest.tolist(), rel=1e-5)
    assert metadata["num_images"] == 24
    assert metadata["images_per_second"] > 0


def test_shard_of_an_evaluation_is_accepted(tmp_path: Path) -> None:
    store = _store(tmp_path)
    conditions = ("fog", "contrast")
    table, metadata = _evaluate(_classifier(ByColour()), store, CORRUPTED, conditions)
    path = tmp_path / "shard.parquet"
    identities = {"fog": "1", "contrast": "2"}
    write_shard(path, table, metadata | {"identity": "0", "identities": identities})
    verify_shard(
        path,
        Expected(
            CORRUPTED,
            {"fog": (0,), "contrast": (0,)},
            store.image_ids,
            protocol_of("corruptions"),
            2021,
            "0",
            "0",
            identities,
        ),
    )


def test_batches_change_no_prediction(tmp_path: Path) -> None:
    store, classifier = _store(tmp_path), _classifier(ByColour())
    tables = [
        _evaluate(classifier, store, CORRUPTED, CORRUPTIONS, batch_size=size)[0] for size in (7, 24)
    ]
    for table in tables[1:]:
        assert table["prediction"].equals(tables[0]["prediction"])


def test_an_image_is_corrupted_alike_in_any_set(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    arguments = (CORRUPTED, ("gaussian_noise",))
    classifier = _classifier(ByColour())
    small, _ = _evaluate(classifier, _store(few, 8), *arguments)
    large, _ = _evaluate(classifier, _store(many, 24), *arguments)
    assert small["loss"].equals(large["loss"].slice(0, 8))


def test_other_seed_gives_other_noise(tmp_path: Path) -> None:
    store, classifier = _store(tmp_path), _classifier(ByColour())
    one, _ = _evaluate(classifier, store, CORRUPTED, ("gaussian_noise",))
    two, _ = _evaluate(classifier, store, CORRUPTED, ("gaussian_noise",), seed=2022)
    assert not one["loss"].equals(two["loss"])


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_refused(factor: float, tmp_path: Path) -> None:
    classifier = _classifier(ByColour(factor))
    with pytest.raises(ValueError, match=r"^a / test / none / 0: .*logits of 24 images are not"):
        _evaluate(classifier, _store(tmp_path), CLEAN, ("none",))


def test_targets_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    network = ByColour()
    network.num_classes = 10
    with pytest.raises(ValueError, match="targets up to 11, but a has 10 classes"):
        _evaluate(_classifier(network), _store(tmp_path), CLEAN, ("none",))


@pytest.mark.parametrize(("given_by", "num_names"), [("order", 11), ("order", 12), ("index", 11)])
def test_classes_by_order_are_as_many_as_the_models(
    given_by: str, num_names: int, tmp_path: Path
) -> None:
    store, classifier = _store(tmp_path).subset(list(range(11))), _classifier(ByColour())
    names = {f"n{number:02d}": number for number in range(num_names)}
    note = {"classes": {"given_by": given_by, "are_folders": False, "names": names}}
    manifest = store.manifest.replace_schema_metadata({"perturb": json.dumps(note)})
    store = ImageStore(store.pixels, manifest)
    if given_by == "order" and num_names == 11:
        with pytest.raises(
            ValueError, match="mapping of its 11 classes to the 12 classes of a is not"
        ):
            _evaluate(classifier, store, CLEAN, ("none",))
    else:
        _evaluate(classifier, store, CLEAN, ("none",))


def test_filter_keeps_exactly_what_the_model_gets_wrong(tmp_path: Path) -> None:
    pool, classifier = _store(tmp_path), _classifier(ByColour())
    paths = tmp_path / "kept.npy", tmp_path / "kept.parquet"
    build_filtered(*paths, pool, [classifier], batch_size=7)
    kept = open_store(*paths)
    table, _ = _evaluate(classifier, kept, CLEAN, ("none",))
    assert not pc.any(table["is_correct"]).as_py()
    all_rows, _ = _evaluate(classifier, pool, CLEAN, ("none",))
    wrong = all_rows.filter(pc.invert(all_rows["is_correct"]))["image_id"]
    assert pa.chunked_array(wrong).to_pylist() == kept.image_ids.to_pylist()


class Oracle(nn.Module):
    """A network that knows the classes of the images in their order."""

    def __init__(self, targets: Tensor) -> None:
        super().__init__()
        self.targets = targets
        self.num_classes = 12

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.one_hot(self.targets[: len(images)], 12).float()


def test_filter_that_keeps_nothing_is_an_error(tmp_path: Path) -> None:
    pool = _store(tmp_path)
    kept = tmp_path / "k.npy", tmp_path / "k.parquet"
    oracle = _classifier(Oracle(pool.targets))
    for classifiers, by in (
        ([oracle], "the model"),
        ([_classifier(ByColour()), oracle], "all 2 models"),
    ):
        with pytest.raises(ValueError, match=f"none of 24 images is misclassified by {by}"):
            build_filtered(*kept, pool, classifiers, batch_size=24)


def test_filter_by_several_models_keeps_what_all_of_them_get_wrong(tmp_path: Path) -> None:
    pool = _store(tmp_path)
    shifted, by_colour = Oracle((pool.targets + 1) % 12), ByColour()
    kept_by = {}
    for name, networks in {"one": [by_colour], "two": [by_colour, shifted]}.items():
        paths = tmp_path / f"{name}.npy", tmp_path / f"{name}.parquet"
        build_filtered(*paths, pool, [_classifier(network) for network in networks], batch_size=24)
        kept_by[name] = open_store(*paths).image_ids.to_pylist()
    # The second network errs on every image, so it decides nothing; one that is right keeps none.
    assert kept_by["two"] == kept_by["one"]
    half = Oracle(torch.where(torch.arange(24) % 2 == 0, pool.targets, (pool.targets + 1) % 12))
    paths = tmp_path / "half.npy", tmp_path / "half.parquet"
    build_filtered(*paths, pool, [_classifier(by_colour), _classifier(half)], batch_size=24)
    odd = pool.image_ids.to_pylist()[1::2]
    expected = [id for id in kept_by["one"] if id in odd]
    assert open_store(*paths).image_ids.to_pylist() == expected


def test_predictions_among_coarser_classes_take_the_mean_probability(tmp_path: Path) -> None:
    store, classifier = _store(tmp_path), _classifier(ByColour())
    # Twelve targets need twelve coarser classes: here each has one member but the last, two.
    members = (*((index,) for index in range(11)), (11, 0))
    class_map = ClassMap(tuple(map(str, range(12))), (*members[:11], (11,)))
    same, _ = _evaluate(classifier, store, CLEAN, ("none",), class_map=class_map)
    own, _ = _evaluate(classifier, store, CLEAN, ("none",))
    assert same["prediction"].equals(own["prediction"])
    mixed = ClassMap(tuple(map(str, range(12))), members)
    table, _ = _evaluate(classifier, store, CLEAN, ("none",), class_map=mixed)
    probability = classifier(store.read(0, 24).pixels).softmax(dim=1)
    coarse = probability.clone()
    coarse[:, 11] = (probability[:, 11] + probability[:, 0]) / 2
    assert table["prediction"].to_pylist() == coarse.argmax(dim=1).tolist()
    highest = coarse.max(dim=1).values.tolist()
    assert table["confidence"].to_pylist() == pytest.approx(highest, rel=1e-5)


def test_confidence_of_a_correct_prediction_is_the_target_probability(tmp_path: Path) -> None:
    table, _ = _evaluate(_classifier(ByColour()), _store(tmp_path), CORRUPTED, CORRUPTIONS)
    correct, wrong = (
        table.filter(rows) for rows in (table["is_correct"], pc.invert(table["is_correct"]))
    )
    assert correct["confidence"].equals(correct["target_probability"])
    assert pc.all(pc.greater_equal(wrong["confidence"], wrong["target_probability"])).as_py()
    assert table["confidence"].null_count == 0


def test_members_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    class_map = ClassMap(("cat",), ((12,),))
    with pytest.raises(ValueError, match="class 12 is a member, but the model has 12 classes"):
        _evaluate(_classifier(ByColour()), _store(tmp_path), CLEAN, ("none",), class_map=class_map)


def test_attacked_images_bring_their_own_columns(tmp_path: Path) -> None:
    cell = Cell("a", "test", "fgsm", "4_255")
    table, _ = _evaluate(_classifier(ByColour()), _store(tmp_path), cell, ("fgsm",))
    clean, _ = _evaluate(_classifier(ByColour()), _store(tmp_path), CLEAN, ("none",))
    attacked = pc.is_valid(table["gradient_norm"]).to_pylist()
    assert attacked == clean["is_correct"].to_pylist()
    assert pc.max(table["distance"]).as_py() <= 4 / 255
    assert pc.all(pc.is_null(table["rotation_deg"])).as_py()
