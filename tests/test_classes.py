"""Comparison of the classes of datasets with those of the clean set, by name and by number."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from conftest import ROOT
from perturb.config import Config, load_config
from perturb.datasets.classes import Classes, unlike
from perturb.datasets.manifests import read_classes
from perturb.datasets.real.ingest import build_from_source
from perturb.models.resizing import Resizing
from perturb.plan import sources
from perturb.records import Training
from perturb.tables.facts import check_datasets
from tests.image_files import IMAGE, LABELLED, in_json, source_of, write_as, write_folder

VIEW = Resizing(24)
CLEAN = ("bear", "cat", "dog", "fox")


def _order(*names: str, are_folders: bool = True) -> Classes:
    return replace(Classes.in_order(names, are_folders), num_classes=len(names))


def _index(**names: int) -> Classes:
    return Classes("index", True, names, max(names.values()) + 1)


def _numbers(num_classes: int, **names: int) -> Classes:
    return Classes("numbers", False, names, num_classes)


def _labels(*names: str) -> Classes:
    return _order(*names, are_folders=False)


ABC = _order("a", "b", "c")
PETS = ("adog", "bee", "cat")
TWELVE = [f"{number:c}" for number in range(ord("a"), ord("m"))]


@pytest.mark.parametrize(
    ("here", "there", "reason"),
    [
        (_order("a", "b", "c"), ABC, None),
        (_labels("a", "b", "c"), ABC, None),
        (_order("a", "c"), ABC, r"its class folders are not those of datasets.x \(b only there\)"),
        (_labels("a", "c"), ABC, r"its labels are not those of .*b only there"),
        (_order("a", "b", "z"), ABC, r"\(z only here; c only there\); a `class_index` for both"),
        (_labels("a", "b", "z"), ABC, "z only here; c only there"),
        (_order("x", "y", "z"), ABC, "x, y, z only here; a, b, c only there"),
        (_labels("x", "y", "z"), ABC, None),
        (_labels("x", "y"), ABC, "x, y only here"),
        (_labels("a", "b", "c", "d"), ABC, "d only here"),
        (_order("a", "b", "c"), _index(a=0, b=1, c=2), None),
        (_order("a", "b"), _index(a=0, b=1, c=2), None),
        (_order("a", "c"), _index(a=0, b=1, c=2), "c is class 1 here and 2 there"),
        (_order("a", "b", "c"), _index(a=2, b=1, c=0), "a is class 0 here and 2 there"),
        (_order("x", "y", "z"), _numbers(3), None),
        (_order("x", "y"), _numbers(3), "have 2 names, but datasets.x has 3 classes by number"),
        (_order("b", "a"), _numbers(2, a=0, b=1), None),
        (_order("b", "a"), _numbers(2, a=1, b=0), "a is class 0 here and 1 there"),
        (_index(a=0, c=2), ABC, None),
        (
            _index(a=0, c=1),
            ABC,
            "its `class_index` says that c is class 1, but in datasets.x it is class 2",
        ),
        (_index(z=2), ABC, None),
        (_index(z=3), ABC, "it has classes up to 3, but datasets.x has 3, from 0 on"),
        (_index(a=5), _index(a=4), "a is class 5, but in datasets.x it is class 4"),
        (_index(a=5), _index(a=5, b=6), None),
        (_numbers(3), ABC, None),
        (_numbers(2), ABC, None),
        (_numbers(4), ABC, "it has classes up to 3, but datasets.x has 3"),
        (_numbers(2, b=0, c=1), ABC, "b is class 0, but in datasets.x it is class 1"),
        (_numbers(9), _index(a=3), None),
        (_labels("Bee", "Cat", "aDog"), _order(*PETS), "Bee is class 0 here and 1 there"),
        (_labels("Bee", "Cat", "aDog"), _index(adog=0, bee=1, cat=2), "Bee is class 0 here and 1"),
        (_labels("aDog", "bee ", "CAT"), _index(adog=1, bee=2, cat=0), None),
        (_labels("Adog", "Bee", "Cat"), _order(*PETS), None),
        (_labels("Adog", "Bee", "Owl"), _order(*PETS), "Owl only here; cat only there"),
        (_order("Adog", "Bee", "Cat"), _order(*PETS), "Adog, Bee, Cat only here"),
        (_labels("red_cat", "red_dog"), _order("Red cat", "Red dog"), None),
        (_labels('"a"', '"b"', '"c"'), ABC, None),
        (_labels("c#", "c++", "c-"), ABC, None),
        (
            replace(_index(Cat=1), are_folders=False),
            _order(*PETS),
            "says that Cat is class 1, but in datasets.x it is class 2",
        ),
        (
            _labels(*(f"class_{number}" for number in range(12))),
            _order(*TWELVE),
            "class_1 comes before class_10|class_11 comes before class_2; a `class_index` has to",
        ),
        (_labels(*(f"1/{number}" for number in range(1, 13))), _numbers(12), "1/12 comes before"),
        (_labels(*(f"class_{number:02d}" for number in range(12))), _order(*TWELVE), None),
        (_labels(*TWELVE), _order(*map(str, range(12))), "the names of datasets.x hold numbers"),
    ],
)
def test_classes_are_those_of_the_clean_set_or_not(
    here: Classes, there: Classes, reason: str | None
) -> None:
    found = unlike(here, there, "datasets.x")
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(reason, found)


def _build(folder: Path, name: str, source: dict[str, Any], clean: Path | None = None) -> Path:
    manifest = folder / "decoded" / name / "manifest.parquet"
    images = manifest.with_name("images.npy")
    part = "fog-1" if source["layout"] == "corruptions" else None
    build_from_source(images, manifest, source, VIEW, root=folder, clean=clean, part=part)
    return manifest


def _archive(kind: str) -> Callable[[Path, Sequence[str]], dict[str, Any]]:
    def write(folder: Path, names: Sequence[str]) -> dict[str, Any]:
        return source_of(write_as(kind, folder, {f"{name}/x.png": IMAGE for name in names}))

    return write


def _corruptions(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    path = write_folder(folder / "c", {f"fog/1/{name}/x.png": IMAGE for name in names})
    return source_of(path, "corruptions")


FOLDERS = {kind: _archive(kind) for kind in ("folder", "tar", "tar.gz", "zip")} | {
    "corruptions": _corruptions
}
OTHERS = {layout: LABELLED[layout] for layout in ("csv", "parquet", "cls")}


@pytest.mark.parametrize("layout", FOLDERS | OTHERS)
def test_a_set_is_compared_before_it_is_decoded(
    layout: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write = (FOLDERS | OTHERS)[layout]
    clean = _build(tmp_path, "clean", _archive("tgz")(tmp_path, CLEAN))
    kept = read_classes(clean)
    assert kept == replace(_order(*CLEAN), num_classes=4)
    same = read_classes(_build(tmp_path, "same", write(tmp_path, CLEAN), clean))
    assert same == replace(kept, are_folders=layout in FOLDERS)
    for names, said in {
        ("cat", "dog"): "bear, fox only there",
        (*CLEAN[:3], "owl"): "owl only here; fox only there",
        (*CLEAN, "owl"): "owl only here",
    }.items():
        new = tmp_path / f"{names[-1]}{len(names)}"
        new.mkdir()
        with pytest.raises(ValueError, match=rf"source.path .*not those of the clean.*{said}"):
            _build(new, "other", write(new, names), clean)
        assert not (new / "decoded").exists()
    assert not caplog.records


@pytest.mark.parametrize("layout", FOLDERS | OTHERS)
def test_names_of_their_own_are_matched_by_order_only_where_they_are_labels(
    layout: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clean = _build(tmp_path, "clean", _archive("tgz")(tmp_path, [f"n{n}" for n in range(4)]))
    source = (FOLDERS | OTHERS)[layout](tmp_path, CLEAN)
    if layout in FOLDERS:
        with pytest.raises(ValueError, match="bear, cat, dog only here; n0, n1, n2 only there"):
            _build(tmp_path, "other", source, clean)
        return
    _build(tmp_path, "other", source, clean)
    assert "matched by the order of their names; a `class_index` would say" in caplog.text


def test_numbers_beyond_the_clean_set_are_refused(tmp_path: Path) -> None:
    clean = _build(tmp_path, "clean", _archive("zip")(tmp_path, CLEAN))
    _build(tmp_path, "few", OTHERS["csv"](tmp_path, ["0", "3"]), clean)
    with pytest.raises(ValueError, match=r"has classes up to 4, but the clean set \(.*\) has 4"):
        _build(tmp_path, "other", OTHERS["csv"](tmp_path, ["0", "4"]), clean)


def test_few_numbers_beside_names_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clean = _build(tmp_path, "clean", _archive("zip")(tmp_path, CLEAN))
    _build(tmp_path, "few", OTHERS["csv"](tmp_path, ["0", "1"]), clean)
    assert "its classes are numbers up to 1, taken for the first of the 4 classes" in caplog.text
    caplog.clear()
    _build(tmp_path, "all", OTHERS["csv"](tmp_path, ["0", "1", "2", "3"]), clean)
    assert not caplog.records


def test_an_older_manifest_keeps_no_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clean = _build(tmp_path, "clean", _archive("zip")(tmp_path, CLEAN))
    table = pq.read_table(clean)
    pq.write_table(table.replace_schema_metadata({"perturb": '{"view": {}}'}), clean)
    assert read_classes(clean) is None
    _build(tmp_path, "other", OTHERS["csv"](tmp_path, CLEAN), clean)
    assert "could not be compared with those of the clean set" in caplog.text


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    config = load_config(yaml.safe_load((ROOT / "config" / "imagenet.yaml").read_text()))
    monkeypatch.chdir(tmp_path)
    return config


def _with_sources(config: Config, given: dict[str, dict[str, Any]]) -> Config:
    datasets = {id: replace(config.datasets[id], source=source) for id, source in given.items()}
    return replace(config, datasets={**config.datasets, **datasets}, data="")


@pytest.mark.parametrize("kind", ["folder", "zip", "stored zip", "tar"])
def test_folders_and_archives_are_compared_before_any_job(
    kind: str, config: Config, tmp_path: Path
) -> None:
    write_folder(tmp_path / "val", {f"{name}/x.png": IMAGE for name in CLEAN})
    clean = {"path": "val", "layout": "class_folders"}
    few = _archive(kind)(tmp_path, CLEAN[1:])
    study = _with_sources(config, {config.clean_dataset.id: clean, "imagenet-a": few})
    [line] = sources.unlike_classes(study)
    assert line == (
        "datasets.imagenet-a.source: its class folders are not those of datasets.imagenet (bear "
        "only there); a `class_index` for both has to say which class each is"
    )
    index = in_json(tmp_path / "index.json", {"cat": 1, "dog": 2, "fox": 0})
    study = _with_sources(study, {"imagenet-a": few | {"class_index": index}})
    assert sources.unlike_classes(study) == [
        "datasets.imagenet-a.source: its `class_index` says that fox is class 0, but in "
        "datasets.imagenet it is class 3"
    ]


def test_sets_for_fine_tuning_are_compared_and_for_pretraining_not(
    config: Config, tmp_path: Path
) -> None:
    write_folder(tmp_path / "val", {f"{name}/x.png": IMAGE for name in CLEAN})
    write_folder(tmp_path / "train", {f"{name}/x.png": IMAGE for name in CLEAN[:3]})
    study = _with_sources(config, {"imagenet": {"path": "val", "layout": "class_folders"}})
    fitted = {"path": "train", "layout": "class_folders"}
    train = replace(config.datasets["imagenet"], id="train", role="train", source=fitted)
    study = replace(study, datasets={**study.datasets, "train": train})
    assert sources.unlike_classes(study) == []
    assert "train" not in sources.compared_datasets(study)
    [name, model] = next(iter(study.models.items()))
    tuned = replace(model, training=Training("train", "imagenet", 1))
    study = replace(study, models={**study.models, name: tuned})
    [line] = sources.unlike_classes(study)
    assert line.startswith("datasets.train.source: its class folders are not those of")


def test_only_sets_without_an_index_wait_for_the_clean_set(config: Config) -> None:
    assert sources.clean_manifest(config, "imagenet-r/384-squash-bilinear") == []
    bare = {"path": "r", "layout": "class_folders"}
    study = _with_sources(config, {"imagenet": bare, "imagenet-r": bare})
    [manifest] = sources.clean_manifest(study, "imagenet-r/384-squash-bilinear")
    assert "/decoded/imagenet/" in manifest
    assert sources.clean_manifest(study, "imagenet/384-squash-bilinear") == []
    coarser = replace(study.datasets["imagenet-r"], class_map="x")
    study = replace(study, datasets={**study.datasets, "imagenet-r": coarser})
    assert sources.clean_manifest(study, "imagenet-r/384-squash-bilinear") == []


def test_facts_are_collected_of_sets_with_the_same_classes_alone(
    config: Config, tmp_path: Path
) -> None:
    clean = _build(tmp_path, "clean", _archive("zip")(tmp_path, CLEAN))
    other = _build(tmp_path, "other", OTHERS["csv"](tmp_path, CLEAN[1:]))
    datasets = [config.datasets[id] for id in ("imagenet", "imagenet-r")]
    check_datasets(datasets, {"imagenet": clean, "imagenet-r": clean})
    with pytest.raises(ValueError, match=r"datasets.imagenet-r: its labels are not those of data"):
        check_datasets(datasets, {"imagenet": clean, "imagenet-r": other})
    coarser = [datasets[0], replace(datasets[1], class_map="x")]
    check_datasets(coarser, {"imagenet": clean, "imagenet-r": other})
