"""Images of a decoded dataset per second: through its memory map, and read ahead by threads.

Run: ``python -m benchmarks.reading [--folder FOLDER] [--images 8192] [--rounds 3]``. A decoded
dataset of random pixels is read into three buffers, as for a GPU but without pinning and copy:
``warm`` from pages in memory, ``cold`` after they were dropped, from the disk of the folder. The
best of all rounds, which alternate; on a machine with other work CPU time alone is comparable.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from perturb.datasets.store import ImageStore, open_store, write_store
from perturb.evaluation.reading import buffers, read_ahead, reader_of

NUM_BUFFERS, BATCH_SIZE, CHUNK = 3, 128, 256
MANIFEST = "manifest.parquet"
Ways = dict[str, Callable[[ImageStore], Iterator[Tensor]]]


def main() -> None:
    """Write a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        images = Path(folder) / "images.npy"
        _write(images, asked.images)
        best: dict[tuple[str, bool], tuple[float, float]] = {}
        for _ in range(asked.rounds):
            for key in ((name, is_cold) for is_cold in (False, True) for name in WAYS):
                found = _measured(images, *key)
                best[key] = tuple(map(max, found, best.get(key, (0.0, 0.0))))  # type: ignore[assignment]
    sys.stdout.write("| images/s | warm, a CPU second | warm | cold, a CPU second | cold |\n")
    sys.stdout.write("|---|---:|---:|---:|---:|\n")
    for name in WAYS:
        cells = [f"{rate:,.0f}" for is_cold in (False, True) for rate in best[name, is_cold]]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


def _mapped(store: ImageStore) -> Iterator[Tensor]:
    for batch in store.batches(BATCH_SIZE):
        yield batch.pixels


def _ahead(num_threads: int) -> Callable[[ImageStore], Iterator[Tensor]]:
    def run(store: ImageStore) -> Iterator[Tensor]:
        ring = buffers(store.pixels, BATCH_SIZE, NUM_BUFFERS, pinned=False)
        with reader_of(store.pixels) as read:
            for filled in read_ahead(read, len(store), ring, num_threads):
                yield filled.pixels

    return run


WAYS: Ways = {
    "memory map, on demand": _mapped,
    "file, 1 thread": _ahead(1),
    **{f"file, {count} threads": _ahead(count) for count in (2, 4, 8)},
}


def _write(images: Path, num_images: int) -> None:
    """Write a decoded dataset of random pixels, 224 px."""
    generator = np.random.default_rng(0)

    def chunks() -> Iterator[tuple[Tensor, dict[str, pa.Array]]]:
        for start in range(0, num_images, CHUNK):
            rows = range(start, min(start + CHUNK, num_images))
            pixels = generator.integers(0, 256, (len(rows), 3, 224, 224), dtype=np.uint8)
            yield (
                torch.from_numpy(pixels),
                {
                    "image_id": pa.array(map(str, rows)),
                    "image_key": pa.array(rows, pa.int64()),
                    "target": pa.array([0] * len(rows), pa.int16()),
                },
            )

    write_store(images, images.with_name(MANIFEST), num_images=num_images, chunks=chunks())


def _measured(images: Path, name: str, is_cold: bool) -> tuple[float, float]:
    """Return images a second of CPU time, and of wall time."""
    if is_cold:
        _drop(images)
    store = open_store(images, images.with_name(MANIFEST))
    cpu, wall = time.process_time(), time.perf_counter()
    count = sum(len(batch) for batch in WAYS[name](store))
    assert count == len(store)
    return count / (time.process_time() - cpu), count / (time.perf_counter() - wall)


def _drop(file: Path) -> None:
    """Drop the pages of a file, of which no map is left, from memory."""
    descriptor = os.open(file, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


if __name__ == "__main__":
    main()
