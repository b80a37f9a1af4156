"""Examples for the page: the gallery shows what models saw, and the images on which they differ."""

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from perturb.config import Config, load_config
from perturb.datasets.store import Images
from perturb.evaluation.loading import loader
from perturb.evaluation.loop import Subject
from perturb.evaluation.outcome import Setting
from perturb.examples.disagreements import write_disagreements
from perturb.examples.gallery import _Gallery, write_gallery
from perturb.examples.shown_images import Image as Shown
from perturb.examples.shown_images import like, shown_images, spread
from perturb.experiments.gallery import Scene, pictures_of
from perturb.parquet import read_parquet
from perturb.plan.examples import examples_of, gallery_cells, named_model
from perturb.plan.paths import Paths
from tests.kept_study import run
from tests.tiny_study import TINY_STUDY

SPATIAL = {"rotations": 3, "translations": 3, "samples": 2}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Return a finished study with every kind of picture, on networks of random weights."""
    study = copy.deepcopy(TINY_STUDY)
    study |= {"results": str(tmp_path_factory.mktemp("results")), "seed": 3, "epsilon": "8/255"}
    # The named model: the head of an untrained ViT is zero, and no attack changes its images.
    study["models"] = {id: study["models"][id] for id in ("b", "a", "reference")}
    study["datasets"]["test"]["images"] = 144
    study["datasets"]["conflict"] = {
        "role": "cue_conflict",
        "generate": {"set": "conflict", "split": "test"},
        "images": 132,
    }
    some = {"datasets": ["test"], "images": 96}
    study["perturbations"] |= {
        "none": {"datasets": ["test", "second", "conflict"]},
        "fgsm": {**some, "epsilons": ["8/255"]},
        "pgd": {**some, "epsilons": ["0", "8/255"], "steps": 2, "random_start": True},
        "attack_ensemble": {"datasets": ["test"], "images": 12, "epsilons": ["8/255"], "steps": 1},
        "spatial": {**some, "scales": [0.5], **SPATIAL},
        "weight_noise": {"datasets": ["test"], "images": 12, "scales": [0.1], "seeds": 1},
    }
    study["perturbations"]["corruptions"] |= {"corruptions": ["fog", "gaussian_noise"]}
    config = load_config(study)
    torch.manual_seed(0)
    run(config)
    return config


def _load(config: Config, model: str) -> Subject:
    return loader([Path(Paths(config.results).weights(model))], "cpu")(model)


@pytest.fixture(scope="module")
def written(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the examples of the study."""
    folder = tmp_path_factory.mktemp("examples")
    write_gallery(
        config,
        lambda model: _load(config, model),
        folder / "gallery.json",
        folder / "gallery.webp",
    )
    write_disagreements(config, folder / "disagreements.json", folder / "disagreements.webp")
    return folder


def _note(folder: Path, name: str) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return note


def test_a_picture_is_the_image_that_the_model_saw(config: Config) -> None:
    images, paths = shown_images(config), Paths(config.results)
    subject = _load(config, named_model(config))
    seen = set()
    for cell, picture in _Gallery(config, lambda _: subject, images).pictures():
        if (cell.perturbation, picture.condition) == ("spatial", "random"):
            continue  # ends of the grid: no sample of the shard
        with torch.inference_mode():
            logits = subject.classifier(picture.pixels)
        rows = read_parquet(Path(paths.shard(cell)))
        for image, found in zip(images[cell.dataset], logits, strict=True):
            [row] = rows.filter(
                pc.and_(
                    pc.equal(rows["image_id"], image.id),
                    pc.equal(rows["condition"].cast(pa.string()), picture.condition),
                )
            ).to_pylist()
            loss = torch.nn.functional.cross_entropy(found, torch.tensor(image.target))
            assert int(found.argmax()) == row["prediction"]
            assert loss.item() == pytest.approx(row["loss"], abs=1e-5)
        seen.add(cell.perturbation)
    assert seen == {"none", "corruptions", "fgsm", "pgd", "spatial"}


def test_attacks_change_the_images_that_the_model_predicts_correctly(config: Config) -> None:
    images = shown_images(config)
    subject = _load(config, named_model(config))
    pictures = list(_Gallery(config, lambda _: subject, images).pictures())
    clean = pictures[0][1].pixels.float() / 255
    targets = torch.tensor([image.target for image in images["test"]])
    with torch.inference_mode():
        is_correct = subject.classifier(clean).argmax(dim=1) == targets
    assert is_correct.any()
    for cell, picture in pictures:
        if cell.perturbation in ("fgsm", "pgd"):
            distance = (picture.pixels - clean).abs().amax(dim=(1, 2, 3))
            expected = cell.severity_value * is_correct
            torch.testing.assert_close(distance, expected, atol=1e-6, rtol=0, check_dtype=False)


def test_the_gallery_lists_its_pictures(written: Path) -> None:
    note = _note(written, "gallery")
    shown = [
        (item["dataset"], item["perturbation"], item["label"], item["severity_label"])
        for item in note["conditions"]
    ]
    assert shown == [
        ("test", "none", "test", ""),
        ("second", "none", "second", ""),
        ("conflict", "none", "conflict", ""),
        ("test", "corruptions", "Gaussian noise", "severity 1"),
        ("test", "corruptions", "Gaussian noise", "severity 2"),
        ("test", "corruptions", "Fog", "severity 1"),
        ("test", "corruptions", "Fog", "severity 2"),
        ("test", "fgsm", "FGSM", "8/255"),
        ("test", "pgd", "PGD", "0/255"),
        ("test", "pgd", "PGD", "8/255"),
        ("test", "spatial", "Worst of the grid", "scale 0.5"),
        ("test", "spatial", "Rotated 15° left", "scale 0.5"),
        ("test", "spatial", "Rotated 15° right", "scale 0.5"),
        ("test", "spatial", "Moved 2 px right and down", "scale 0.5"),
    ]
    assert (note["num_images"], note["model"], note["tile"]) == (4, "b", 64)
    rows = -(-len(shown) * 4 // note["columns"])
    with Image.open(written / "gallery.webp") as sheet:
        assert sheet.size == (note["columns"] * 64, rows * 64)


def test_all_datasets_of_the_gallery_show_the_same_classes(config: Config, written: Path) -> None:
    images = _note(written, "gallery")["images"]
    classes = {dataset: [image["class"] for image in found] for dataset, found in images.items()}
    assert len(set(classes["test"])) == 4
    assert classes["conflict"] == classes["test"]
    # Ten renditions, one of each of ten classes.
    assert len(set(classes["second"]) & set(classes["test"])) >= 2
    assert len({image["image_id"] for image in images["second"]}) == 4
    # All perturbations are evaluated on them.
    for cell in gallery_cells(config):
        ids = set(pq.read_table(Paths(config.results).shard(cell))["image_id"].to_pylist())
        assert {image["image_id"] for image in images[cell.dataset]} <= ids


@pytest.mark.parametrize(
    ("targets", "correct", "expected"),
    [
        ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], [1, 3, 5, 7, 9], [1, 3, 5, 7]),
        ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], [1], [1, 2, 4, 6]),
        (list(range(8)), range(8), [0, 2, 4, 6]),
        ([0, 0, 0, 0, 0, 1], [4], [4, 0, 1, 5]),
        ([0, 1], [], [0, 1]),
    ],
    ids=["correct ones", "too few correct", "far apart", "few classes", "few images"],
)
def test_images_of_the_gallery_are_of_classes_that_lie_apart(
    targets: list[int], correct: Iterable[int], expected: list[int]
) -> None:
    images = [Shown(str(place), target) for place, target in enumerate(targets)]
    found = spread(images, set(map(str, correct)))
    assert [int(image.id) for image in found] == expected


def test_other_datasets_show_the_same_images_or_else_their_classes() -> None:
    wanted = [Shown("a", 0), Shown("b", 1), Shown("c", 2)]
    there = [Shown("x", 1), Shown("c", 2), Shown("y", 5)]
    assert [image.id for image in like(wanted, there)] == ["y", "x", "c"]
    assert [image.id for image in like(wanted, there[:2])] == ["x", "c"]


def test_disagreements_are_the_answers_of_the_shards(config: Config, written: Path) -> None:
    note = _note(written, "disagreements")
    assert note["models"] == ["b", "a"]
    assert note["classes"]["test"][:3] == ["disc", "triangle", "square"]
    paths = Paths(config.results)
    for image in note["images"]:
        for place, model in enumerate(note["models"]):
            shard = f"{paths.root}/shards/{model}/{image['dataset']}/none/0.parquet"
            table = read_parquet(Path(shard))
            [row] = table.filter(pc.equal(table["image_id"], image["image_id"])).to_pylist()
            assert image["target"] == row["target"]
            assert image["predictions"][place] == row["prediction"]
            assert image["is_correct"][place] == row["is_correct"]
            assert image["confidences"][place] == round(row["confidence"], 2)
    for model, worst in note["worst"].items():
        place = note["models"].index(model)
        assert len(worst) == 8
        assert not any(note["images"][image]["is_correct"][place] for image in worst)
    for first, second, *counts, dataset in note["pairs"]:
        right = [
            pq.read_table(f"{paths.root}/shards/{model}/{dataset}/none/0.parquet")["is_correct"]
            for model in (first, second)
        ]
        one, other = (np.array(column.to_pylist()) for column in right)
        assert counts == [(one & ~other).sum(), (~one & other).sum()]


def test_a_tile_of_the_disagreements_shows_its_image(config: Config, written: Path) -> None:
    note = _note(written, "disagreements")
    with Image.open(written / "disagreements.webp") as picture:
        sheet = np.asarray(picture.convert("RGB")).astype(float)
    paths, side = Paths(config.results), note["tile"]
    for number, image in enumerate(note["images"][:20]):
        ids = pq.read_table(paths.manifest(image["dataset"]))["image_id"].to_pylist()
        pixels = np.load(paths.images(image["dataset"]))[ids.index(image["image_id"])]
        top, left = number // note["columns"] * side, number % note["columns"] * side
        tile = sheet[top : top + side, left : left + side].transpose(2, 0, 1)
        whole = tile.reshape(3, 32, 2, 32, 2).mean(axis=(2, 4))
        assert np.abs(whole - pixels).mean() < 12


def test_examples_are_the_same_in_every_run(config: Config, written: Path, tmp_path: Path) -> None:
    write_disagreements(config, tmp_path / "again.json", tmp_path / "again.webp")
    for form in ("json", "webp"):
        again = (tmp_path / f"again.{form}").read_bytes()
        assert again == (written / f"disagreements.{form}").read_bytes()


def test_a_study_without_attacks_loads_no_model(tiny_study: dict[str, Any], tmp_path: Path) -> None:
    config = load_config(tiny_study | {"results": str(tmp_path)})
    assert examples_of(config).loaded == ()
    run(config)

    def load(model: str) -> Subject:
        raise AssertionError(model)

    write_gallery(config, load, tmp_path / "gallery.json", tmp_path / "gallery.webp")
    assert _note(tmp_path, "gallery")["num_images"] == 4


def test_a_missing_image_is_named(config: Config) -> None:
    images = shown_images(config)
    images["test"][0] = Shown("target/test/999999", 0)
    pictures = _Gallery(config, lambda model: _load(config, model), images).pictures()
    with pytest.raises(ValueError, match="test: image 'target/test/999999' is missing; 144 are"):
        next(iter(pictures))


@pytest.mark.parametrize(
    ("id", "condition", "message"),
    [
        ("pgd", "pgd", "pgd: pictures of an attack need a classifier"),
        ("spatial", "grid", "spatial: pictures of the worst case need the rows of the shard"),
    ],
)
def test_pictures_that_need_a_network_or_a_shard_say_so(
    id: str, condition: str, message: str
) -> None:
    images = Images(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.zeros(1), torch.zeros(1))
    with pytest.raises(ValueError, match=message):
        list(pictures_of(Scene(id, images, Setting((condition,), 0.5, seed=0))))


def test_changes_of_the_network_and_subsets_of_classes_have_no_picture() -> None:
    images = Images(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.zeros(1), torch.zeros(1))
    for id in ("lesions", "class_subset", "attack_ensemble"):
        assert list(pictures_of(Scene(id, images, Setting((), 1, seed=0)))) == []
