"""Checkpoints and decoded datasets record their origin, and those of another origin are refused."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from perturb.config import load_config
from perturb.datasets.build import build_generated
from perturb.datasets.manifests import read_manifest, read_origin
from perturb.datasets.real.bundled import build_bundled
from perturb.datasets.real.ingest import build_from_source
from perturb.datasets.store import write_manifest
from perturb.models.checkpoints import load_classifier, read_card, save_checkpoint
from perturb.models.resizing import Resizing
from perturb.plan.origins import (
    check_files,
    check_study,
    foreign_artefacts,
    of_checkpoint,
    of_store,
)
from perturb.plan.paths import Paths
from perturb.plan.sources import source_files
from perturb.plan.stores import stores_of_dataset
from tests.faults import TABLES
from tests.image_files import class_folder_files, write_folder
from tests.test_checkpoints import CARD, build_classifier
from tests.tiny_study import TINY_STUDY
from tests.workspace import Workspace, planned_jobs

Change = Callable[[dict[str, Any]], Any]
WEIGHTS = {"file": "given.safetensors", "sha256": "A" * 64}


def _study() -> dict[str, Any]:
    """Return a study with every kind of store and checkpoint."""
    study = copy.deepcopy(TINY_STUDY)
    study |= {"results": "results", "data": "data", "seed": 7}
    study["datasets"]["hard"] = {"filter": {"dataset": "second", "wrong_by": "reference"}}
    study["datasets"]["own"] = {
        "label": "Own",
        "source": {"path": "own/val", "layout": "class_folders", "class_index": "index.json"},
        "preprocessing": {"side": 32, "mode": "squash"},
        "images": 9,
    }
    study["models"]["given"] = {
        "architecture": "vit",
        "pretraining": "small",
        "weights": dict(WEIGHTS),
        "preprocessing": {"side": 32, "mode": "squash"},
    }
    return study


def _make(study: dict[str, Any]) -> None:
    """Write what says what each artefact was made from, as the jobs do."""
    config = load_config(study)
    layout = Paths(config.results)
    for model in config.models:
        path = Path(layout.card(model))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"made_from": of_checkpoint(config, model)}))
    for dataset in config.datasets:
        for store in stores_of_dataset(config, dataset):
            path = Path(layout.manifest(store))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_manifest(path, pa.table({"image_id": ["a"]}), of_store(config, store))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A study whose artefacts are there and its own."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/index.json").write_text('{"a": 0}')
    made = _study()
    _make(made)
    return made


def _told(study: dict[str, Any]) -> str:
    with pytest.raises(ValueError, match="were not made from what the configuration") as caught:
        check_study(load_config(study))
    return str(caught.value)


def _set(*keys: str, value: Any) -> Change:
    def change(study: dict[str, Any]) -> None:
        for key in keys[:-1]:
            study = study[key]
        study[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "artefact", "line"),
    [
        (
            _set("training", "samples", value=90_000),
            "checkpoints/a/card.json",
            "num_samples.finetuning is 128, expected 90000",
        ),
        (
            _set("pretraining", "small", "samples", value=64),
            "checkpoints/b/card.json",
            "num_samples.pretraining is 128, expected 64",
        ),
        (_set("seed", value=8), "checkpoints/a/card.json", "seed is 7, expected 8"),
        (_set("seed", value=8), "decoded/test/manifest.parquet", "seed is 7, expected 8"),
        (
            _set("architectures", "vit", "arguments", "depth", value=2),
            "checkpoints/a/card.json",
            "arguments.depth is 1, expected 2",
        ),
        (
            _set("datasets", "fit", "images", value=36),
            "checkpoints/a/card.json",
            "images.finetuning.num_images is 48, expected 36",
        ),
        (
            _set("datasets", "test", "generate", "split", value="validation"),
            "decoded/test/manifest.parquet",
            "generate.split is 'test', expected 'validation'",
        ),
        (
            _set("datasets", "hard", "filter", "wrong_by", value="b"),
            "decoded/hard/manifest.parquet",
            "filter.wrong_by is ['reference'], expected ['b']",
        ),
        (
            _set("datasets", "hard", "filter", "wrong_by", value=["reference", "b"]),
            "decoded/hard/manifest.parquet",
            "filter.wrong_by is ['reference'], expected ['b', 'reference']",
        ),
        (
            _set("training", "samples", value=64),
            "decoded/hard/manifest.parquet",
            "wrong_by.reference.num_samples.training is 128, expected 64",
        ),
        (
            _set("models", "given", "weights", "sha256", value="b" * 64),
            "checkpoints/given/card.json",
            f"weights.sha256 is '{'a' * 64}', expected '{'b' * 64}'",
        ),
        (
            _set("datasets", "own", "source", "path", value="own/train"),
            "decoded/own/manifest.parquet",
            "source.path is 'own/val', expected 'own/train'",
        ),
        (
            _set("datasets", "own", "preprocessing", "side", value=48),
            "decoded/own/manifest.parquet",
            "view.side is 32, expected 48",
        ),
        (
            _set("datasets", "own", "preprocessing", "interpolation", value="bicubic"),
            "decoded/own/manifest.parquet",
            "view.interpolation is 'bilinear', expected 'bicubic'",
        ),
        (
            _set("datasets", "own", "source", "class_index", value="other.json"),
            "decoded/own/manifest.parquet",
            "source.class_index is '",
        ),
    ],
)
def test_what_was_made_for_another_configuration_is_named(
    study: dict[str, Any], change: Change, artefact: str, line: str
) -> None:
    check_study(load_config(study))
    Path("data/other.json").write_text('{"a": 1}')
    change(study)
    told = _told(study)
    assert f"\nresults/{artefact}: {line}" in told
    assert "Delete these folders" in told
    assert f" results/{Path(artefact).parent}" in told.splitlines()[-2]


@pytest.mark.parametrize(
    "change",
    [
        _set("title", value="Another"),
        _set("device", value="cpu"),
        _set("batch_size", value=3),
        _set("datasets", "own", "label", value="Another"),
        _set("architectures", "vit", "label", value="Another"),
        _set("models", "given", "weights", "file", value="elsewhere/given.safetensors"),
        _set("models", "given", "weights", "sha256", value="a" * 64),
        _set("datasets", "own", "source", "class_index", value="moved.json"),
        _set("datasets", "own", "source", "class_index", value="gone.json"),
    ],
)
def test_what_changes_no_number_is_not_compared(study: dict[str, Any], change: Change) -> None:
    Path("data/moved.json").write_text('{"a": 0}')
    change(study)
    check_study(load_config(study))


def test_another_network_of_a_filter_is_two_lines(study: dict[str, Any]) -> None:
    study["datasets"]["hard"]["filter"]["wrong_by"] = ["reference", "b"]
    path = "results/decoded/hard/manifest.parquet"
    lines = [
        "filter.wrong_by is ['reference'], expected ['b', 'reference']",
        "wrong_by.b is missing",
    ]
    assert foreign_artefacts(load_config(study)) == {path: lines}
    _make(study)
    study["datasets"]["hard"]["filter"]["wrong_by"] = ["b"]
    lines = [
        "filter.wrong_by is ['b', 'reference'], expected ['b']",
        "wrong_by.reference is not expected",
    ]
    assert foreign_artefacts(load_config(study)) == {path: lines}


def test_neither_order_nor_spelling_of_a_filters_networks_is_compared(
    study: dict[str, Any],
) -> None:
    chosen = study["datasets"]["hard"]["filter"]
    chosen["wrong_by"] = ["reference"]
    check_study(load_config(study))
    chosen["wrong_by"] = ["reference", "b"]
    _make(study)
    chosen["wrong_by"] = ["b", "reference"]
    check_study(load_config(study))


@pytest.mark.parametrize("models", ["reference", ["reference", "b"]])
def test_filters_of_earlier_versions_are_their_own(
    study: dict[str, Any], models: str | list[str]
) -> None:
    """Of one network they had the origin itself, of several the order of the configuration."""
    study["datasets"]["hard"]["filter"]["wrong_by"] = models
    config = load_config(study)
    path = Path(Paths("results").manifest("hard"))
    recorded = of_store(config, "hard") | {"filter": {"dataset": "second", "wrong_by": models}}
    if isinstance(models, str):
        recorded["wrong_by"] = of_checkpoint(config, models)
    write_manifest(path, pa.table({"image_id": ["a"]}), recorded)
    check_study(config)


def test_results_and_data_may_be_moved(study: dict[str, Any]) -> None:
    shutil.move("results", "elsewhere/moved")
    study |= {"results": "elsewhere/moved", "data": "/another/machine"}
    check_study(load_config(study))
    study["datasets"]["own"]["source"]["path"] = "/scratch/own/val"
    check_study(load_config(study))
    study["datasets"]["own"]["source"]["path"] = "/scratch/other/val"
    assert "source.path is 'own/val', expected 'other/val'" in _told(study)


def test_files_of_images_are_inputs_of_their_decoding(study: dict[str, Any]) -> None:
    source = study["datasets"]["own"]["source"]
    for name in ("own/val/a/1.png", "own/val.zip", "own/2.parquet", "own/1.parquet"):
        file = Path("data", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"-")
    found = {}
    for path, layout in (
        ("own/val", "class_folders"),
        ("own/val.zip", "class_folders"),
        ("own/gone.zip", "class_folders"),
        ("own/1.parquet", "parquet"),
        ("own/*.parquet", "parquet"),
    ):
        source |= {"path": path, "layout": layout}
        found[path] = source_files(load_config(study), "own")
    assert found == {
        "own/val": [],
        "own/val.zip": ["data/own/val.zip"],
        "own/gone.zip": [],
        "own/1.parquet": ["data/own/1.parquet"],
        "own/*.parquet": ["data/own/1.parquet", "data/own/2.parquet"],
    }


def test_jobs_are_refused_for_their_own_files_alone(study: dict[str, Any]) -> None:
    study["models"]["given"]["weights"] = WEIGHTS | {"sha256": "b" * 64}
    config = load_config(study)
    layout = Paths(config.results)
    check_files(config, [layout.card("a"), layout.weights("a"), layout.manifest("own")])
    with pytest.raises(ValueError, match=r"given/card\.json: weights\.sha256 is"):
        check_files(config, [layout.card("a"), f"./{layout.card('given')}"])


def test_the_card_of_another_model_is_named_as_that(study: dict[str, Any]) -> None:
    layout = Paths(study["results"])
    shutil.copyfile(layout.card("b"), layout.card("a"))
    told = _told(study)
    assert told.count("checkpoints/a/card.json: ") == 1
    assert "checkpoints/a/card.json: is the card of model 'b', expected 'a'" in told


def test_what_does_not_say_what_it_was_made_from_is_refused(study: dict[str, Any]) -> None:
    layout = Paths(study["results"])
    Path(layout.card("a")).write_text("{}")
    write_manifest(Path(layout.manifest("test")), pa.table({"image_id": ["a"]}))
    told = _told(study)
    assert "checkpoints/a/card.json: does not say what it was made from: it was written" in told
    assert "decoded/test/manifest.parquet: does not say what it was made from" in told
    found = foreign_artefacts(load_config(study))
    assert found.keys() == {layout.card("a"), layout.manifest("test")}


def test_all_that_differs_is_counted(study: dict[str, Any]) -> None:
    study["seed"], study["training"]["samples"] = 8, 64
    lines = _told(study).splitlines()
    assert len([line for line in lines if line.startswith("results/")]) == 20
    assert any(line.startswith("and ") and line.endswith(" more") for line in lines)


def test_checkpoints_keep_what_they_were_made_from(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, build_classifier(CARD), CARD, {"seed": 3})
    assert read_card(tmp_path).made_from == {"seed": 3}
    content = json.loads((tmp_path / "card.json").read_text())
    del content["made_from"]
    (tmp_path / "card.json").write_text(json.dumps(content))
    load_classifier(tmp_path)


def test_stores_keep_what_they_were_made_from(tmp_path: Path) -> None:
    made_from = {"seed": 3}
    images = tmp_path / "images.npy"
    generated, bundled, decoded = (tmp_path / f"{name}.parquet" for name in "gbd")
    options = {"set": "target", "split": "test"}
    build_generated(images, generated, options, 2, 3, made_from=made_from)
    digits = {"set": "digits", "split": "test"}
    build_bundled(images, bundled, digits, seed=3, made_from=made_from)
    write_folder(tmp_path / "val", class_folder_files())
    source = {"path": "val", "layout": "class_folders"}
    view = Resizing(16, "squash", 1.0, "bilinear")
    build_from_source(images, decoded, source, view, root=tmp_path, made_from=made_from)
    for manifest in (generated, bundled, decoded):
        assert read_origin(manifest) == made_from
        assert read_manifest(manifest, ["image_id"]).num_rows > 0


@pytest.mark.slow
def test_results_without_records_are_held_against_the_configuration(
    undisturbed: tuple[Workspace, float], tmp_path: Path
) -> None:
    """What was copied without Snakemake's records is used where it fits, and else made again."""
    workspace = undisturbed[0].copy(tmp_path / "copy")
    shutil.rmtree(workspace.folder / ".snakemake")
    targets = [f"results/tables/{table}.parquet" for table in TABLES]

    def planned() -> set[str]:
        done = workspace.run("--dry-run", *targets)
        assert done.returncode == 0, done.stdout + done.stderr
        return planned_jobs(done.stdout + done.stderr).keys() - {"all"}

    assert planned() == set()
    text = (workspace.folder / "study.yaml").read_text()
    for old, new, rules in (
        ("size: S", "size: S\n    label: Another", {"describe_study", "make_table"}),
        ("    - contrast\n", "    - fog\n", {"evaluate", "check_shards", "make_table"}),
        ("datasets:", "title: Another\ndatasets:", set()),
    ):
        assert old in text
        (workspace.folder / "study.yaml").write_text(text.replace(old, new, 1))
        assert planned() == rules
    (workspace.folder / "study.yaml").write_text(text)
    (workspace.folder / "results").rename(workspace.folder / "moved")
    assert workspace.run("--dry-run", "--config", "results=moved").returncode == 0
    (workspace.folder / "moved").rename(workspace.folder / "results")
    assert text.count("samples: 64") == 2
    (workspace.folder / "study.yaml").write_text(text.replace("samples: 64", "samples: 96"))
    done = workspace.run("--dry-run")
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr
    assert "checkpoints/a/card.json: num_samples.finetuning is 64, expected 96" in told
    assert planned_jobs(told)["train_model"] == 2
    (workspace.folder / "study.yaml").write_text(text)
    assert not workspace.planned().keys() & {"train_model", "generate_dataset", "evaluate"}
