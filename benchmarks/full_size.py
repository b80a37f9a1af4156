"""Networks of full size through the whole workflow: python -m benchmarks.full_size FOLDER.

Writes folders and archives laid out as ImageNet, -C, -R, -A and cue conflicts are, random weights
of timm's ViT-B/16 and BiT ResNet-50x1, and a study of both at 224 px, then runs it on this machine.
Its numbers mean nothing: it shows that real sizes, layouts and class counts pass.
"""

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from benchmarks.imagenet_like import data_sets, write_data
from perturb.files import sha256_of
from perturb.models.zoo import build_timm_network

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
SIDE = 224
NETWORKS = {"vit-b16": "vit_base_patch16_224", "resnet-50x1": "resnetv2_50x1_bit"}
NUM_CLASSES = 1000
SMALL = 8


def write_weights(folder: Path) -> dict[str, Path]:
    """Write random weights of each network; return the files."""
    files = {}
    for model, name in NETWORKS.items():
        torch.manual_seed(0)
        network = build_timm_network(name, NUM_CLASSES, SIDE)
        files[model] = folder / f"{model}.safetensors"
        save_file(network.state_dict(), files[model])
    return files


def study(folder: Path, weights: Mapping[str, Path]) -> dict[str, Any]:
    """Return the configuration of both networks on what `write_data` writes."""
    datasets = dict(data_sets())
    datasets["imagenet-224"] = datasets.pop("imagenet-64") | {
        "label": "ImageNet 224 px",
        "preprocessing": {"side": SIDE},
    }
    few = {"datasets": ["imagenet"], "images": SMALL}
    return {
        "title": "Networks of full size with random weights",
        "results": "results/full-size",
        "data": str(folder / "data"),
        "batch_size": 32,
        "jobs_by": "cell",
        "epsilon": "1/255",
        "datasets": datasets,
        "pretraining": {"random": {"label": "Random weights", "images": 1}},
        "architectures": {
            "vit-b16": {
                "family": "vit",
                "size": "B",
                "patch_size": 16,
                "timm": NETWORKS["vit-b16"],
            },
            "resnet-50x1": {"family": "resnet", "size": "50x1", "timm": NETWORKS["resnet-50x1"]},
        },
        "models": {
            model: {
                "architecture": model,
                "pretraining": "random",
                "weights": {"file": str(file), "sha256": sha256_of(file)},
                "preprocessing": {"side": SIDE, "mode": "crop", "crop": 0.875},
            }
            for model, file in weights.items()
        },
        "perturbations": {
            "none": {"datasets": [id for id in datasets if id != "imagenet-c"]},
            "class_subset": {"datasets": ["imagenet-r", "imagenet-a"]},
            "stored_corruptions": {
                "datasets": ["imagenet-c"],
                "severities": [1, 2, 3, 4, 5],
                "corruptions": ["fog", "contrast"],
            },
            "fgsm": few | {"epsilons": ["1/255"]},
            "pgd": few | {"epsilons": ["1/255"]},
            "transfer": {"datasets": ["imagenet-224"], "images": SMALL, "epsilons": ["1/255"]},
            "lesions": few | {"removed": [1, 2], "samples": 2},
            "restricted_attention": few | {"distances": [4], "seeds": 1},
            "patch_attention": few | {"blocks": [1]},
        },
        "analyses": {
            "perturbation_patterns": {
                "dataset": "imagenet-224",
                "images": SMALL,
                "epsilon": "1/255",
            },
            "layer_correlations": {"dataset": "imagenet", "images": SMALL},
        },
    }


def main() -> int:
    """Write everything below a folder and run the study; return Snakemake's exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--per-class", type=int, default=1)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder / "data", ROOT, classes=asked.classes, per_class=asked.per_class)
    configuration = folder / "study.yaml"
    weights = write_weights(folder)
    configuration.write_text(yaml.safe_dump(study(folder, weights), sort_keys=False))
    started = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", "--cores", str(asked.cores), "--quiet", "rules"]
    done = subprocess.run([*command, "--configfile", str(configuration)], check=False, cwd=ROOT)
    logger.info("%.0f s, exit status %d", time.perf_counter() - started, done.returncode)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
