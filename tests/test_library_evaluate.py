"""`perturb.evaluate`: its rows are those of a study's shard, for every kind of model and images."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import StackDataset, TensorDataset

import perturb
from perturb.config import load_config
from perturb.config.schema import default
from perturb.datasets.real.ingest import build_from_source
from perturb.datasets.store import open_store
from perturb.evaluation.cell import Cell
from perturb.evaluation.shards import SCHEMA, read_shard
from perturb.experiments.registry import perturbations
from perturb.models.checkpoints import load_classifier
from perturb.models.resizing import Resizing
from perturb.plan.jobs import jobs
from perturb.plan.paths import Paths
from perturb.plan.tasks import tasks_of
from tests import kept_study
from tests.plain_models import NUM_CLASSES, predicted, small_cnn, small_vit, some_images
from tests.tiny_study import TINY_STUDY

SEED = 7
# Of a decoded dataset, seen by one model alone; the others need images or models of their own.
APART = {"transfer", "stored_corruptions", "class_subset"}


def _study() -> dict[str, Any]:
    """Return the tiny study with every perturbation that one model has by itself."""
    study = copy.deepcopy(TINY_STUDY) | {"epsilon": "4/255", "seed": SEED}
    for image_set in study["datasets"].values():
        image_set["images"] = min(image_set["images"], 12)
    study["architectures"]["vit"]["arguments"] |= {"depth": 4, "num_heads": 2}
    some = {"datasets": ["test"], "images": 6}
    study["perturbations"] |= {
        "corruptions": {
            **some,
            "severities": [3],
            "corruptions": ["gaussian_noise", "fog"],
        },
        "fgsm": {**some, "epsilons": ["4/255"]},
        "pgd": {**some, "epsilons": ["4/255"], "random_start": True, "steps": 2},
        "attack_ensemble": {**some, "epsilons": ["4/255"], "steps": 2, "queries": 2},
        "attack_ensemble_l2": {**some, "epsilons": [0.5], "steps": 2, "queries": 2},
        "spatial": {**some, "rotations": 3, "translations": 3, "samples": 4},
        "lesions": {**some, "removed": [1, 2], "samples": 2},
        "heads": some,
        "restricted_attention": {**some, "distances": [1], "seeds": 2},
        "patch_attention": {**some, "blocks": [2]},
        "token_removal": {**some, "drop_rates": [0.5], "seeds": 2},
        "weight_noise": {**some, "scales": [0.1], "seeds": 2},
        "weight_rounding": {**some, "bits": [3]},
    }
    return study


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Cell, Path]]:
    """Run the study; yield its shards, with the folder of the study as the working directory."""
    config = load_config(_study())
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("study"))
        kept_study.run(config)
        yield {
            cell: task.path
            for job in jobs(config).values()
            for cell, task in tasks_of(config, job)[0].items()
        }


def _asked(cell: Cell) -> tuple[str, float, dict[str, Any]]:
    """Return what `perturb.evaluate` is asked for in place of a cell's entry."""
    entry = dict(_study()["perturbations"][cell.perturbation])
    severities = perturbations()[cell.perturbation].severities
    for name in ("datasets", severities):
        entry.pop(name, None)
    asked = {"num_images": entry.pop("images", None), "conditions": entry.pop("corruptions", None)}
    return cell.perturbation, cell.severity_value, {**asked, **entry}


def test_rows_are_those_of_every_cell_of_a_study(shards: Mapping[Cell, Path]) -> None:
    paths = Paths("results")
    store = open_store(Path(paths.images("test")), Path(paths.manifest("test")))
    ids = store.image_ids.to_pylist()
    for cell, path in shards.items():
        model = load_classifier(Path(paths.weights(cell.model)).parent)
        name, severity, options = _asked(cell)
        names = {"model_id": cell.model, "dataset_id": cell.dataset, "seed": SEED}
        found = perturb.evaluate(model, store, name, severity, **options, **names)
        table, metadata = read_shard(path)
        pd.testing.assert_frame_equal(found, table.to_pandas(), check_exact=True)
        assert found.columns.tolist() == SCHEMA.names
        for key in ("samples", "options", "protocol", "dtype", "num_images"):
            assert found.attrs[key] == metadata[key]
        pair = (np.array(store.pixels), store.targets.tolist())
        again = perturb.evaluate(model, pair, name, severity, image_ids=ids, **options, **names)
        pd.testing.assert_frame_equal(again, found, check_exact=True)
    assert {cell.perturbation for cell in shards} == {*perturbations()} - APART - {
        "corruptions_jpeg85"
    }
    assert {cell.model for cell in shards} == {"a", "b", "reference"}


@pytest.fixture
def images() -> Tensor:
    return some_images()


def test_a_plain_module_has_the_rows_of_its_logits(images: Tensor) -> None:
    model, targets = small_cnn(), torch.arange(8) % NUM_CLASSES
    rows = perturb.evaluate(model, (images, targets), model_id="cnn", dataset_id="mine")
    with torch.inference_mode():
        logits = model(images.float() / 255)
    assert rows["prediction"].tolist() == logits.argmax(dim=1).tolist()
    loss = nn.functional.cross_entropy(logits, targets, reduction="none")
    np.testing.assert_allclose(rows["loss"], loss, rtol=1e-6)
    assert rows["image_id"].tolist() == [str(number) for number in range(8)]
    assert (rows["model"].unique().tolist(), rows["dataset"].unique().tolist()) == (
        ["cnn"],
        ["mine"],
    )
    assert rows.attrs["num_images"] == 8
    json.dumps(rows.attrs)


def test_datasets_of_torch_are_as_pairs(images: Tensor) -> None:
    model, targets = small_cnn(), predicted(small_cnn(), images)
    expected = perturb.evaluate(model, (images, targets), "corruptions", 1, conditions=["fog"])
    floats = images.float() / 255
    for dataset in (
        TensorDataset(images, targets),
        StackDataset(floats, targets.tolist()),
        StackDataset(images.numpy(), targets.numpy()),
    ):
        found = perturb.evaluate(model, dataset, "corruptions", 1, conditions=["fog"])
        pd.testing.assert_frame_equal(found, expected)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of five class folders with photographs of several shapes."""
    for number in range(10):
        place = tmp_path / "photos" / "abcde"[number % 5]
        place.mkdir(parents=True, exist_ok=True)
        pixels = some_images(1, 40 + number, number)[0].permute(1, 2, 0).numpy()
        Image.fromarray(pixels).resize((50, 40 + number)).save(place / f"{number}.png")
    return tmp_path / "photos"


def _classifier(num_classes: int = 5) -> perturb.Classifier:
    preprocessing = perturb.Preprocessing(side=32, mode="crop", crop=0.8)
    return perturb.Classifier(small_vit(num_classes=num_classes), preprocessing).eval()


def test_a_folder_is_decoded_as_in_a_study(folder: Path, tmp_path: Path) -> None:
    files = tmp_path / "images.npy", tmp_path / "manifest.parquet"
    source = {"path": "photos", "layout": "class_folders"}
    build_from_source(*files, source, Resizing(32, "crop", 0.8), root=tmp_path)
    asked: dict[str, Any] = {"conditions": ["fog"], "num_images": 7}
    expected = perturb.evaluate(_classifier(), open_store(*files), "corruptions", 3, **asked)
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", folder)
    for given in (folder, str(folder), archive):
        found = perturb.evaluate(_classifier(), given, "corruptions", 3, **asked)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_plain_module_takes_a_folder_of_squares_as_they_are(tmp_path: Path) -> None:
    images = some_images(4)
    for number, image in enumerate(images):
        place = tmp_path / "abcd"[number]
        place.mkdir()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{number}.png")
    model = small_cnn(4)
    found = perturb.evaluate(model, tmp_path)
    expected = perturb.evaluate(model, (images, range(4)))
    assert found["loss"].tolist() == expected["loss"].tolist()


def test_classes_of_a_folder_need_an_index_for_a_model_of_more(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="mapping of its 5 classes to the 9 classes"):
        perturb.evaluate(_classifier(9), folder)
    index = tmp_path / "index.json"
    index.write_text(json.dumps(dict(zip("abcde", (8, 0, 1, 2, 3), strict=True))))
    rows = perturb.evaluate(_classifier(9), folder, class_index=index)
    assert rows.groupby("target")["image_id"].first().str[0].to_dict() == {
        **dict(enumerate("bcde")),
        8: "a",
    }
    few = perturb.evaluate(_classifier(9), folder, "class_subset", class_index=index)
    assert set(few["prediction"]) <= {0, 1, 2, 3, 8}


def test_stored_corruptions_are_of_one_corruption(images: Tensor) -> None:
    model, pair = small_cnn(), (images, [0] * 8)
    rows = perturb.evaluate(model, pair, "stored_corruptions", 2, conditions=["fog"])
    clean = perturb.evaluate(model, pair)
    assert rows["condition"].unique().tolist() == ["fog"]
    assert rows["loss"].tolist() == clean["loss"].tolist()
    with pytest.raises(ValueError, match="allowed: one, the corruption that the images were"):
        perturb.evaluate(model, pair, "stored_corruptions", 2)


def test_the_jpeg_pass_has_a_name_of_its_own(images: Tensor) -> None:
    model, pair = small_cnn(), (images, [0] * 8)
    named = perturb.evaluate(model, pair, "corruptions_jpeg85", 2, conditions=["fog"])
    option = perturb.evaluate(model, pair, "corruptions", 2, conditions=["fog"], jpeg=True)
    pd.testing.assert_frame_equal(named, option)
    assert named["perturbation"].unique().tolist() == ["corruptions_jpeg85"]
    plain = perturb.evaluate(model, pair, "corruptions", 2, conditions=["fog"])
    assert named["loss"].tolist() != plain["loss"].tolist()


@pytest.mark.parametrize("precision", ["bfloat16", "pure_bfloat16"])
@pytest.mark.parametrize("make", [small_cnn, small_vit])
def test_a_model_is_as_before_whatever_the_precision(
    make: Callable[[], nn.Module], precision: str, images: Tensor
) -> None:
    model = make()
    before = copy.deepcopy(model.state_dict())
    targets = predicted(model, images)
    exact = perturb.evaluate(model, (images, targets), "weight_noise", 0.1)
    rough = perturb.evaluate(model, (images, targets), "weight_noise", 0.1, precision=precision)
    assert rough.attrs["dtype"] == precision
    assert exact["loss"].tolist() != rough["loss"].tolist()
    assert rough["loss"].tolist() == pytest.approx(exact["loss"].tolist(), abs=0.3)
    for name, value in model.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_defaults_are_those_of_a_study(images: Tensor) -> None:
    given = signature(perturb.evaluate).parameters
    assert given["seed"].default == default("seed")
    assert given["batch_size"].default == default("batch_size")
    for function in (perturb.corrupt, perturb.pgd, perturb.attack_ensemble):
        assert signature(function).parameters["seed"].default == default("seed")
    model, targets = small_cnn(), predicted(small_cnn(), images)
    rows = perturb.evaluate(model, (images, targets), "pgd", "1/255")
    assert rows.attrs["options"] == {
        "steps": 8,
        "relative_step": 0.125,
        "random_start": False,
        "restarts": 1,
    }
    assert len(perturb.evaluate(model, (images, targets), "spatial")) == 8 * 51
