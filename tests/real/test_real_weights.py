"""`perturb evaluate` on weights and photographs that others published, beside plain torch.

A user's steps: a file for one network, an edit of it, the run, then a call that adds two networks.
"""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import perturb
from perturb.models.torch_files import read_torch
from perturb.models.weights_files import load_weights_file
from perturb.models.zoo import build_timm_network
from tests.real.plain import VIEWS, plain
from tests.real.prepare import (
    AROUND,
    BLOCK,
    DEPTHS,
    FIRST,
    photographs,
    published,
    renamed,
    timm_name,
    write_photographs,
    write_weights,
)
from tests.workspace import ROOT, environment, planned_jobs

NUMBERS = list(DEPTHS)
#: As measured by others with these weights: photographs with the right class first, and among five.
TOP1, TOP5 = {0: 18, 1: 18, 2: 18}, {0: 19, 1: 20, 2: 20}
#: Right of the 380 corrupted photographs, and of the 20 attacked ones, where this was written.
CORRUPTED, ATTACKED = {0: 202, 1: 228, 2: 223}, {0: 1, 1: 0, 2: 2}
SHA256 = {0: "57934424", 1: "77cc7160", 2: "9656183e"}
NUM_TENSORS = {0: 296, 1: 386, 2: 386}
SEVERITY = 3
FIRST_CALL = ["lite0.pth", "photos", "--architecture", "tf_efficientnet_lite0"]
FIRST_CALL += ["--experiments", "corruptions,pgd"]
SECOND_CALL = ["lite1.pth", "lite2.pth"]
SECOND_CALL += [
    "--architecture",
    "tf_efficientnet_lite1",
    "--architecture",
    "tf_efficientnet_lite2",
]


def _perturb(folder: Path, command: str, *words: str) -> str:
    """Run a command in the user's folder to its end; return what it says."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "perturb", command, *words],
        cwd=folder,
        env=environment() | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    line = f"$ perturb {' '.join([command, *words])}\n({time.monotonic() - started:.0f} s)\n"
    with (folder / "transcript.txt").open("a") as file:
        file.write(line + done.stderr + done.stdout)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photographs, weights and the study of the first network."""
    folder = tmp_path_factory.mktemp("user")
    write_photographs(folder / "photos")
    assert len(list(write_weights(folder))) == len(NUMBERS)
    _perturb(folder, "init", *FIRST_CALL)
    study = folder / "study.yaml"
    text = study.read_text()
    edited = text.replace(
        "corruptions: {images: 20}", f"corruptions: {{images: 20, severities: [{SEVERITY}]}}"
    )
    assert edited != text
    study.write_text(edited)
    _perturb(folder, "evaluate")
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> Path:
    """Return the folder after the call that adds two networks."""
    planned = planned_jobs(_perturb(folder, "evaluate", *SECOND_CALL, "-n"))
    # Nothing of the first network is done again.
    assert (planned["import_checkpoint"], planned["decode_dataset"]) == (2, 2)
    _perturb(folder, "evaluate", *SECOND_CALL)
    sys.stdout.write((folder / "transcript.txt").read_text())
    return folder


def _rows(folder: Path, number: int, perturbation: str) -> pd.DataFrame:
    """Return the predictions of a network under a perturbation, in foolbox's order."""
    place = folder / "results" / "study" / "shards" / f"lite{number}" / "photos" / perturbation
    rows = pd.concat(pd.read_parquet(file) for file in sorted(place.glob("*.parquet")))
    order = {path.name: i for i, (path, _) in enumerate(photographs())}
    places = rows["image_id"].map(lambda id: order[Path(id).name])
    return rows.assign(place=places).sort_values(["condition", "place"], kind="stable")


def _assert_as_plain(rows: pd.DataFrame, logits: Tensor, targets: Tensor) -> None:
    loss = nn.functional.cross_entropy(logits, targets, reduction="none")
    assert rows["target"].tolist() == targets.tolist()
    assert rows["prediction"].tolist() == logits.argmax(dim=1).tolist()
    assert np.allclose(rows["loss"], loss, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------- the weights


@pytest.mark.parametrize("number", NUMBERS)
def test_every_tensor_of_the_package_is_one_of_timms(number: int, tmp_path: Path) -> None:
    path = published(number)
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(SHA256[number])
    network = build_timm_network(f"tf_efficientnet_lite{number}", 1000, VIEWS[number][0])
    state, expected = read_torch(path), network.state_dict()
    names = {name: timm_name(name, DEPTHS[number]) for name in state}
    assert len(state) == len(set(names.values())) == NUM_TENSORS[number]
    assert {names[name]: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in expected.items()
    }
    modules = {name.rpartition(".")[0].rpartition(".")[2] for name in state}
    assert modules == {*AROUND, *BLOCK, *FIRST}
    torch.save(renamed(state, number), tmp_path / "weights.pth")
    load_weights_file(network, tmp_path / "weights.pth")
    loaded = network.state_dict()
    assert all(torch.equal(loaded[names[name]], tensor) for name, tensor in state.items())


def test_the_packages_own_names_are_refused() -> None:
    network = build_timm_network("tf_efficientnet_lite0", 1000, 224)
    with pytest.raises(ValueError, match=r"conv_stem|missing"):
        load_weights_file(network, published(0))


def test_the_same_tensors_fit_a_network_of_other_padding_and_lose() -> None:
    other = plain(0, "efficientnet_lite")
    num_correct = (other.logits(other.images).argmax(dim=1) == other.targets).sum()
    assert num_correct == 14


# ---------------------------------------------------------------------------------------- the runs


@pytest.mark.parametrize("number", NUMBERS)
def test_clean_accuracy_is_the_published_networks(number: int, finished: Path) -> None:
    rows, network = _rows(finished, number, "none"), plain(number)
    assert (rows["is_correct"].sum(), rows["is_top5"].sum()) == (TOP1[number], TOP5[number])
    _assert_as_plain(rows, network.logits(network.images), network.targets)


@pytest.mark.parametrize("number", NUMBERS)
def test_corrupted_images_are_predicted_as_by_plain_torch(number: int, finished: Path) -> None:
    rows, network = _rows(finished, number, "corruptions_jpeg85"), plain(number)
    assert (len(rows), set(rows["severity"])) == (19 * 20, {SEVERITY})
    names = sorted(set(rows["condition"]))
    # A third of them with each network: all of them with the three.
    for name in names[number::3]:
        ours = rows[rows["condition"] == name]
        images = perturb.corrupt(
            network.images, name, SEVERITY, ours["image_id"].tolist(), jpeg_quality=85
        )
        _assert_as_plain(ours, network.logits(images), network.targets)
    # Another processor may turn the last bits, and with them an image in a hundred.
    assert abs(rows["is_correct"].sum() - CORRUPTED[number]) <= 4


@pytest.mark.parametrize("number", NUMBERS)
def test_pgd_leaves_what_foolboxs_leaves(number: int, finished: Path) -> None:
    rows, network = _rows(finished, number, "pgd"), plain(number)
    assert set(rows["severity"]) == {1 / 255}
    assert rows["distance"].max() <= np.float32(1 / 255)
    # Images that are misclassified before are not attacked.
    stood = (network.logits(network.images).argmax(dim=1) == network.targets).numpy()
    theirs = network.attacked(1 / 255).argmax(dim=1)
    assert not rows["is_correct"].to_numpy()[~stood].any()
    right = (theirs == network.targets).numpy()[stood]
    assert rows["is_correct"].to_numpy()[stood].tolist() == right.tolist()
    assert abs(rows["is_correct"].sum() - ATTACKED[number]) <= 1
