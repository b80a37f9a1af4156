"""Time of one step of an attack, relative to one forward and backward pass of the same images.

Usage: ``python -m benchmarks.attacks`` (some three minutes), with ``--peers`` also torchattacks
and foolbox where they are installed. The unit is a forward pass, its cross-entropy and the gradient
with respect to the pixels, weights frozen, on one thread. Every run is made between two units of as
many steps and divided by their mean, so other load affects all equally; the figure is the median
over the rounds. The unit divided by itself shows the noise. All images stay correctly classified:
epsilon is tiny.
"""

import argparse
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.timing import EMBEDDED, beside_unit, cpu_seconds, random_network
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.attack_ensemble import apgd_ce, apgd_dlr, square
from perturb.models.classifier import Classifier

_EPSILON = 1e-9
_STEPS = 8
_UNIT = "forward + backward"
# The embedded ViT-S/8 and ResNet-S, and networks at the resolution of real ones.
_CASES: dict[str, tuple[str, dict[str, object], int, int]] = {
    "ViT, 32 px": (*EMBEDDED["ViT-S/8"], 32, 16),
    "ResNet, 32 px": (*EMBEDDED["ResNet-S"], 32, 16),
    "ViT, 224 px": (
        "vit",
        {"patch_size": 16, "embed_dim": 192, "depth": 4, "num_heads": 3, "mlp_ratio": 4},
        224,
        1,
    ),
    "ResNet, 224 px": (
        "resnet",
        {"layers": [1, 1, 1, 1], "channels": [64, 128, 256, 512], "num_groups": 16}
        | {"stem_channels": 64},
        224,
        1,
    ),
}


@dataclass(frozen=True)
class Case:
    """A classifier and images that it gets right, float32 in [0, 1]."""

    classifier: Classifier
    images: Tensor
    targets: Tensor

    @property
    def keys(self) -> Tensor:
        """Any keys of the images."""
        return torch.arange(len(self.images))


def make_case(name: str) -> Case:
    """Return a network of random weights and noise, with the network's predictions as targets."""
    family, arguments, side, count = _CASES[name]
    classifier = random_network(family, arguments, side)
    images = torch.rand(count, 3, side, side)
    return Case(classifier, images, gradients.predict(classifier, images).argmax(dim=1))


def pass_once(case: Case) -> Tensor:
    """Compute the gradient at the pixels with frozen weights."""
    with gradients.frozen(case.classifier):
        pixels = case.images.detach().requires_grad_()
        loss = F.cross_entropy(case.classifier(pixels), case.targets, reduction="sum")
        return torch.autograd.grad(loss, pixels)[0]


def runs(case: Case, with_peers: bool) -> dict[str, tuple[Callable[[], object], int]]:
    """Return the functions to run, and their numbers of steps or queries."""
    given = (case.classifier, case.images, case.targets, _EPSILON)
    table: dict[str, tuple[Callable[[], object], int]] = {
        _UNIT: (lambda: [pass_once(case) for _ in range(_STEPS)], _STEPS),
        "pgd": (lambda: gradients.pgd(*given, steps=_STEPS), _STEPS),
        "fgsm": (lambda: [gradients.fgsm(*given) for _ in range(_STEPS)], _STEPS),
        "apgd_ce": (
            lambda: apgd_ce(*given, keys=case.keys, steps=_STEPS - 1),
            _STEPS,
        ),
        "apgd_dlr": (
            lambda: apgd_dlr(*given, keys=case.keys, steps=_STEPS - 1, num_targets=1),
            _STEPS,
        ),
        "square, a query": (
            lambda: square(*given, keys=case.keys, queries=_STEPS),
            _STEPS,
        ),
    }
    return table | (peer_runs(case) if with_peers else {})


def peer_runs(case: Case) -> dict[str, tuple[Callable[[], object], int]]:
    """Return the same PGD of other libraries."""
    torchattacks = importlib.import_module("torchattacks")
    foolbox = importlib.import_module("foolbox")
    step_size = _EPSILON / 8
    theirs = torchattacks.PGD(
        case.classifier, eps=_EPSILON, alpha=step_size, steps=_STEPS, random_start=False
    )
    attack = foolbox.attacks.LinfPGD(abs_stepsize=step_size, steps=_STEPS, random_start=False)
    model = foolbox.PyTorchModel(case.classifier, bounds=(0, 1))
    criterion = foolbox.criteria.Misclassification(case.targets)
    return {
        "pgd of torchattacks": (lambda: theirs(case.images, case.targets), _STEPS),
        "pgd of foolbox": (
            lambda: attack.run(model, case.images, criterion, epsilon=_EPSILON),
            _STEPS,
        ),
    }


def measured(case: Case, num_rounds: int, with_peers: bool) -> dict[str, tuple[float, float]]:
    """Return the medians of milliseconds a step, and of their ratio to the unit."""
    table = runs(case, with_peers)
    for run, _ in table.values():
        run()

    def cpu_ms(entry: tuple[Callable[[], object], int], _: int) -> float:
        run, num_steps = entry
        return cpu_seconds(run) / num_steps * 1e3

    return beside_unit(table, _UNIT, num_rounds, cpu_ms)


def main() -> None:
    """Write the table to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    columns = {
        name: measured(make_case(name), arguments.rounds, arguments.peers) for name in _CASES
    }
    heads = "".join(f"{name:>16s}{'ratio':>8s}" for name in columns)
    sys.stdout.write(f"{'ms a step of a batch':22s}{heads}\n")
    for run in next(iter(columns.values())):
        cells = "".join(
            f"{column[run][0]:16.2f}{column[run][1]:8.3f}" for column in columns.values()
        )
        sys.stdout.write(f"{run:22s}{cells}\n")


if __name__ == "__main__":
    main()
