"""The standard set of the attack ensemble beside torchattacks' AutoAttack: the images broken.

    .venv-peers/bin/python -m benchmarks.standard_attacks [--networks vit] [--norms L2]

Two small networks, trained here on the embedded image family with half of the images attacked, in
the L-infinity and in the L2 ball; the published order and budget on both sides. For each attack:
how many images are broken by the end of it.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.trained import attacked_images, trained
from perturb.datasets.store import Images
from perturb.evaluation.outcome import Setting
from perturb.experiments.attacks.budgets import STANDARD
from perturb.experiments.attacks.evaluate import (
    attack_ensemble_l2_outcomes,
    attack_ensemble_outcomes,
)
from perturb.models.classifier import Classifier

EPSILONS = {"Linf": 4 / 255, "L2": 0.25}
CONDITIONS = ("apgd_ce", "apgd_dlr", "fab", "square")
_OURS = {"Linf": attack_ensemble_outcomes, "L2": attack_ensemble_l2_outcomes}


def ours(
    classifier: Classifier,
    images: Images,
    norm: str,
    epsilon: float,
    budget: Mapping[str, int] = STANDARD,
) -> list[Tensor]:
    """Return which images are predicted incorrectly after each of our attacks, bool (B,)."""
    setting = Setting(CONDITIONS, epsilon, 2021, {"standard": True, **budget})
    outcomes = list(_OURS[norm](classifier, images, setting))
    return [outcome.logits.argmax(dim=1) != images.targets for outcome in outcomes]


def theirs(
    classifier: Classifier,
    images: Images,
    norm: str,
    epsilon: float,
    budget: Mapping[str, int] = STANDARD,
) -> list[Tensor]:
    """Return the same after each of the peer's attacks, each on the images that still stand."""
    pixels, targets = images.pixels.float() / 255, images.targets
    is_broken = torch.zeros_like(targets, dtype=torch.bool)
    found = []
    for attack in peer_attacks(classifier, norm, epsilon, budget):
        rows = (~is_broken).nonzero()[:, 0]
        if len(rows):
            adversarial = attack(pixels[rows], targets[rows])
            with torch.no_grad():
                is_broken[rows] = classifier(adversarial).argmax(dim=1) != targets[rows]
        found.append(is_broken.clone())
    return found


def peer_attacks(
    classifier: nn.Module, norm: str, epsilon: float, budget: Mapping[str, int]
) -> Sequence[Any]:
    """Return the peer's attacks with a budget and the published schedule.

    By default its gradient attacks take 10 steps, and it scales Square's schedule to the queries.
    """
    whole = importlib.import_module("torchattacks").AutoAttack(
        classifier, norm=norm, eps=epsilon, n_classes=budget["targets"] + 1, seed=0
    )
    attacks: Sequence[Any] = whole._autoattack.attacks
    for attack in attacks[:3]:
        attack.steps = budget["steps"]
    attacks[3].n_queries = budget["queries"]
    attacks[3].rescale_schedule = False
    return attacks


def main() -> None:
    """Print a row for each network, norm and side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--networks", nargs="+", default=["vit", "resnet"])
    parser.add_argument("--norms", nargs="+", default=list(EPSILONS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    _print("| network | norm | side | " + " | ".join(CONDITIONS) + " | CPU s |")
    for family in given.networks:
        classifier = trained(family)
        for norm in given.norms:
            _compare(classifier, family, norm, given.images)


def _compare(classifier: Classifier, family: str, norm: str, count: int) -> None:
    images, sides = attacked_images(classifier, count), {}
    for side, attack in (("ours", ours), ("torchattacks", theirs)):
        start = time.process_time()
        sides[side] = attack(classifier, images, norm, EPSILONS[norm])
        seconds = time.process_time() - start
        numbers = " | ".join(str(int(broken.sum())) for broken in sides[side])
        _print(f"| {family} | {norm} | {side} | {numbers} | {seconds:.0f} |")
    differing = [str(int((a != b).sum())) for a, b in zip(*sides.values(), strict=True)]
    _print(f"| {family} | {norm} | differ | " + " | ".join(differing) + " | |")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
