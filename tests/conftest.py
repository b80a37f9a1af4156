"""Fixtures shared by the tests: the default configuration, and the smallest study there is."""

import copy
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

ROOT = Path(__file__).parent.parent

# Tests run side by side, one a core, and results must not depend on threads anyway.
torch.set_num_threads(1)
# A shell that starts the tests in the background has them ignore Ctrl-C, and their children too:
# the runs that are stopped by it in tests are to hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def default_config() -> dict[str, Any]:
    """Return config.yaml as Snakemake parses it."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    return config


TINY_STUDY: dict[str, Any] = {
    "datasets": {
        "test": {"role": "clean", "generate": {"set": "target", "split": "test"}, "images": 24},
        "second": {"generate": {"set": "renditions", "split": "test"}, "images": 10},
        "fit": {"role": "train", "generate": {"set": "target", "split": "train"}, "images": 48},
        "watch": {
            "role": "train",
            "generate": {"set": "target", "split": "validation"},
            "images": 24,
        },
    },
    "pretraining": {"small": {"dataset": "fit", "samples": 128}},
    "training": {"dataset": "fit", "validation": "watch", "samples": 128},
    "architectures": {
        "vit": {
            "family": "vit",
            "size": "S",
            "patch_size": 16,
            "arguments": {"embed_dim": 16, "depth": 1, "num_heads": 1, "mlp_ratio": 1},
        },
        "resnet": {
            "family": "resnet",
            "size": "S",
            "arguments": {
                "layers": [1, 1],
                "channels": [16, 16],
                "num_groups": 4,
                "stem_channels": 8,
            },
        },
    },
    "models": {
        "a": {"architecture": "vit", "pretraining": "small", "weights": "trained"},
        "b": {"architecture": "resnet", "pretraining": "small", "weights": "trained"},
        "reference": {"architecture": "resnet", "role": "reference", "weights": "trained"},
    },
    "perturbations": {
        "none": {"datasets": ["test"]},
        "corruptions": {
            "datasets": ["test"],
            "severities": [1, 2],
            "corruptions": ["brightness", "contrast"],
        },
    },
}


@pytest.fixture
def tiny_study() -> dict[str, Any]:
    """Return a fresh copy of the smallest study with both families and a reference."""
    return copy.deepcopy(TINY_STUDY)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the whole runs first: nothing else could fill the cores while the last of them runs."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
