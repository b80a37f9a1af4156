"""Images per second and core of the generated family, by set and batch size.

Run: ``python -m benchmarks.generate``. Prints one line a set and batch size; the best of five
rounds, because a shared machine only ever adds time.
"""

import argparse
import sys
import time

import torch

from perturb.datasets.synthetic.family import GENERATED_SETS
from perturb.datasets.synthetic.generated import generate


def images_per_second(set_name: str, batch_size: int, num_rounds: int) -> float:
    """Return the highest speed of some rounds over at least 1,000 images each."""
    num_batches = -(-1000 // batch_size)
    num_classes = 48 if set_name == "upstream" else 12
    generate(set_name, "train", 0, torch.arange(2), num_classes=num_classes)  # builds the tables
    best = 0.0
    for _ in range(num_rounds):
        start = time.perf_counter()
        for batch in range(num_batches):
            indices = torch.arange(batch * batch_size, (batch + 1) * batch_size)
            generate(set_name, "train", 0, indices, num_classes=num_classes)
        best = max(best, num_batches * batch_size / (time.perf_counter() - start))
    return best


def main() -> None:
    """Measure every set at every batch size that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for set_name in GENERATED_SETS:
        for batch_size in options.batch_sizes:
            speed = images_per_second(set_name, batch_size, options.rounds)
            sys.stdout.write(f"{set_name:12} batch {batch_size:5}: {speed:6.0f} images/s\n")


if __name__ == "__main__":
    main()
