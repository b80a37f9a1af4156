"""Values of the configuration: numbers in any spelling, ranges with units, paths put in."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from perturb.config import Config, load_config
from perturb.config.given import add_study_arguments, given_study
from perturb.config.numbers import spelt_alike, with_numbers
from perturb.config.paths import RESOURCES
from perturb.plan.sources import resolved_source
from perturb.severities import severity_id, severity_value
from tests.test_config_mistakes import refusal
from tests.workspace import ROOT

SHA256 = "0123456789abcdef" * 4
ATTACK = {"datasets": ["test"], "images": 4}


def _given(raw: dict[str, Any], **preprocessing: Any) -> None:
    """Make a model one whose weights are a file's."""
    raw["models"]["a"] |= {"weights": {"file": "w.pt", "sha256": SHA256}}
    raw["models"]["a"]["preprocessing"] = {"side": 32, "mode": "squash", **preprocessing}


# --- numbers ---


@pytest.mark.parametrize("written", ["1e-3", "1E-3", "+1e-3", "1.e-3", ".1e-2", "0.001", "10e-04"])
def test_a_number_is_one_however_it_is_spelt(written: str, tiny_study: dict[str, Any]) -> None:
    tiny_study["epsilon"] = yaml.safe_load(written)
    tiny_study["perturbations"] |= {"pgd": {**ATTACK, "epsilons": [written, "4/255"]}}
    tiny_study["perturbations"]["pgd"]["relative_step"] = written
    tiny_study["architectures"]["vit"]["arguments"]["mlp_ratio"] = "1e0"
    _given(tiny_study, mode="crop", crop=written, mean=[written, 0, 0.5], std=[written, 1, ".5"])
    found = load_config(tiny_study)
    assert found.epsilon == "0.001"
    assert found.architectures["vit"].arguments["mlp_ratio"] == 1
    assert found.perturbations["pgd"].severities == ("0.001", "4_255")
    assert found.perturbations["pgd"].options["relative_step"] == 0.001
    view = found.models["a"].own_preprocessing
    assert view is not None
    assert (view.view.crop, view.mean, view.std) == (0.001, (0.001, 0, 0.5), (0.001, 1, 0.5))


@pytest.mark.parametrize(
    ("key", "written", "expected"),
    [
        ("seed", "1e3", 1000),
        ("seed", 7.0, 7),
        ("seed", "12345678901234567890", 12345678901234567890),
        ("batch_size", "2.5e2", 250),
        ("title", "1e3", "1e3"),
    ],
)
def test_whole_numbers_are_whole_and_words_are_words(
    key: str, written: Any, expected: Any, tiny_study: dict[str, Any]
) -> None:
    found = getattr(load_config(tiny_study | {key: written}), key)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "written", ["1e", "e3", "1,5", "1_0e3", "\u0661", "0x10", "1e-3.5", "many", ""]
)
def test_what_is_no_number_is_refused_as_it_was_written(
    written: str, tiny_study: dict[str, Any]
) -> None:
    assert f"seed: {written!r} is not of type integer" in refusal(tiny_study | {"seed": written})


@pytest.mark.parametrize("entry", ["epsilon=1e-3", "epsilon=+1E-3", "epsilon=1/1000"])
def test_numbers_of_the_command_line_are_numbers(
    entry: str, tiny_study: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(tiny_study))
    parser = argparse.ArgumentParser()
    add_study_arguments(parser)
    words = ["--configfile", str(tmp_path / "study.yaml"), "--config", entry]
    assert given_study(parser.parse_args(words)).epsilon == "0.001"


def test_several_files_are_merged_as_the_workflow_merges_them(
    tiny_study: dict[str, Any], tmp_path: Path
) -> None:
    files = [tmp_path / "study.yaml", tmp_path / "part.yaml"]
    contents = (tiny_study, {"epsilon": "0.002", "models": {"a": {"weights": "absent"}}})
    for file, content in zip(files, contents, strict=True):
        file.write_text(yaml.safe_dump(content))
    parser = argparse.ArgumentParser()
    add_study_arguments(parser)
    study = given_study(parser.parse_args(["--configfile", *map(str, files)]))
    assert (study.epsilon, list(study.absent)) == ("0.002", ["a"])


SPELLINGS = [
    (["4/255", "8/510", 4 / 255, "0.01568627450980392"], "4_255"),
    ([0.5, "1/2", "5e-1", ".50"], "0.5"),
    ([1, 1.0, "1", "255/255"], "1"),
    (["1e-3", 0.001, "1/1000"], "0.001"),
    (["51/255", 0.2], "0.2"),
    ([0, 0.0, "0/255"], "0"),
    (["1/510"], "1_510"),
    ([1e-7, "1e-7"], "1e-07"),
]


@pytest.mark.parametrize(("spellings", "id"), SPELLINGS)
def test_equal_severities_have_one_id_and_one_spelling_on_the_page(
    spellings: list[Any], id: str, tiny_study: dict[str, Any]
) -> None:
    pages = set()
    for written in spellings:
        tiny_study["epsilon"] = written
        raw = with_numbers(tiny_study)
        assert severity_id(raw["epsilon"]) == id
        pages.add(yaml.safe_dump(spelt_alike(tiny_study)))
    assert len(pages) == 1
    assert severity_id(severity_value(id)) == id


def test_every_gray_level_keeps_its_value() -> None:
    for level in range(256):
        assert severity_value(severity_id(f"{level}/255")) == level / 255


# --- paths ---


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("$SCRATCH/data", "/my scratch/data"),
        ("${SCRATCH}/data", "/my scratch/data"),
        ("a/${SCRATCH}b", "a//my scratchb"),
        ("~/data", "/my home/data"),
        ("a/~/b~", "a/~/b~"),
        ("a$$SCRATCH", "a$SCRATCH"),
        ("5$ or 10%{a}", "5$ or 10%{a}"),
    ],
)
def test_variables_and_the_home_folder_are_put_into_paths(
    written: str,
    expected: str,
    tiny_study: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCRATCH", "/my scratch")
    monkeypatch.setenv("HOME", "/my home")
    _given(tiny_study)
    tiny_study["data"] = written
    tiny_study["results"] = written.removesuffix("{a}")
    tiny_study["models"]["a"]["weights"]["file"] = written
    tiny_study["title"] = "It costs $SCRATCH"
    found = load_config(tiny_study)
    assert found.data == expected
    assert found.models["a"].weights_file is not None
    assert found.models["a"].weights_file.path == str(Path(expected, expected))
    assert found.results == os.path.normpath(expected.removesuffix("{a}"))
    assert found.title == "It costs $SCRATCH"


def test_every_path_that_cannot_be_put_in_is_named(
    tiny_study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    monkeypatch.setenv("EMPTY", "")
    tiny_study["data"] = "${NOWHERE}/data"
    source = {"layout": "labelled_files", "path": "$EMPTY/x", "labels": "~no-such-user/labels.txt"}
    source |= {"class_index": "${}/index.json"}
    tiny_study["datasets"]["more"] = {"source": source}
    tiny_study["perturbations"]["none"]["datasets"].append("mroe")
    assert refusal(tiny_study).splitlines() == [
        "perturbations.none.datasets.1: there is no entry 'mroe' under `datasets`; allowed: "
        "test, second, fit, watch, more. Did you mean `more`?",
        "data: '${NOWHERE}/data': the environment variable 'NOWHERE' is not set; $$ stands for a "
        "dollar sign",
        "datasets.more.source.path: '$EMPTY/x': the environment variable 'EMPTY' is empty; $$ "
        "stands for a dollar sign",
        "datasets.more.source.labels: '~no-such-user/labels.txt': there is no user "
        "'~no-such-user'; ./~no-such-user is a folder",
        "datasets.more.source.class_index: '${}/index.json': the environment variable '' is not "
        "set; $$ stands for a dollar sign",
    ]


INDEX = '{"cat": 0, "dog": 1, "horse": 2}'
FILES = ("classes.json", "map.json", "labels.csv", "meta.mat", "real.json", "w.pt")


def _with_files(raw: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return a study with a file at every key that names one, all in one folder."""
    classes, coarser, labels, synsets, accepted, weights = (folder + name for name in FILES)
    _given(raw)
    raw["models"]["a"]["weights"]["file"] = weights
    source = {"path": f"{folder}val", "class_index": classes}
    listed = {"layout": "labelled_files", "labels": labels, "synsets": synsets}
    raw["datasets"]["listed"] = {"source": source | listed, "preprocessing": {"side": 32}}
    folders = {"layout": "class_folders", "accepted_labels": accepted}
    raw["datasets"]["several"] = {"source": source | folders, "preprocessing": {"side": 32}}
    raw["datasets"]["coarse"] = {
        "class_map": coarser,
        "source": {**source, "layout": "class_folders"},
        "preprocessing": {"side": 32},
    }
    return raw


def _places(config: Config) -> set[str]:
    """Return every path that the files of a study are at."""
    found = {model.weights_file.path for model in config.models.values() if model.weights_file}
    for dataset in config.datasets.values():
        found |= {dataset.class_map} if dataset.class_map else set()
        names = ("path", "labels", "synsets", "accepted_labels", "class_index")
        source = resolved_source(config, dataset)
        found |= {source[name] for name in names if name in source}
    return found


@pytest.mark.parametrize("folder", ["", "mine/", "./", "../", "resources/", "/elsewhere/"])
def test_a_relative_path_means_one_thing_in_every_key(
    folder: str, tiny_study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    below = Path("my data", folder)
    expected = {str(below / name) for name in (*FILES, "val")}
    if folder == "resources/":
        expected = {str(RESOURCES / name) for name in (*FILES, "val")}
    study = _with_files(tiny_study | {"data": "my data"}, folder)
    assert _places(load_config(study)) == expected


def test_a_path_that_was_read_from_the_working_directory_is_named(
    tiny_study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = _with_files(tiny_study, "mine/")
    Path("mine").mkdir()
    for name in FILES:
        Path("mine", name).write_text(INDEX)
    said = refusal(study).splitlines()
    assert len(said) == 1 + 3 + 2 + 2
    for name in FILES:
        assert any(
            f"'mine/{name}' is not below `data` (data/mine/{name} does not exist); allowed for the "
            f"file in the working directory: {tmp_path}/mine/{name}" in line
            for line in said
        )
    Path("data").mkdir()
    Path("mine").rename("data/mine")
    load_config(study)


def test_a_file_of_this_project_is_not_mistaken_for_one_of_the_users(
    tiny_study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = {"layout": "class_folders", "path": "val"}
    tiny_study["datasets"]["more"] = {"source": source, "preprocessing": {"side": 32}}
    for index in ("resources/imagenet_r_classes.json", "./resources/imagenet_r_classes.json"):
        source["class_index"] = index
        load_config(tiny_study)
    Path("data/resources").mkdir(parents=True)
    Path("data/resources/imagenet_r_classes.json").write_text(INDEX)
    load_config(tiny_study)
    source["class_index"] = source["class_index"].removeprefix("./")
    assert refusal(tiny_study) == (
        "datasets.more.source.class_index: 'resources/imagenet_r_classes.json' is a file of this "
        "project; allowed for data/resources/imagenet_r_classes.json: "
        "./resources/imagenet_r_classes.json"
    )
    monkeypatch.chdir(ROOT)
    found = load_config(tiny_study | {"data": "."}).datasets["more"].source
    assert found is not None
    assert found["class_index"] == "resources/imagenet_r_classes.json"
