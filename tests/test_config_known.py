"""What the configuration says enough about is refused before any work, all of it at once."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perturb.config import ConfigError, load_config
from perturb.datasets.labels import read_class_index
from perturb.datasets.real.ingest import build_from_source
from perturb.datasets.real.listing import list_images
from perturb.models.resizing import AS_IS
from perturb.plan import sources
from tests.image_files import encoded, picture

SHA256 = "0123456789abcdef" * 4
FOLDERS = {"layout": "class_folders", "path": "val"}
ALL_FIVE = [1, 2, 3, 4, 5]


def _own_study(classes: int | None = None, **source: Any) -> dict[str, Any]:
    """Return a study of one given network on a folder of one's own."""
    colours = {"role": "clean", "source": {**FOLDERS, **source}, "preprocessing": {"side": 32}}
    return {
        "datasets": {"colours": colours | ({"classes": classes} if classes else {})},
        "pretraining": {"some": {"images": 1000}},
        "architectures": {
            "vit": {
                "family": "vit",
                "size": "S",
                "patch_size": 16,
                "arguments": {"embed_dim": 16, "depth": 1, "num_heads": 1, "mlp_ratio": 1},
            }
        },
        "models": {
            "a": {
                "architecture": "vit",
                "pretraining": "some",
                "weights": {"file": "w.pt", "sha256": SHA256},
                "preprocessing": {"side": 32, "mode": "squash"},
            }
        },
        "perturbations": {"none": {"datasets": ["colours"]}},
    }


def _refusal(raw: dict[str, Any], **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(raw, **options)
    return str(caught.value)


# --- all at once ---


def test_all_mistakes_of_a_stage_are_named_at_once(tiny_study: dict[str, Any]) -> None:
    raw = copy.deepcopy(tiny_study)
    raw |= {"seed": -1, "device": "gpu", "sede": 1, "batch_size": "many"}
    raw["perturbations"]["corruptions"]["severities"] = [0]
    assert len(_refusal(raw).splitlines()) == 5

    raw = copy.deepcopy(tiny_study)
    raw["models"]["a"]["architecture"] = "vitt"
    raw["models"]["b c"] = raw["models"]["b"]
    raw["perturbations"]["none"]["datasets"] = ["tset", "secnd"]
    assert len(_refusal(raw).splitlines()) == 4

    raw = copy.deepcopy(tiny_study)
    raw["models"]["a"]["preprocessing"] = {"side": 32}
    raw["architectures"]["more"] = {"family": "vit", "size": "S", "timm": "no_such_network"}
    raw["perturbations"]["pgd"] = {"datasets": ["test"], "epsilons": ["1/255", "2/510"]}
    assert len(_refusal(raw).splitlines()) == 3

    raw = copy.deepcopy(tiny_study)
    raw["datasets"]["second"]["label"] = "test"
    raw["pretraining"]["small"].pop("samples")
    raw["perturbations"]["none"]["datasets"] = ["test", "fit"]
    raw["perturbations"]["corruptions"]["images"] = 25
    raw["perturbations"]["spatial"] = {"datasets": ["second"], "rotations": 30}
    said = _refusal(raw)
    for expected in (
        "datasets.second.label: 'test' is also the label of 'test'",
        "pretraining.small.samples: missing; models.a is trained on it",
        "pretraining.small.samples: missing; models.b is trained on it",
        "perturbations.none.datasets: 'fit' has `role: train`",
        "perturbations.corruptions.images: 25 is more than the 24 of 'test'",
        "perturbations.spatial.datasets: second; allowed: test",
        "perturbations.spatial.rotations: 30 is even",
        "perturbations.spatial.datasets: 'second' must also be under perturbations.none.datasets",
    ):
        assert said.count(expected) == 1
    assert len(said.splitlines()) == 8


def test_missing_files_stand_beside_other_mistakes_and_alone_refuse_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = _own_study(classes=12)
    load_config(raw, beside=sources.missing_files)
    raw["perturbations"]["transfer"] = {"images": 12}
    assert _refusal(raw, beside=sources.missing_files).splitlines() == [
        "perturbations.transfer: needs perturbations.pgd, which it is compared with",
        "datasets.colours.source.path: data/val does not exist",
        "models.a.weights.file: data/w.pt does not exist",
    ]


def test_a_run_is_told_at_once_of_missing_files_and_of_other_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = _own_study(classes=2)
    raw["datasets"]["more"] = {"source": FOLDERS | {"path": "more"}, "preprocessing": {"side": 32}}
    raw["perturbations"]["none"]["datasets"].append("more")
    for name in ("val/cat", "val/dog", "more/cat", "more/fox"):
        Path("data", name).mkdir(parents=True)
        Path("data", name, "0.png").write_bytes(encoded(picture(0)))
    assert [line[:73] for line in sources.faulty_files(load_config(raw))] == [
        "The study reads files that are not there.",
        "models.a.weights.file: data/w.pt does not exist",
        "Datasets of the study do not have the same classes.",
        "datasets.more.source: its class folders are not those of datasets.colours",
    ]


# --- classes ---

ENSEMBLE = {
    name: {"datasets": ["colours"], "images": 2, "epsilons": ["1/255"]}
    for name in ("pgd", "attack_ensemble")
}


@pytest.mark.parametrize(
    ("classes", "attacks"),
    [
        (2, ("apgd_ce", "square")),
        (3, ("apgd_ce", "apgd_dlr", "square")),
        (12, ("apgd_ce", "apgd_dlr", "square")),
    ],
)
def test_two_classes_have_an_ensemble_without_the_loss_that_needs_three(
    classes: int, attacks: tuple[str, ...]
) -> None:
    raw = _own_study(classes)
    raw["perturbations"] |= ENSEMBLE
    ensemble = load_config(raw).perturbations["attack_ensemble"]
    assert ensemble.conditions == attacks
    assert ("targets" in ensemble.options) == ("apgd_dlr" in attacks)


def _ensemble(**options: Any) -> dict[str, Any]:
    raw = _own_study(classes=3)
    raw["perturbations"] |= copy.deepcopy(ENSEMBLE)
    raw["perturbations"]["attack_ensemble"] |= options
    return raw


def _write(name: str, content: object) -> None:
    Path("data").mkdir(exist_ok=True)
    Path("data", name).write_text(json.dumps(content))


def _mapped(content: object, classes: int = 1, **source: Any) -> dict[str, Any]:
    _write("map.json", content)
    Path("data/map.csv").write_text("name,class")
    raw = _own_study(classes=3)
    raw["datasets"]["coarse"] = {
        "classes": classes,
        "class_map": "map.json",
        "source": {**FOLDERS, **source},
        "preprocessing": {"side": 32},
    }
    raw["perturbations"]["none"]["datasets"].append("coarse")
    return raw


def _indexed(index: dict[str, int]) -> dict[str, Any]:
    _write("index.json", index)
    raw = _own_study(classes=3)
    raw["datasets"]["more"] = {"source": {**FOLDERS, "class_index": "index.json"}}
    raw["perturbations"]["none"]["datasets"].append("more")
    return raw


def _webdataset(**columns: str) -> dict[str, Any]:
    raw = _indexed({"cat": 0})
    source = {"layout": "webdataset", "path": "*.tar", "columns": columns}
    raw["datasets"]["more"] = {"source": source, "classes": 3}
    return raw


def _more_classes() -> dict[str, Any]:
    raw = _indexed({"cat": 0})
    raw["datasets"]["more"] = {"source": FOLDERS, "classes": 4}
    return raw


def _timm(**datasets: Any) -> dict[str, Any]:
    raw = _own_study(classes=1000)
    tag = {"timm": "vit_base_patch16_224.augreg_in1k"}
    raw["models"] = {"b": {"architecture": "vit", "pretraining": "some", "weights": tag}}
    raw["architectures"]["vit"].pop("arguments")
    raw["datasets"]["colours"] |= datasets
    return raw


def _arguments(**arguments: Any) -> dict[str, Any]:
    raw = _own_study(classes=3)
    raw["architectures"]["vit"]["arguments"] |= arguments
    return raw


def _spatial(**options: Any) -> dict[str, Any]:
    raw = _own_study(classes=3)
    raw["perturbations"]["spatial"] = {"datasets": ["colours"], **options}
    return raw


def _small() -> dict[str, Any]:
    raw = _with_reference(_own_study(classes=3))
    raw["datasets"]["colours"]["preprocessing"] = {"side": 8}
    raw["perturbations"]["corruptions"] = {"datasets": ["colours"], "severities": [1]}
    return raw


KNOWN: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "more targets than other classes": (
        lambda: _ensemble(targets=9),
        "perturbations.attack_ensemble.targets: 9, but models.a has 3 classes; allowed: at most 2",
    ),
    "a member beyond the head": (
        lambda: _mapped({"pet": [0, 7]}),
        "datasets.coarse.class_map: data/map.json: class map: class 7 is a member, but the model "
        "has 3",
    ),
    "no class map": (
        lambda: _mapped({"pet": 0}),
        "datasets.coarse.class_map: class map data/map.json: 'pet' is 0; expected a list",
    ),
    "more classes than the map": (
        lambda: _mapped({"pet": [0, 1]}, classes=2),
        "datasets.coarse.classes: 2, but its class map has 1",
    ),
    "several labels beside a map": (
        lambda: _mapped({"pet": [0]}, accepted_labels="real.json"),
        "datasets.coarse.source.accepted_labels: not allowed beside `class_map`",
    ),
    "an index beyond the head": (
        lambda: _indexed({"cat": 0, "dog": 3}),
        "datasets.more.source.class_index: 4, but models.a has 3 classes",
    ),
    "an index of nothing": (
        lambda: _indexed({}),
        "datasets.more.source.class_index: data/index.json: allowed: a JSON object of names",
    ),
    "an index with a negative number": (
        lambda: _indexed({"cat": -1}),
        "datasets.more.source.class_index: data/index.json: cat is -1; allowed: 0 to 32767",
    ),
    "an index that only a job reads": (
        lambda: _mapped({"pet": [0]}, class_index="map.csv"),
        "datasets.coarse.source.class_index: data/map.csv: is not JSON",
    ),
    "a column of images in WebDataset": (
        lambda: _webdataset(image="jpg"),
        "datasets.more.source.columns.image: only with `layout: parquet, labelled_files`, not "
        "webdataset",
    ),
    "classes beyond the head": (
        _more_classes,
        "datasets.more.classes: 4, but models.a has 3 classes",
    ),
    "classes beyond timm's head": (
        lambda: _timm(classes=1001),
        "datasets.colours.classes: 1001, but models.b has 1000",
    ),
    "heads that do not divide": (
        lambda: _arguments(num_heads=3),
        "architectures.vit.arguments: num_heads is 3; allowed: a divisor of embed_dim 16",
    ),
    "no blocks": (
        lambda: _arguments(depth=0),
        "architectures.vit.arguments: depth is 0; allowed: positive numbers",
    ),
    "corruptions of small images": (
        _small,
        "datasets.colours.preprocessing.side: 8; allowed: 16 or more",
    ),
    "more samples than points": (
        lambda: _spatial(rotations=3, translations=3),
        "perturbations.spatial.samples: 50 is more than the 27 points of the grid",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_beforehand_is_refused_beforehand(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    load_config(_own_study(classes=3))
    make, expected = KNOWN[name]
    assert expected in _refusal(make())


# --- AlexNet's errors ---


def _stored(classes: int | None, stored: dict[str, Any], **perturbation: Any) -> dict[str, Any]:
    raw = _own_study(classes)
    source = {"layout": "corruptions", "path": "c"}
    raw["datasets"]["c"] = {"role": "corrupted", "preprocessing": "as_is", "source": source}
    raw["datasets"]["c"] |= stored
    entry = {"datasets": ["c"], "severities": ALL_FIVE, "denominators": "alexnet"}
    raw["perturbations"]["stored_corruptions"] = entry
    raw["perturbations"]["stored_corruptions"] |= perturbation
    return raw


def _named() -> dict[str, Any]:
    """Return a study in which only its published name says which classes the clean set has."""
    labelled = {"layout": "labelled_files", "path": "val", "labels": "labels.txt"}
    raw = _timm(source=labelled, published="imagenet")
    raw["datasets"]["colours"].pop("classes")
    stored = _stored(None, {"published": "imagenet-c", "classes": 1000})
    raw["datasets"]["c"] = stored["datasets"]["c"]
    raw["perturbations"] = stored["perturbations"]
    return raw


def _made(classes: int, side: int, **perturbation: Any) -> dict[str, Any]:
    raw = _own_study(classes)
    raw["datasets"]["colours"]["preprocessing"] = {"side": side}
    entry = {"datasets": ["colours"], "severities": ALL_FIVE, "denominators": "alexnet"}
    raw["perturbations"]["corruptions"] = entry | perturbation
    return raw


def _with_reference(raw: dict[str, Any]) -> dict[str, Any]:
    raw["models"]["reference"] = {**raw["models"]["a"], "role": "reference"}
    return raw


IMAGENET_INDEX = str(Path(__file__).parent.parent / "resources" / "imagenet_classes.json")
ALEXNET = {
    "ten classes of one's own": (
        lambda: _stored(10, {"classes": 10}),
        [
            "perturbations.stored_corruptions.denominators: alexnet, but datasets.colours has 10 ",
            "datasets.c has 10 classes; allowed: ImageNet's 1000",
            "`denominators: reference`",
        ],
    ),
    "ten classes in the clean set alone": (
        lambda: _stored(10, {"published": "imagenet-c"}),
        ["alexnet, but datasets.colours has 10 classes"],
    ),
    "no number of classes": (
        lambda: _stored(None, {}),
        ["datasets.colours does not say how many `classes` it has"],
    ),
    "published by name, ten by number": (
        lambda: _stored(1000, {"published": "imagenet-c", "classes": 10}),
        ["alexnet, but datasets.c has 10 classes"],
    ),
    "stored files that are resized": (
        lambda: _stored(1000, {"classes": 1000, "preprocessing": {"side": 224}}),
        ["datasets.c.preprocessing resizes what is stored; allowed: as_is"],
    ),
    "some severities": (
        lambda: _stored(1000, {"classes": 1000}, severities=[1, 3]),
        ["perturbations.stored_corruptions.severities: 1, 3; `denominators: alexnet` needs all"],
    ),
    "made of ten classes": (
        lambda: _made(10, 224, jpeg=True),
        ["perturbations.corruptions.denominators: alexnet, but datasets.colours has 10 classes"],
    ),
    "made without JPEG": (
        lambda: _made(1000, 224, jpeg=False),
        ["perturbations.corruptions.denominators: alexnet needs `jpeg`"],
    ),
    "made at another side": (
        lambda: _made(1000, 384, jpeg=True),
        ["perturbations.corruptions.denominators: alexnet needs `jpeg` and", "side of 224"],
    ),
}


@pytest.mark.parametrize("name", ALEXNET)
def test_alexnets_errors_divide_those_on_imagenet_alone(name: str) -> None:
    make, expected = ALEXNET[name]
    said = _refusal(make())
    for fragment in expected:
        assert fragment in said


@pytest.mark.parametrize(
    "make",
    [
        lambda: _stored(1000, {"classes": 1000}),
        _named,
        lambda: _stored(
            1000, {"source": {"layout": "corruptions", "path": "c", "class_index": IMAGENET_INDEX}}
        ),
        lambda: _made(1000, 224, jpeg=True),
        lambda: _with_reference(_stored(10, {"classes": 10}, denominators="reference")),
    ],
    ids=["by number", "by name", "by index", "made", "one's own reference"],
)
def test_denominators_that_fit_are_taken(make: Callable[[], dict[str, Any]]) -> None:
    load_config(make())


def test_files_of_another_side_are_refused_before_they_are_evaluated(tmp_path: Path) -> None:
    config = load_config(_stored(1000, {"classes": 1000}))
    assert sources.decoded(config, "c/fog-3")["side"] == 224
    assert "side" not in sources.decoded(config, "colours")
    own = load_config(_with_reference(_stored(10, {"classes": 10}, denominators="reference")))
    assert "side" not in sources.decoded(own, "c/fog-3")
    for name in "ab":
        (tmp_path / "val" / name).mkdir(parents=True)
        (tmp_path / "val" / name / "0.png").write_bytes(encoded(picture(0, 32, 32), "PNG"))
    outputs = tmp_path / "images.npy", tmp_path / "manifest.parquet"
    with pytest.raises(ValueError, match="val: images are 32 px; allowed: 224 px"):
        build_from_source(*outputs, dict(FOLDERS), AS_IS, root=tmp_path, side=224)
    build_from_source(*outputs, dict(FOLDERS), AS_IS, root=tmp_path, side=32)


# --- stored corruptions ---


@pytest.mark.parametrize(
    ("suffixes", "said"),
    [
        ({"fog/1": ".JPEG", "noise/snow/1": ".JPEG", "clean": ".JPEG"}, None),
        (
            {"fog/1": ".png", "noise/snow/1": ".JPEG"},
            "files of snow-1 end in .JPEG; files of fog-1",
        ),
        ({"fog/1": ".jpeg", "noise/snow/1": ".JPEG"}, "files of snow-1 end in .JPEG"),
        ({"fog/1": ".JPEG", "noise/snow/1": ".JPEG", "clean": ".png"}, "the clean set end in .png"),
        ({"fog/1": ".jpg", "noise/snow/1": ".JPG", "clean": ".jpg .JPG"}, None),
    ],
)
def test_corruptions_whose_files_differ_in_suffix_are_named(
    suffixes: dict[str, str], said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = _stored(1000, {"classes": 1000}, corruptions=["snow", "fog"])
    for place, suffix in suffixes.items():
        folder = Path("data/val") if place == "clean" else Path("data/c") / place
        (folder / "one").mkdir(parents=True)
        for number, each in enumerate(suffix.split()):
            (folder / "one" / f"{number}{each}").touch()
        (folder / "one" / ".hidden.txt").touch()
    found = sources.unlike_parts(load_config(raw))
    assert len(found) == (said is not None)
    for line in found:
        assert line.startswith("datasets.c.source.path: ")
        assert said is not None
        assert said in line


# --- coarser classes, and made sets ---


def test_folders_are_the_coarser_classes_of_a_map_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = _mapped({"bird": [2], "airplane": [0, 1]})
    raw["datasets"]["coarse"]["source"] = {**FOLDERS, "path": "coarse"}
    for name in ("airplane", "bird"):
        file = tmp_path / "data" / "coarse" / name / "0.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(encoded(picture(0)))
    config = load_config(raw)
    listing = list_images(sources.resolved_source(config, config.datasets["coarse"]), Path())
    assert dict(zip(listing.image_ids, listing.targets, strict=True)) == {
        "airplane/0.png": 1,
        "bird/0.png": 0,
    }


def test_a_clean_set_that_is_made_from_others_waits_for_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = _own_study(classes=3)
    raw["datasets"]["more"] = {"source": {**FOLDERS, "path": "more"}, "preprocessing": {"side": 32}}
    raw["perturbations"]["none"]["datasets"].append("more")
    config = load_config(raw)
    manifest = "results/decoded/colours/manifest.parquet"
    assert sources.clean_manifest(config, "more") == [manifest]
    is_filter = {"dataset": "more", "wrong_by": "a"}
    made = replace(config.datasets["colours"], source=None, filter=is_filter)
    config = replace(config, datasets={**config.datasets, "colours": made})
    assert sources.clean_manifest(config, "more") == []


def test_json_with_a_byte_order_mark_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = _indexed({"cat": 0, "dog": 1})
    index = Path("data/index.json")
    index.write_text(index.read_text(), encoding="utf-8-sig")
    load_config(raw)
    assert read_class_index(index) == {"cat": 0, "dog": 1}
