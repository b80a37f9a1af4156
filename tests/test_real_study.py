"""Real datasets and pretrained weights, through the whole workflow: archives, conventions."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.imagenet_like import data_sets, write_data
from perturb.files import sha256_of
from perturb.models.architectures import build_network
from tests.workspace import ROOT, Workspace, fresh_clone, planned_jobs

pytestmark = pytest.mark.slow

VIT = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}
RESNET = {"layers": [1, 2], "channels": [16, 32], "num_groups": 4, "stem_channels": 16}
SIDES = {"vit-a": 64, "resnet-a": 48}
# Charts and page of any study are alike: test_smoke.py makes them.
_TO_TABLES = ("--until", "make_tables")


def _study(folder: Path) -> dict[str, Any]:
    """Return a study of two given networks, which see images in views of their own."""
    torch.manual_seed(0)
    vit = build_network("vit", VIT | {"patch_size": 16}, 1000, SIDES["vit-a"])
    save_file(vit.state_dict(), folder / "data/vit.safetensors")
    resnet = build_network("resnet", RESNET, 1000, SIDES["resnet-a"])
    torch.save({"state_dict": resnet.state_dict()}, folder / "data/resnet.pth")
    files = {"vit-a": "vit.safetensors", "resnet-a": "resnet.pth"}
    views = {
        "vit-a": {"side": SIDES["vit-a"], "mode": "squash"},
        "resnet-a": {"side": SIDES["resnet-a"], "mode": "crop", "crop": 0.875},
    }
    return {
        "title": "Given networks",
        "jobs_by": "model",
        "epsilon": "1/255",
        "datasets": data_sets(),
        "pretraining": {"some": {"label": "Some", "images": 1000, "paper": "ImageNet-21k"}},
        "architectures": {
            "vit": {
                **{"family": "vit", "size": "B", "patch_size": 16, "label": "ViT-B/16"},
                "arguments": VIT,
            },
            "resnet": {"family": "resnet", "size": "50x1", "arguments": RESNET},
        },
        "models": {
            id: {
                "architecture": id.partition("-")[0],
                "pretraining": "some",
                "weights": {"file": file, "sha256": sha256_of(folder / "data" / file)},
                "preprocessing": views[id],
            }
            for id, file in files.items()
        },
        "perturbations": {
            "none": {
                "datasets": [
                    *("imagenet", "imagenet-r", "imagenet-a", "cue-conflict", "imagenet-64")
                ]
            },
            "class_subset": {"datasets": ["imagenet-r", "imagenet-a"]},
            "stored_corruptions": {
                **{"datasets": ["imagenet-c"], "severities": [1, 2, 3, 4, 5]},
                "corruptions": ["fog"],
            },
            "pgd": {"datasets": ["imagenet"], "images": 8, "epsilons": ["1/255"], "steps": 2},
            "transfer": {"datasets": ["imagenet-64"], "images": 8, "epsilons": ["1/255"]},
        },
        "analyses": {
            "perturbation_patterns": {
                "dataset": "imagenet-64",
                "images": 8,
                "epsilon": "1/255",
                "shown": 1,
            },
            "layer_correlations": {"dataset": "imagenet", "images": 8},
        },
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return the workspace of a finished study."""
    folder = tmp_path_factory.mktemp("real")
    clone = fresh_clone(folder)
    write_data(folder / "data", ROOT, classes=20, per_class=1)
    clone.configure(_study(folder))
    clone.told(*_TO_TABLES)
    return clone


def _table(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    return pq.read_table(workspace.folder / f"results/tables/{name}.parquet").to_pylist()


def test_each_model_sees_its_own_view(finished: Workspace) -> None:
    stores = finished.folder / "results/decoded/imagenet"
    assert {path.name for path in stores.iterdir()} == {
        "64-squash-bilinear",
        "48-crop0.875-bilinear",
    }
    assert (finished.folder / "results/decoded/cue-conflict/images.npy").exists()


def test_subsets_stand_beside_all_classes(finished: Workspace) -> None:
    rows = _table(finished, "class_subsets")
    assert {row["dataset"] for row in rows} == {"imagenet-r", "imagenet-a"}
    assert {row["num_images"] for row in rows} == {20}
    for row in rows:
        assert row["top1_subset"] >= row["top1_all_classes"]


def test_stored_corruptions_are_named_so(finished: Workspace) -> None:
    labels = {row["test_set"]: row["test_set_label"] for row in _table(finished, "accuracy")}
    assert labels["corruptions"] == "Corruptions (stored)"
    of_corruptions = [r for r in _table(finished, "accuracy") if r["test_set"] == "corruptions"]
    assert {row["num_images"] for row in of_corruptions} == {20}


def test_conflicts_are_decided_among_sixteen_classes(finished: Workspace) -> None:
    assert {row["num_images"] for row in _table(finished, "shape_bias")} == {12}


def test_the_papers_values_stand_beside_ours(finished: Workspace) -> None:
    rows = _table(finished, "paper_comparison")
    assert {row["architecture_label"] for row in rows} == {"ViT-B/16", "ResNet-50x1"}


def test_nothing_is_left_to_do(finished: Workspace) -> None:
    assert planned_jobs(finished.told("--dry-run", *_TO_TABLES)) == {}
