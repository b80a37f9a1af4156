"""What the configuration says enough about is refused before any work, all of it at once."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from perturb.config import load_config
from perturb.datasets.labels import read_class_index
from perturb.datasets.real.ingest import build_from_source
from perturb.datasets.real.listing import list_images
from perturb.models.resizing import AS_IS
from perturb.plan import sources
from tests.image_files import encoded, picture
from tests.test_config_mistakes import changed, refusal

FOLDERS = {"layout": "class_folders", "path": "val"}
# A study of one given network on a folder of one's own.
OWN = yaml.safe_load(f"""
    datasets:
      colours:
        {{role: clean, classes: 3, source: {FOLDERS}, preprocessing: {{side: 32}}}}
    pretraining: {{some: {{images: 1000}}}}
    architectures:
      vit:
        {{family: vit, size: S, patch_size: 16,
          arguments: {{embed_dim: 16, depth: 1, num_heads: 1, mlp_ratio: 1}}}}
    models:
      a: &a
        architecture: vit
        pretraining: some
        weights: {{file: w.pt, sha256: {"0123456789abcdef" * 4}}}
        preprocessing: {{side: 32, mode: squash}}
    perturbations: {{none: {{datasets: [colours]}}}}
""")


def _own_study(*changes: str) -> dict[str, Any]:
    return changed(OWN, *changes)


# --- all at once ---


def test_all_mistakes_of_a_stage_are_named_at_once(tiny_study: dict[str, Any]) -> None:
    raw = copy.deepcopy(tiny_study)
    raw |= {"seed": -1, "device": "gpu", "sede": 1, "batch_size": "many"}
    raw["perturbations"]["corruptions"]["severities"] = [0]
    assert len(refusal(raw).splitlines()) == 5

    raw = copy.deepcopy(tiny_study)
    raw["models"]["a"]["architecture"] = "vitt"
    raw["models"]["b c"] = raw["models"]["b"]
    raw["perturbations"]["none"]["datasets"] = ["tset", "secnd"]
    assert len(refusal(raw).splitlines()) == 4

    raw = copy.deepcopy(tiny_study)
    raw["models"]["a"]["preprocessing"] = {"side": 32}
    raw["architectures"]["more"] = {"family": "vit", "size": "S", "timm": "no_such_network"}
    raw["perturbations"]["pgd"] = {"datasets": ["test"], "epsilons": ["1/255", "2/510"]}
    assert len(refusal(raw).splitlines()) == 3

    raw = copy.deepcopy(tiny_study)
    raw["datasets"]["second"]["label"] = "test"
    raw["pretraining"]["small"].pop("samples")
    raw["perturbations"]["none"]["datasets"] = ["test", "fit"]
    raw["perturbations"]["corruptions"]["images"] = 25
    raw["perturbations"]["spatial"] = {"datasets": ["second"], "rotations": 30}
    said = refusal(raw)
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
    raw = _own_study("datasets.colours.classes: 12")
    load_config(raw, beside=sources.missing_files)
    raw["perturbations"]["transfer"] = {"images": 12}
    assert refusal(raw, beside=sources.missing_files).splitlines() == [
        "perturbations.transfer: needs perturbations.pgd, which it is compared with",
        "datasets.colours.source.path: data/val does not exist",
        "models.a.weights.file: data/w.pt does not exist",
    ]


def test_a_run_is_told_at_once_of_missing_files_and_of_other_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = _own_study("datasets.colours.classes: 2")
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

ENSEMBLE = """
    perturbations.pgd: {datasets: [colours], images: 2, epsilons: [1/255]}
    perturbations.attack_ensemble: {datasets: [colours], images: 2, epsilons: [1/255]}
"""


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
    raw = _own_study(ENSEMBLE, f"datasets.colours.classes: {classes}")
    ensemble = load_config(raw).perturbations["attack_ensemble"]
    assert ensemble.conditions == attacks
    assert ("targets" in ensemble.options) == ("apgd_dlr" in attacks)


STANDARD = """
    perturbations.pgd: {datasets: [colours], images: 2, epsilons: [1/255]}
    perturbations.attack_ensemble: {datasets: [colours], epsilons: [1/255], standard: true}
    perturbations.attack_ensemble_l2: {datasets: [colours], epsilons: [3], standard: true}
"""


@pytest.mark.parametrize(
    ("classes", "attacks"),
    [(2, ("apgd_ce", "fab", "square")), (12, ("apgd_ce", "apgd_dlr", "fab", "square"))],
)
@pytest.mark.parametrize("id", ["attack_ensemble", "attack_ensemble_l2"])
def test_the_standard_set_has_fab_and_the_published_budget(
    id: str, classes: int, attacks: tuple[str, ...]
) -> None:
    """Targets are a bound: no number of classes is too small for them."""
    ensemble = load_config(_own_study(STANDARD, f"datasets.colours.classes: {classes}"))
    entry = ensemble.perturbations[id]
    assert entry.conditions == attacks
    budget = {"steps": 100, "restarts": 1, "targets": 9, "queries": 5000}
    assert entry.options == {"standard": True} | budget
    assert entry.severities == (("3",) if id.endswith("l2") else ("1_255",))


def _lengths(epsilons: str) -> str:
    return f"perturbations.attack_ensemble_l2: {{datasets: [colours], epsilons: {epsilons}}}"


@pytest.mark.parametrize("epsilons", ["[0, 1/255, 0.5, 55.4]", "[8/255]"])
def test_possible_lengths_are_allowed(epsilons: str) -> None:
    assert load_config(_own_study(_lengths(epsilons))).perturbations["attack_ensemble_l2"]


@pytest.mark.parametrize("view", ["models.a.preprocessing.side: 64", "as_is"])
def test_a_length_is_possible_at_the_side_of_the_images(view: str) -> None:
    """Images without preprocessing have the side of the models'; that of `as_is` is unknown."""
    dataset = "datasets.colours.preprocessing: "
    changes = [dataset + "as_is"] if view == "as_is" else [dataset + "~", view]
    raw = _own_study(_lengths("[100]"), *changes)
    assert load_config(raw).perturbations["attack_ensemble_l2"].severities == ("100",)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the data, with the files that studies name, in the working directory."""
    monkeypatch.chdir(tmp_path)
    files = {
        **{"beyond": {"pet": [0, 7]}, "number": {"pet": 0}, "two": {"pet": [0, 1]}},
        **{"pet": {"pet": [0]}, "names": {"bird": [2], "airplane": [0, 1]}},
        **{"far": {"cat": 0, "dog": 3}, "nothing": {}, "negative": {"cat": -1}},
        **{"index": {"cat": 0, "dog": 1}},
    }
    Path("data").mkdir()
    for name, content in files.items():
        Path("data", f"{name}.json").write_text(json.dumps(content))
    Path("data/map.csv").write_text("name,class")
    return tmp_path / "data"


COARSE = f"""
    datasets.coarse: {{classes: 1, source: {FOLDERS}, preprocessing: {{side: 32}}}}
    perturbations.none.datasets: [colours, coarse]
    datasets.coarse.class_map: """
MORE = f"""
    datasets.more: {{source: {FOLDERS}}}
    perturbations.none.datasets: [colours, more]
"""
TIMM = """
    architectures.vit.arguments: ~
    datasets.colours.classes: 1000
    models.a: {architecture: vit, pretraining: some}
    models.a.weights: {timm: vit_base_patch16_224.augreg_in1k}
"""
KNOWN = {
    ENSEMBLE + "    perturbations.attack_ensemble.targets: 9": (
        "perturbations.attack_ensemble.targets: 9, but models.a has 3 classes; allowed: at most 2"
    ),
    STANDARD
    + """
    perturbations.attack_ensemble.steps: 100
    perturbations.attack_ensemble.queries: 10""": (
        "perturbations.attack_ensemble.steps: 100; allowed beside `standard: true`: none, it is "
        "100\nperturbations.attack_ensemble.queries: 10; allowed beside `standard: true`: none, "
        "it is 5000"
    ),
    ENSEMBLE.replace("attack_ensemble", "attack_ensemble_l2")
    + "    perturbations.attack_ensemble_l2.targets: 9": (
        "perturbations.attack_ensemble_l2.targets: 9, but models.a has 3 classes; allowed: at "
        "most 2"
    ),
    # Of 32 px: sqrt(3) * 32 is 55.4.
    _lengths("[55.5]"): (
        "perturbations.attack_ensemble_l2.epsilons: 55.5; allowed: at most 55.4, the length of the "
        "largest change of an image of 32 px with pixels in [0, 1], not in gray levels"
    ),
    _lengths("[0.5, 1000000000]"): "attack_ensemble_l2.epsilons: 1000000000; allowed: at most 55",
    _lengths("[0.000001]"): (
        "perturbations.attack_ensemble_l2.epsilons: 0.000001; allowed: 0, or 1/255 or more"
    ),
    _lengths("[.nan]"): (
        "perturbations.attack_ensemble_l2.epsilons.0: nan is not allowed. The largest Euclidean "
        "length of an image's change: a number of 0 or more or a fraction, such as 0.5"
    ),
    COARSE + "beyond.json": (
        "datasets.coarse.class_map: data/beyond.json: class map: class 7 is a member, but the "
        "model has 3"
    ),
    COARSE + "number.json": (
        "datasets.coarse.class_map: class map data/number.json: 'pet' is 0; expected a list"
    ),
    COARSE + "two.json\n    datasets.coarse.classes: 2": (
        "datasets.coarse.classes: 2, but its class map has 1"
    ),
    COARSE + "pet.json\n    datasets.coarse.source.accepted_labels: real.json": (
        "datasets.coarse.source.accepted_labels: not allowed beside `class_map`"
    ),
    COARSE + "pet.json\n    datasets.coarse.source.class_index: map.csv": (
        "datasets.coarse.source.class_index: data/map.csv: is not JSON"
    ),
    MORE + "    datasets.more.source.class_index: far.json": (
        "datasets.more.source.class_index: 4, but models.a has 3 classes"
    ),
    MORE + "    datasets.more.source.class_index: nothing.json": (
        "datasets.more.source.class_index: data/nothing.json: allowed: a JSON object of names"
    ),
    MORE + "    datasets.more.source.class_index: negative.json": (
        "datasets.more.source.class_index: data/negative.json: cat is -1; allowed: 0 to 32767"
    ),
    MORE + "    datasets.more.classes: 3\n"
    "    datasets.more.source: {layout: webdataset, path: '*.tar', columns: {image: jpg}}": (
        "datasets.more.source.columns.image: only with `layout: parquet, labelled_files`, not "
        "webdataset"
    ),
    MORE + "    datasets.more.classes: 4": "datasets.more.classes: 4, but models.a has 3 classes",
    TIMM + "    datasets.colours.classes: 1001": (
        "datasets.colours.classes: 1001, but models.a has 1000"
    ),
    "architectures.vit.arguments.num_heads: 3": (
        "architectures.vit.arguments: num_heads is 3; allowed: a divisor of embed_dim 16"
    ),
    "architectures.vit.arguments.depth: 0": (
        "architectures.vit.arguments: depth is 0; allowed: positive numbers"
    ),
    "datasets.colours.preprocessing.side: 8\n"
    "perturbations.corruptions: {datasets: [colours], severities: [1]}": (
        "datasets.colours.preprocessing.side: 8; allowed: 16 or more"
    ),
    "perturbations.spatial: {datasets: [colours], rotations: 3, translations: 3}": (
        "perturbations.spatial.samples: 50 is more than the 27 points of the grid"
    ),
}


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(("change", "expected"), KNOWN.items())
def test_what_is_known_beforehand_is_refused_beforehand(change: str, expected: str) -> None:
    load_config(OWN)
    assert expected in refusal(_own_study(change))


# --- AlexNet's errors ---

IMAGENET_INDEX = str(Path(__file__).parent.parent / "resources" / "imagenet_classes.json")
STORED = """
    datasets.colours.classes: 1000
    datasets.c: {role: corrupted, classes: 1000, preprocessing: as_is}
    datasets.c.source: {layout: corruptions, path: c}
    perturbations.stored_corruptions: {datasets: [c], denominators: alexnet}
    perturbations.stored_corruptions.severities: [1, 2, 3, 4, 5]
"""
PUBLISHED = STORED + "    datasets.c.published: imagenet-c\n    datasets.c.classes: ~\n"
OF_TEN = "    datasets.colours.classes: 10\n"
# In place of a number, only a published name says which classes the clean set has.
NAMED = """
    datasets.colours.source: {layout: labelled_files, path: val, labels: labels.txt}
    datasets.colours.published: imagenet
    datasets.colours.classes: ~
"""
MADE = """
    datasets.colours.classes: 1000
    datasets.colours.preprocessing.side: 224
    perturbations.corruptions: {datasets: [colours], denominators: alexnet, jpeg: true}
    perturbations.corruptions.severities: [1, 2, 3, 4, 5]
"""
OF_REFERENCE = STORED + OF_TEN + "    datasets.c.classes: 10\n"
OF_REFERENCE += "    perturbations.stored_corruptions.denominators: reference\n"
ALEXNET = {
    STORED + OF_TEN + "    datasets.c.classes: 10": [
        "perturbations.stored_corruptions.denominators: alexnet, but datasets.colours has 10 ",
        "datasets.c has 10 classes; allowed: ImageNet's 1000",
        "`denominators: reference`",
    ],
    PUBLISHED + OF_TEN: ["alexnet, but datasets.colours has 10 classes"],
    STORED + "    datasets.colours.classes: ~\n    datasets.c.classes: ~": [
        "datasets.colours does not say how many `classes` it has"
    ],
    PUBLISHED + "    datasets.c.classes: 10": ["alexnet, but datasets.c has 10 classes"],
    STORED + "    datasets.c.preprocessing: {side: 224}": [
        "datasets.c.preprocessing resizes what is stored; allowed: as_is"
    ],
    STORED + "    perturbations.stored_corruptions.severities: [1, 3]": [
        "perturbations.stored_corruptions.severities: 1, 3; `denominators: alexnet` needs all five"
    ],
    MADE + OF_TEN: [
        "perturbations.corruptions.denominators: alexnet, but datasets.colours has 10 classes"
    ],
    MADE + "    perturbations.corruptions.jpeg: false": [
        "perturbations.corruptions.denominators: alexnet needs `jpeg`"
    ],
    MADE + "    datasets.colours.preprocessing.side: 384": [
        "perturbations.corruptions.denominators: alexnet needs `jpeg` and",
        "side of 224",
    ],
}


@pytest.mark.parametrize(("change", "expected"), ALEXNET.items())
def test_alexnets_errors_divide_those_on_imagenet_alone(change: str, expected: list[str]) -> None:
    said = refusal(_own_study(change))
    for fragment in expected:
        assert fragment in said


def _with_reference(raw: dict[str, Any]) -> dict[str, Any]:
    raw["models"]["reference"] = {**raw["models"]["a"], "role": "reference"}
    return raw


@pytest.mark.parametrize(
    "raw",
    [
        _own_study(STORED),
        _own_study(TIMM, STORED, NAMED, "datasets.c.published: imagenet-c"),
        _own_study(
            STORED, f"datasets.c.classes: ~\ndatasets.c.source.class_index: {IMAGENET_INDEX}"
        ),
        _own_study(MADE),
        _with_reference(_own_study(OF_REFERENCE)),
    ],
    ids=["by number", "by name", "by index", "made", "one's own reference"],
)
def test_denominators_that_fit_are_taken(raw: dict[str, Any]) -> None:
    load_config(raw)


def test_files_of_another_side_are_refused_before_they_are_evaluated(tmp_path: Path) -> None:
    config = load_config(_own_study(STORED))
    assert sources.decoded(config, "c/fog-3")["side"] == 224
    assert "side" not in sources.decoded(config, "colours")
    own = load_config(_with_reference(_own_study(OF_REFERENCE)))
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
    raw = _own_study(STORED, "perturbations.stored_corruptions.corruptions: [snow, fog]")
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


def test_folders_are_the_coarser_classes_of_a_map_by_name(data: Path) -> None:
    raw = _own_study(COARSE + "names.json\n    datasets.coarse.source.path: coarse")
    for name in ("airplane", "bird"):
        file = data / "coarse" / name / "0.png"
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
    raw = _own_study()
    raw["datasets"]["more"] = {"source": {**FOLDERS, "path": "more"}, "preprocessing": {"side": 32}}
    raw["perturbations"]["none"]["datasets"].append("more")
    config = load_config(raw)
    manifest = "results/decoded/colours/manifest.parquet"
    assert sources.clean_manifest(config, "more") == [manifest]
    is_filter = {"dataset": "more", "wrong_by": "a"}
    made = replace(config.datasets["colours"], source=None, filter=is_filter)
    config = replace(config, datasets={**config.datasets, "colours": made})
    assert sources.clean_manifest(config, "more") == []


def test_json_with_a_byte_order_mark_is_read(data: Path) -> None:
    raw = _own_study(MORE + "    datasets.more.source.class_index: index.json")
    index = data / "index.json"
    index.write_text(index.read_text(), encoding="utf-8-sig")
    load_config(raw)
    assert read_class_index(index) == {"cat": 0, "dog": 1}
