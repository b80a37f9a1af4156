"""Speed of networks in each precision: what `precision: auto` chooses by family of network.

Usage: ``python -m benchmarks.precisions --device cuda --compile``; on a CPU ``--batch-size 4``
takes a minute. ViT-B/16 and BiT-R50x1 at full size, random weights, 224 px; whole passes of uint8
images that lie on the device, preparation included. The unit is mixed precision, ``bfloat16``; a
figure above 1 is faster. `perturb.models.precisions` holds the choice.
"""

import argparse
import sys
import time
from collections.abc import Callable

import torch

from benchmarks import full_networks
from benchmarks.timing import beside_unit
from perturb.models.precision import autocast, hold_in_bfloat16
from perturb.models.precisions import PRECISIONS

_UNIT = "bfloat16"


def whole_passes(
    label: str, device: torch.device, batch_size: int, *, is_compiled: bool
) -> dict[str, Callable[[], int]]:
    """Return for each precision a function that runs a batch and returns its number of images."""

    def pass_in(precision: str) -> Callable[[], int]:
        subject = full_networks.make_subject(label, device, is_compiled=is_compiled)
        if precision == "pure_bfloat16":
            hold_in_bfloat16(subject.classifier.network)
        side = full_networks.SIDE_PX
        images = torch.randint(256, (batch_size, 3, side, side), dtype=torch.uint8, device=device)

        @torch.inference_mode()
        def run() -> int:
            with autocast(precision, device):
                return len(subject.classifier(images))

        return run

    return {precision: pass_in(precision) for precision in PRECISIONS}


def main() -> None:
    """Write the table to standard output."""
    arguments = _arguments()
    device = torch.device(arguments.device)
    write = sys.stdout.write
    write("| network, 224 px | precision | images/s | of autocast |\n|---|---|---:|---:|\n")
    for label in arguments.networks:
        runs = whole_passes(label, device, arguments.batch_size, is_compiled=arguments.compile)
        for run in runs.values():
            run()
        times = beside_unit(runs, _UNIT, arguments.rounds, _seconds_an_image(device))
        for precision, (seconds, ratio) in times.items():
            write(f"| {label} | `{precision}` | {1 / seconds:.1f} | {1 / ratio:.3f} |\n")


def _seconds_an_image(device: torch.device) -> Callable[[Callable[[], int], int], float]:
    is_cpu = device.type == "cpu"
    # On a CPU the seconds of all threads of the process: others' work does not count.
    clock = time.process_time if is_cpu else time.perf_counter

    def measure(run: Callable[[], int], _: int) -> float:
        start = clock()
        num_images = sum(run() for _ in range(1 if is_cpu else 10))
        if not is_cpu:
            torch.cuda.synchronize(device)
        return (clock() - start) / num_images

    return measure


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    known = list(full_networks.NETWORKS)
    parser.add_argument("--networks", nargs="+", choices=known, default=known)
    return parser.parse_args()


if __name__ == "__main__":
    main()
