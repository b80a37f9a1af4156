"""The study that `perturb evaluate` and `perturb init` mean by their words."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from perturb.__main__ import main
from perturb.config import load_config
from perturb.cost.rates import Machine
from perturb.cost.study import work_of
from perturb.messages import ConfigError
from perturb.own import asked_experiments, budget, study_file
from perturb.own.asked_data import dataset_of
from perturb.own.asked_models import View, entries_of, is_model
from tests.image_files import encoded, picture

RESNET = "--architecture=resnet18"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory: photos of two classes, and two files."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat/0", "cat/1", "dog/0", "dog/1"):
        path = Path("photos/val", f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(0)))
    for name in ("best.pt", "last.pt"):
        Path(name).write_bytes(name.encode())
    return tmp_path


def _written(*words: str, study: str = "study.yaml") -> dict[str, Any]:
    assert main(["init", *words]) == 0
    content: dict[str, Any] = yaml.safe_load(Path(study).read_text())
    return content


def _refused(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["init", *words]) == 1
    return capsys.readouterr().err.splitlines()


# ------------------------------------------------------------------------------------------ models


def test_models_are_tags_files_and_functions(folder: Path) -> None:
    del folder
    view = View(side=64, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    words = ["resnet18.a1_in1k", "resnet50", "mine=best.pt", "last.pt", "my.models:make"]
    found = entries_of(words, ["vit_tiny_patch16_224"], view)
    assert list(found) == ["resnet18.a1_in1k", "resnet50", "mine", "last", "make"]
    assert found["resnet18.a1_in1k"] == {"weights": {"timm": "resnet18.a1_in1k"}}
    assert found["resnet50"]["weights"]["timm"].startswith("resnet50.")
    assert found["mine"]["architecture"] == "vit_tiny_patch16_224"
    assert found["mine"]["preprocessing"] == {
        **{"side": 64, "mode": "crop", "crop": 0.9, "interpolation": "bicubic"},
        **{"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
    }
    assert found["mine"]["weights"]["sha256"] != found["last"]["weights"]["sha256"]
    assert found["make"]["weights"] == {"factory": "my.models:make"}


def test_each_file_may_have_an_architecture_of_its_own(folder: Path) -> None:
    del folder
    found = entries_of(["best.pt", "resnet50", "last.pt"], ["resnet18", "resnet34"], View())
    assert found["best"]["architecture"] == "resnet18"
    assert found["last"]["architecture"] == "resnet34"


def test_every_word_that_is_no_model_is_named(folder: Path) -> None:
    del folder
    words = ["resnet_18", "bets.pt", "best.pt", "best.pt", "my:make"]
    with pytest.raises(ConfigError) as caught:
        entries_of(words, ["resnet18", "resnet18", "resnet_34"], View())
    said = str(caught.value)
    for fragment in (
        "--architecture: 3 names for 2 files of weights",
        "--architecture: 'resnet_34' is no network of timm. Did you mean `resnet34`?",
        "resnet_18: no model",
        "Did you mean `resnet18`?",
        "bets.pt: there is no such file. Did you mean `best.pt`?",
        "best.pt: the model 'best' stands twice",
        "my:make: --side, --mean, --std: missing",
    ):
        assert fragment in said


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *(("resnet18", True), ("best.pt", True), ("a.b:make", True), ("x=best.pt", True)),
        *(("photos/val", False), ("imagenet-v2", False), ("photos.zip", False)),
    ],
)
def test_a_word_that_can_only_be_a_model(word: str, expected: bool, folder: Path) -> None:
    del folder
    assert is_model(word) == expected


# -------------------------------------------------------------------------------------------- data


def test_data_is_a_folder_of_classes_an_archive_or_parquet(folder: Path) -> None:
    id, entry = dataset_of("photos/val", None)
    assert (id, entry["images"], entry["classes"]) == ("photos-val", 4, 2)
    assert entry["source"] == {"path": "photos/val", "layout": "class_folders"}
    with zipfile.ZipFile("photos.zip", "w") as archive:
        for file in sorted(Path("photos/val").rglob("*.png")):
            archive.write(file, file.relative_to("photos/val"))
    assert dataset_of("photos.zip", None)[1]["images"] == 4
    Path("table").mkdir()
    image = {"bytes": encoded(picture(0)), "path": "0.png"}
    pq.write_table(pa.table({"image": [image], "label": [0]}), "table/0.parquet")
    id, entry = dataset_of("table", None)
    assert (id, entry["source"]["path"]) == ("table", "table/*.parquet")
    assert dataset_of("table/0.parquet", None)[1]["source"]["layout"] == "parquet"
    # Only in a folder of its own a split says nothing.
    assert dataset_of(str(folder / "photos" / "val"), None)[0] == "photos-val"


def test_imagenets_folders_have_imagenets_classes(folder: Path) -> None:
    del folder
    for name in ("n01440764", "n01443537"):
        path = Path("synsets", name, "0.png")
        path.parent.mkdir(parents=True)
        path.write_bytes(encoded(picture(0)))
    _, entry = dataset_of("synsets", None)
    assert entry["source"]["class_index"] == "resources/imagenet_classes.json"
    assert "classes" not in entry
    id, entry = dataset_of("imagenet-v2", None)
    assert (id, entry["role"], entry["source"]["download"]) == ("imagenet-v2", "clean", id)


def test_data_that_cannot_be_read_is_refused(folder: Path) -> None:
    del folder
    for name in ("0", "1", "10"):
        Path("numbers", name).mkdir(parents=True)
        Path("numbers", name, "0.png").write_bytes(encoded(picture(0)))
    for word, fragment in {
        "photos": "its folders are splits, not classes; allowed: photos/val",
        "photoz": "there is no such file or folder; allowed beside paths: imagenet-r",
        "best.pt": "no images; allowed: a folder of class folders",
        "numbers": "(--classes gives it)",
    }.items():
        with pytest.raises(ConfigError) as caught:
            dataset_of(word, None)
        assert fragment in str(caught.value)


# ------------------------------------------------------------------------------------- experiments


def test_experiments_are_perturbations_measurements_or_whole_folders() -> None:
    found = asked_experiments.entries_of(["attacks", "lesions", "layer_correlations"])
    attacks = ["fgsm", "pgd", "attack_ensemble", "attack_ensemble_l2"]
    assert list(found["perturbations"]) == [*attacks, "lesions"]
    # The study's epsilon is no length.
    assert found["perturbations"]["attack_ensemble_l2"]["epsilons"] == [0.5]
    assert list(found["analyses"]) == ["layer_correlations"]
    with pytest.raises(ConfigError, match=r"'corruption' is no experiment\. Did you mean"):
        asked_experiments.entries_of(["corruption"])


# -------------------------------------------------------------------------------------------- file


def test_the_file_is_a_whole_study_that_says_what_it_assumes(folder: Path) -> None:
    del folder
    content = _written("best.pt", "photos/val", RESNET, "--images=3")
    config = load_config(content)
    assert config.models["best"].architecture.timm == "resnet18"
    assert set(content["perturbations"]) == {"none", *asked_experiments.USUAL}
    assert config.perturbations["fgsm"].num_images == 3
    text = Path("study.yaml").read_text()
    Path("study.yaml").unlink()
    # Layers of this network cannot be removed.
    content = _written("best.pt", "photos/val", "--architecture=densenet121", "--images=3")
    assert "lesions" not in content["perturbations"]
    assert text.startswith("# A study of one's own models.")
    assert max(map(len, text.splitlines())) <= 100


def test_a_second_call_extends_the_study_and_keeps_what_its_author_wrote(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    _written("best.pt", "photos/val", RESNET, "--experiments=corruptions")
    edited = Path("study.yaml").read_text().replace("  best:\n", "  # mine\n  best:  # of May\n")
    Path("study.yaml").write_text(edited + "seed: 7\n")
    capsys.readouterr()
    content = _written("last.pt", RESNET, "--experiments=pgd")
    assert list(content["models"]) == ["best", "last"]
    assert list(content["perturbations"]) == ["none", "corruptions", "pgd"]
    assert content["seed"] == 7
    assert "  # mine\n  best:  # of May\n" in Path("study.yaml").read_text()
    changes = [line for line in capsys.readouterr().err.splitlines() if ": added" in line]
    assert changes == ["models.last: added", "perturbations.pgd: added"]
    before = Path("study.yaml").read_text()
    _written()
    assert Path("study.yaml").read_text() == before


def test_a_file_of_weights_that_changed_is_another_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    old = _written("best.pt", "photos/val", RESNET)["models"]["best"]["weights"]["sha256"]
    Path("best.pt").write_bytes(b"trained further")
    assert _written("best.pt", RESNET)["models"]["best"]["weights"]["sha256"] != old
    assert "models.best: changed" in capsys.readouterr().err


def test_all_mistakes_are_named_at_once_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    said = _refused(capsys, "best.pt", "resnet_18", "photoz", "--experiments=pgd,sound")
    assert [line.partition(":")[0] for line in said] == [
        *("photoz", "best.pt", "resnet_18", "--experiments", "--experiments"),
    ]
    # The folder is called photos, and what is allowed stands there once.
    assert said[0].endswith("Did you mean `photos`?")
    assert said[3] == "--experiments: 'sound' is no experiment."
    assert said[4].startswith("--experiments: allowed: corruptions, attacks, fgsm, pgd,")
    assert not Path("study.yaml").exists()
    assert [line.partition(":")[0] for line in _refused(capsys)] == ["MODEL", "DATA"]
    many = _refused(capsys, "best.pt", "photos/val", RESNET, "--images=5")
    assert many == ["--images: 5 is more than the 4 of 'photos-val'"]
    assert not Path("study.yaml").exists()


def test_imagenets_models_need_to_be_told_of_other_classes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    (said,) = _refused(capsys, "resnet18", "photos/val")
    assert "the mapping of its classes to the 1000 classes" in said
    assert "which --classes gives" in said
    Path("classes.json").write_text(json.dumps({"cat": 281, "dog": 207}))
    content = _written("resnet18", "photos/val", "--classes=classes.json")
    assert content["datasets"]["photos-val"]["source"]["class_index"] == "classes.json"


# ------------------------------------------------------------------------------------------ budget


def test_experiments_share_a_time_and_what_some_do_not_need_goes_to_others() -> None:
    costs = {"spatial": 1.0, "pgd": 0.1, "fgsm": 0.01}
    assert budget.shared(costs, 60, 100) == {"fgsm": 100, "pgd": 100, "spatial": 49}
    assert budget.shared(costs, 3, 1000) == {"fgsm": 100, "pgd": 10, "spatial": 1}
    assert budget.shared(costs, 1e6, 1000) == dict.fromkeys(costs, 1000)
    assert [budget.seconds_of(text) for text in ("90s", "1.5h", "2 d", "5m")] == [
        *(90, 5400, 172800, 300),
    ]
    for text in ("0h", "1", "h", "-1h"):
        with pytest.raises(ConfigError, match="--budget"):
            budget.seconds_of(text)


def test_a_budget_sets_the_images_that_fit(folder: Path, tiny_study: dict[str, Any]) -> None:
    del folder
    tiny_study["datasets"]["test"]["images"] = 10_000
    for key in ("fgsm", "pgd", "spatial"):
        tiny_study["perturbations"][key] = {"images": 10_000}
    tiny_study["perturbations"]["corruptions"]["images"] = 10_000
    config = load_config(tiny_study)
    machine = Machine("a machine", flops_per_s=1e9)
    for seconds in (100.0, 1000.0):
        images = budget.images_within(config, machine, seconds)
        for key, count in images.items():
            tiny_study["perturbations"][key]["images"] = count
        spent = work_of(load_config(tiny_study), machine).total.seconds
        assert 0.9 * seconds < spent <= seconds
    with pytest.raises(ConfigError, match="--budget: 1 s, but 50 images of each experiment"):
        budget.images_within(config, machine, 1)


@pytest.mark.parametrize(
    ("architecture", "is_other"), [("resnet18", False), ("tf_efficientnet_lite0", True)]
)
def test_the_estimate_says_for_which_models_no_speed_was_measured(
    architecture: str, is_other: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    _written("best.pt", "photos/val", f"--architecture={architecture}")
    said = capsys.readouterr().err
    assert "of evaluation on" in said
    assert ("For best the speed is that of ViTs and ResNets" in said) == is_other


def test_an_unreadable_study_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder
    Path("study.yaml").write_text("models: {a: 1, a: 2}\n")
    (said,) = _refused(capsys, "best.pt", "photos/val", RESNET)
    assert said.startswith("study.yaml, line 1: key `a` stands twice")
    assert study_file.read_study(Path("absent.yaml")) == {}


def test_what_an_author_edited_stays(folder: Path) -> None:
    del folder
    _written("best.pt", "photos/val", RESNET, "--experiments=corruptions", "--side=64")
    text = Path("study.yaml").read_text()
    text = text.replace("interpolation: bicubic", "interpolation: bilinear")
    Path("study.yaml").write_text(text.replace("{images: 4}", "{images: 4, severities: [3]}"))
    content = _written("best.pt", "photos/val", "--experiments=corruptions,fgsm", "--side=96")
    preprocessing = content["models"]["best"]["preprocessing"]
    assert (preprocessing["interpolation"], preprocessing["side"]) == ("bilinear", 96)
    assert content["perturbations"]["corruptions"] == {"images": 4, "severities": [3]}
    Path("photos/val").rename("more")
    Path("photos/val").symlink_to(Path("more").absolute())
    content = _written("more", "--images=2")
    assert content["datasets"]["more"]["images"] == 4
    assert "role" not in content["datasets"]["more"]
    assert content["perturbations"]["fgsm"] == {"images": 2}


def test_paths_are_those_of_the_command_line_wherever_the_data_is(folder: Path) -> None:
    Path("study.yaml").write_text("title: Mine\nresults: results/mine\ndata: photos\n")
    content = _written("best.pt", "photos/val", RESNET)
    assert content["datasets"]["photos-val"]["source"]["path"] == "val"
    assert content["models"]["best"]["weights"]["file"] == str(folder / "best.pt")
