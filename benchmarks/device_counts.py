"""Kernels and host synchronisations of a batch, counted on a CPU.

Usage: ``python -m benchmarks.device_counts`` (half a minute). Two tables in Markdown. The first has
the kernels of each corruption in its form for a GPU, at 224 px, severities 1, 3 and 5 and two batch
sizes. The second has how often the host waits for the device in a cell, a batch: the difference of
a cell of eight batches and one of four, divided by four.
"""

import sys
from typing import Any
from unittest.mock import patch

from perturb.experiments.corruptions import corruptions
from perturb.experiments.corruptions.corruptions import CORRUPTIONS, jpeg_pass
from perturb.experiments.corruptions.test_device_forms import counts_of as counts_of_corruption
from tests.corruption_images import make_images
from tests.device_counts import Counts, counted
from tests.test_evaluate_counts import waits_a_batch

BATCHES = 2, 16
SEVERITIES = 1, 3, 5
SIDE_PX = 224
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
    """Write both tables to standard output."""
    write = sys.stdout.write
    heads = "".join(f" severity {severity} |" for severity in SEVERITIES)
    write(f"| kernels a batch |{heads} synchronisations | of any batch |\n")
    write(f"|---|{'---:|' * len(SEVERITIES)}---:|---|\n")
    images = make_images(BATCHES[1], SIDE_PX)
    for name in CORRUPTIONS:
        found = [
            [counts_of_corruption(name, severity, images[:count], None) for count in BATCHES]
            for severity in SEVERITIES
        ]
        write(_line(name, found))
    passes = []
    jpeg_pass(images, 85, on_device=True)
    for count in BATCHES:
        with counted() as counts:
            jpeg_pass(images[:count], 85, on_device=True)
        passes.append(counts)
    write(_line("JPEG pass", [passes] * len(SEVERITIES)))
    write("\n| cell | synchronisations a batch |\n|---|---:|\n")
    # The form of corruptions for a GPU, on a CPU.
    with patch.object(corruptions, "_is_on_device", lambda _: True):
        for label, (perturbation, severity, options) in CELLS.items():
            write(f"| {label} | {waits_a_batch(perturbation, severity, **options):g} |\n")


def _line(name: str, found: list[list[Counts]]) -> str:
    kernels = "".join(f" {few.kernels} |" for few, _ in found)
    syncs = max(counts.syncs for pair in found for counts in pair)
    is_same = all(few.operations == many.operations for few, many in found)
    return f"| {name} |{kernels} {syncs} | {'yes' if is_same else 'no'} |\n"


if __name__ == "__main__":
    main()
