"""A small study of two models: whole, and one model in each of two labs."""

import copy
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perturb.config import load_config
from perturb.evaluation.identity import dataset_facts, model_facts
from tests import kept_study
from tests.tiny_study import TINY_STUDY


def two_model_study(*models: str, results: str = "results") -> dict[str, Any]:
    """Return the study; with models, of these alone."""
    study = copy.deepcopy(TINY_STUDY) | {"results": results}
    study["datasets"]["test"]["images"] = 16
    study["architectures"]["vit"]["arguments"]["depth"] = 2
    names = ["brightness", "contrast", "fog", "saturate"]
    study["perturbations"] = {
        "none": {"datasets": ["test", "second"]},
        "corruptions": {"datasets": ["test"], "severities": [1, 3], "corruptions": names},
        "fgsm": {"datasets": ["test"], "images": 12, "epsilons": ["4/255"]},
        "token_removal": {"datasets": ["test"], "images": 12, "drop_rates": [0.5], "seeds": 1},
        "weight_noise": {"datasets": ["test"], "images": 12, "scales": [0.5], "seeds": 2},
    }
    if models and "a" not in models:  # the only model with tokens
        del study["perturbations"]["token_removal"]
    study["models"] = {id: study["models"][id] for id in models or study["models"]}
    study["analyses"] = {"layer_correlations": {"dataset": "test", "images": 6}}
    return study | {"epsilon": "4/255"}


def run(study: dict[str, Any]) -> set[str]:
    """Run a study as another process would; return what was evaluated."""
    forget_files()
    return kept_study.run(load_config(study))


def forget_files() -> None:
    """Read files again, as another process would."""
    dataset_facts.cache_clear()
    model_facts.cache_clear()


def run_apart(folder: Path) -> None:
    """Evaluate the study of all models in `whole`, of one each in `lab1` and `lab2`, there."""
    with working_in(folder):
        run(two_model_study(results="whole"))
        for lab, model in (("lab1", "a"), ("lab2", "b")):
            # Weights of networks in tests are random: both have the same.
            for name in (model, "reference"):
                shutil.copytree(f"whole/checkpoints/{name}", f"{lab}/checkpoints/{name}")
            run(two_model_study(model, "reference", results=lab))


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder within a `with` statement."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
