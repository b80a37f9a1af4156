"""A training step of each embedded network beside its floor: forward and backward pass alone.

Run: ``python -m benchmarks.training``. CPU time, one thread; a round times all rows in turn, and a
ratio is the median over rounds. `passes` are the loss and its gradient for one batch that stays in
the memory; `in bfloat16` the same under autocast, which changes numbers and is in no study; `our
training` also gathers and shifts images, takes the optimisers' steps, and keeps the curve.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.timing import EMBEDDED, NUM_CLASSES, beside_unit, cpu_seconds, soft_pixels
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.recipes import RECIPES, Recipe
from perturb.models.training import Phase, train
from perturb.models.training_images import LabelledImages

_SIDE = 32
_NUM_STEPS = 8
_PASSES = "passes"


def runs_of(name: str) -> dict[str, Callable[[], object]]:
    """Return functions that take some steps of a network, by row."""
    family, arguments = EMBEDDED[name]
    recipe = RECIPES[family]
    pixels = soft_pixels(_SIDE, recipe.batch_size)
    targets = torch.arange(recipe.batch_size) % NUM_CLASSES
    data = Phase(LabelledImages(pixels.numpy(), targets), _NUM_STEPS * recipe.batch_size)
    torch.manual_seed(0)
    network = build_network(family, arguments, NUM_CLASSES, _SIDE)
    classifier = Classifier(network, Preprocessing.of_trained(_SIDE)).train()

    def passes(dtype: torch.dtype | None = None) -> None:
        for _ in range(_NUM_STEPS):
            with torch.autocast("cpu", dtype, enabled=dtype is not None):
                loss = _loss(classifier(pixels), targets, recipe)
            classifier.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]

    return {
        _PASSES: passes,
        "in bfloat16": lambda: passes(torch.bfloat16),
        "our training": lambda: train(classifier, data, recipe, seed=0, name="timed/training"),
    }


def _loss(logits: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
    return nn.functional.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)


def main() -> None:
    """Write the table to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    num_rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    sys.stdout.write(f"{'ms of CPU time a step':<24}{'ms':>8}{'ratio':>8}\n")
    for name in EMBEDDED:
        found = beside_unit(runs_of(name), _PASSES, num_rounds, lambda run, _: cpu_seconds(run))
        for row, (seconds, ratio) in found.items():
            milliseconds = seconds / _NUM_STEPS * 1e3
            sys.stdout.write(f"{name:<10}{row:<14}{milliseconds:>8.1f}{ratio:>8.2f}\n")


if __name__ == "__main__":
    main()
