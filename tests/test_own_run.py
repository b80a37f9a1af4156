"""`perturb evaluate` to the page: two checkpoints on a folder, then a third by another call.

The study is `config/own.yaml`, as the documentation shows it, on made images and weights.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from perturb.files import sha256_of
from perturb.models.zoo import build_timm_network
from tests.image_files import encoded, picture
from tests.workspace import ROOT, environment, planned_jobs

pytestmark = pytest.mark.slow

SIDE = 32
NUM_IMAGES = 8


def _evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perturb", "evaluate", *arguments],
        cwd=folder,
        env=environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def _weights(architecture: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build_timm_network(architecture, 2, SIDE).state_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the study of `config/own.yaml`, its images and its checkpoints."""
    folder = tmp_path_factory.mktemp("own")
    study: dict[str, Any] = yaml.safe_load((ROOT / "config" / "own.yaml").read_text())
    data = folder / study["data"]
    for place in range(NUM_IMAGES):
        path = data / "photos" / "val" / ("cat", "dog")[place % 2] / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(place), "PNG"))
    resnet, vit = study["models"].values()
    torch.save(_weights(resnet["architecture"]), data / resnet["weights"]["file"])
    # As a training script wraps it.
    wrapped = {f"model.{name}": value for name, value in _weights(vit["architecture"]).items()}
    torch.save({"state_dict": wrapped, "epoch": 3}, data / vit["weights"]["file"])
    for model in (resnet, vit):
        model["weights"]["sha256"] = sha256_of(data / model["weights"]["file"])
        model["preprocessing"]["side"] = SIDE
    study["datasets"]["photos"]["images"] = NUM_IMAGES
    for entry in study["perturbations"].values():
        entry.update({"images": 4} if "images" in entry else {})
    study["perturbations"]["corruptions"]["severities"] = [3]
    study["perturbations"]["spatial"] |= {"rotations": 3, "translations": 1, "samples": 2}
    study["jobs_by"] = "model"
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder


def test_two_checkpoints_on_a_folder_end_with_a_page_and_a_third_costs_itself(
    folder: Path,
) -> None:
    done = _evaluate(folder, "--cores", "2")
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.splitlines()[-1].removeprefix("The report: "))
    assert page.is_file()
    assert "resnet" in page.read_text(encoding="utf-8")
    assert not _planned(folder)
    study = yaml.safe_load((folder / "study.yaml").read_text())
    file = study["models"]["resnet"]["weights"]["file"]
    (folder / "third.pt").write_bytes((folder / study["data"] / file).read_bytes())
    third = str(folder / "third.pt")
    jobs = _planned(folder, third, "--architecture", "resnet18", "--side", str(SIDE))
    assert (jobs["import_checkpoint"], jobs["decode_dataset"]) == (1, 1)
    assert "describe_study" in jobs
    extended = yaml.safe_load((folder / "study.yaml").read_text())
    assert set(extended["models"]) == {"resnet", "vit", "third"}


def _planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Return the numbers of jobs that a call would start."""
    done = _evaluate(folder, *arguments, "-n")
    assert done.returncode == 0, done.stderr
    return planned_jobs(done.stdout + done.stderr)
