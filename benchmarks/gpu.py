"""What evaluation reaches of the speed of a GPU: one table, in at most eight minutes.

Usage: ``python -m benchmarks.gpu`` on a machine with a GPU; on a CPU ``--device cpu --images 6
--batch-size 6 --rounds 2`` takes some minutes, and speeds are per second of CPU time. ViT-B/16 and
BiT-R50x1 at full size, random weights, 224 px, made-up images in a decoded dataset on the disk.

Each row is measured beside a unit, which runs before and after it, and is divided by their mean;
the figure is the median over the rounds. The unit beside itself shows how far to trust the third
digit. `of the unit` is the speed of a row as a fraction of that of its unit: the bare network,
compiled where a job compiles, on prepared images that lie on the device, in the precision of the
job; for attacks one forward and backward pass to the pixels. Rows of cells go the whole way from
the decoded dataset to the rows of the shard, and count the images of all passes. Rows for which the
time does not suffice are listed as not measured.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import gpu_work
from benchmarks.full_networks import NETWORKS, make_store
from benchmarks.timing import beside_unit
from perturb import provenance
from perturb.datasets.store import ImageStore

GOALS = {"clean": 0.95, "corrupted": 0.85, "attack": 1 / 1.02}


@dataclass(frozen=True)
class Row:
    """A line of the table; without a speed where the time did not suffice."""

    network: str
    what: str
    speed: float | None = None
    share: float | None = None
    goal: float | None = None

    def __str__(self) -> str:
        """Return the line in Markdown."""
        if self.speed is None or self.share is None:
            return f"| {self.network} | {self.what} | not measured | | |"
        goal = "" if self.goal is None else f"{self.goal:.3f}"
        return f"| {self.network} | {self.what} | {self.speed:.1f} | {self.share:.3f} | {goal} |"


class Watch:
    """Seconds an image of a run, and the time that is left.

    Parameters
    ----------
    minutes : after which no further row is begun.
    """

    def __init__(self, device: torch.device, minutes: float) -> None:
        self._device = device
        self._end = time.monotonic() + minutes * 60

    @property
    def is_over(self) -> bool:
        """Whether no further row is to be begun."""
        return time.monotonic() > self._end

    def seconds_an_image(self, work: Callable[[], int], _: int = 0) -> float:
        """Return the time of a run divided by what it returns: images, or passes of one."""
        # On a CPU the seconds of all threads of the process: others' work does not count.
        clock = time.process_time if self._device.type == "cpu" else time.perf_counter
        self._wait()
        start = clock()
        count = work()
        self._wait()
        return (clock() - start) / count

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def rows(
    label: str, store: ImageStore, watch: Watch, arguments: argparse.Namespace
) -> Iterator[Row]:
    """Yield the rows of a network."""
    for group in gpu_work.groups(gpu_work.make_bench(label, store, arguments)):
        names = [name for name in group.works if name != group.unit]
        if watch.is_over:
            yield from (Row(label, name) for name in names)
            continue
        for work in group.works.values():  # compilation, caches and tables are made once
            work()
        times = beside_unit(group.works, group.unit, arguments.rounds, watch.seconds_an_image)
        for name, (seconds, ratio) in times.items():
            goal = None if name == group.unit else GOALS.get(group.goal)
            yield Row(label, name, 1 / seconds, 1 / ratio, goal)


def main(given: Sequence[str] | None = None) -> None:
    """Write the table to standard output."""
    arguments = _arguments(given)
    device = torch.device(arguments.device)
    watch = Watch(device, arguments.minutes)
    write = sys.stdout.write
    write(f"{provenance.device_name(device)}, torch {torch.__version__}, ")
    write(f"commit {provenance.commit()}, {arguments.images} images in batches of ")
    write(f"{arguments.batch_size}\n\n")
    write("| network, 224 px | what | images/s | of the unit | goal |\n|---|---|---:|---:|---:|\n")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), arguments.images)
        for label in arguments.networks:
            for row in rows(label, store, watch, arguments):
                write(f"{row}\n")
                sys.stdout.flush()
    write(f"\n{time.monotonic() - started:.0f} s\n")


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=7.0, help="begin no row afterwards")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
