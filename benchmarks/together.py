"""CPU time of models that are evaluated together, relative to one after another.

Run: ``python -m benchmarks.together [--models 4] [--images 250] [--rounds 3]``. One thread, the
embedded networks on generated images of 32 px; shards hold the same rows either way. Both ways
alternate; the figures are the medians over the rounds.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.timing import EMBEDDED, NUM_CLASSES, random_classifier
from perturb.datasets.build import build_generated
from perturb.datasets.store import ImageStore, open_store
from perturb.evaluation.cell import Cell
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.evaluation.outcome import Setting
from perturb.evaluation.together import evaluate_together
from perturb.experiments.corruptions.names import BENCHMARK_CORRUPTIONS
from perturb.experiments.registry import evaluator
from perturb.models.architectures import build_network

SIDE, BATCH_SIZE = 32, 250
# Perturbation, severity, conditions and options.
CASES: dict[str, tuple[str, float, tuple[str, ...], dict[str, Any]]] = {
    "unchanged": ("none", 0, ("none",), {}),
    "15 corruptions": ("corruptions", 3, BENCHMARK_CORRUPTIONS, {}),
    "15 corruptions and JPEG": ("corruptions", 3, BENCHMARK_CORRUPTIONS, {"jpeg_quality": 85}),
}


def main() -> None:
    """Write a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--images", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    subjects = _subjects(asked.models)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "images.npy", Path(folder) / "manifest.parquet"
        kind = {"set": "target", "split": "test"}
        build_generated(*paths, kind, num_images=asked.images, seed=1)
        store = open_store(*paths)
        sys.stdout.write(
            "| what | one after another [s] | together [s] | ratio |\n|---|---:|---:|---:|\n"
        )
        for name in CASES:
            times = [_times(name, subjects, store) for _ in range(asked.rounds)]
            alone, together = (statistics.median(column) for column in zip(*times, strict=True))
            sys.stdout.write(
                f"| {name} | {alone:.2f} | {together:.2f} | {together / alone:.2f} |\n"
            )


def _subjects(num_models: int) -> dict[str, Subject]:
    """Return the first networks of the embedded study."""
    card: Any = SimpleNamespace(weights_sha256="")
    found = {}
    for name, (family, arguments) in list(EMBEDDED.items())[:num_models]:
        classifier = random_classifier(build_network(family, arguments, NUM_CLASSES, SIDE), SIDE)
        card = SimpleNamespace(weights_sha256="", preprocessing=classifier.preprocessing)
        found[name] = Subject(classifier, card, torch.device("cpu"))
    return found


def _times(name: str, subjects: dict[str, Subject], store: ImageStore) -> tuple[float, float]:
    """Return the CPU seconds of all models one after another, and together."""
    perturbation, severity, conditions, options = CASES[name]
    cells = {
        Cell(model, "test", perturbation, str(severity)): one for model, one in subjects.items()
    }
    setting = Setting(conditions, severity, 7, options)
    stores = dict.fromkeys(conditions, store)
    how: Any = {"protocol": 1, "batch_size": BATCH_SIZE}
    chosen = evaluator(perturbation)

    def alone() -> None:
        for cell, subject in cells.items():
            evaluate_cell(subject, stores, cell, setting, chosen, **how)

    def together() -> None:
        precisions = dict.fromkeys(cells, "float32")
        evaluate_together(cells, stores, setting, chosen, precisions=precisions, **how)

    return _seconds(alone), _seconds(together)


def _seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


if __name__ == "__main__":
    main()
