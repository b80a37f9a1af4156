"""How often the host waits for the device in a batch of a cell, counted on a CPU.

Usage: ``python -m benchmarks.device_counts`` (ten seconds). The difference of a cell of eight
batches and one of four, divided by four; tables that a process makes once are made before. Kernels
of corruptions: ``python -m benchmarks.corruptions --kernels``.
"""

import sys
from typing import Any
from unittest.mock import patch

from perturb.experiments.corruptions import corruptions
from tests.test_evaluate_counts import counts_of, waits_a_batch

SMALL_GRID = {"translations": 3, "samples": 5, "rotations": 5}
# Perturbation, severity and options.
CELLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "clean": ("none", "0", {}),
    "all corruptions": ("corruptions", "3", {}),
    "FGSM": ("fgsm", "1_255", {}),
    "PGD, 8 steps": ("pgd", "1_255", {"steps": 8}),
    "PGD, 40 steps": ("pgd", "1_255", {"steps": 40}),
    "attack ensemble, 5 steps, 50 queries": (
        "attack_ensemble",
        "1_255",
        {"steps": 5, "queries": 50},
    ),
    "attack ensemble, 20 steps, 200 queries": (
        "attack_ensemble",
        "1_255",
        {"steps": 20, "queries": 200},
    ),
    "spatial grid, 45 transforms": ("spatial", "1", SMALL_GRID),
    "spatial grid, 279 transforms": ("spatial", "1", SMALL_GRID | {"rotations": 31}),
}


def main() -> None:
    """Write the table to standard output."""
    write = sys.stdout.write
    write("| cell | synchronisations a batch |\n|---|---:|\n")
    # The form of corruptions for a GPU, on a CPU.
    with patch.object(corruptions, "_is_on_device", lambda _: True):
        for label, (perturbation, severity, options) in CELLS.items():
            counts_of(perturbation, severity, 1, **options)
            write(f"| {label} | {waits_a_batch(perturbation, severity, **options):g} |\n")


if __name__ == "__main__":
    main()
