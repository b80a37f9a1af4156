"""Images per second of decoding into a decoded dataset: exact, fast, and by a plain Pillow loop.

Usage: ``python -m benchmarks.decode`` (some two minutes), ``--images``, ``--workers``. Photographs
of 500 x 375 px are generated, as JPEG of ImageNet's size. The builds go through everything that a
lab's do: listing, reading, decoding, writing, the journal and the manifest; the plain loop decodes,
resizes and crops in one process and keeps nothing. All stand in one run, in turn, round by round,
so that a busy minute hits all alike; the figure is the median over the rounds.
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from perturb.datasets.real.ingest import build_from_source
from perturb.models.resizing import Resizing

_WIDTH, _HEIGHT = 500, 375
_VIEWS = (Resizing(224, "crop", 0.875, "bilinear"), Resizing(224, "crop", 0.9, "bicubic"))
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_SOURCE = {"path": "val", "layout": "class_folders"}
_NUM_DISTINCT = 64


def write_photographs(folder: Path, num_images: int) -> int:
    """Write class folders of JPEG files; return the mean size of a file [bytes]."""
    files = [_photograph(seed) for seed in range(_NUM_DISTINCT)]
    for number in range(num_images):
        path = folder / f"n{number % 10:08d}" / f"{number:06d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[number % _NUM_DISTINCT])
    return sum(map(len, files)) // len(files)


def _photograph(seed: int) -> bytes:
    """Return a picture with detail at all scales, of about 110 kB as those of ImageNet."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((_HEIGHT, _WIDTH, 3))
    for scale in (4, 16, 64):
        blocks = rng.integers(
            0, 256, (_HEIGHT // scale + 1, _WIDTH // scale + 1, 3), dtype=np.uint8
        )
        smooth = Image.fromarray(blocks).resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)
        picture += np.asarray(smooth) * scale**0.5
    picture *= 255 / picture.max()
    buffer = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def plain_loop(folder: Path, view: Resizing) -> None:
    """Decode all images in a plain loop."""
    for path in sorted(folder.rglob("*.JPEG")):
        with Image.open(path) as image:
            rgb = image.convert("RGB")
        short = int(view.side / view.crop)
        size = short * rgb.width // rgb.height, short
        left, top = (size[0] - view.side) // 2, (size[1] - view.side) // 2
        resized = rgb.resize(size, _FILTERS[view.interpolation])
        np.asarray(resized.crop((left, top, left + view.side, top + view.side)))


def build(folder: Path, view: Resizing, decoding: str, workers: int) -> None:
    """Build the store of all images, anew."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        paths = Path(made) / "images.npy", Path(made) / "manifest.parquet"
        build_from_source(*paths, _SOURCE, view, root=folder, decoding=decoding, workers=workers)


def runs(folder: Path, view: Resizing, workers: int) -> dict[str, Callable[[], None]]:
    """Return the timed functions, by name."""
    table: dict[str, Callable[[], None]] = {
        "plain Pillow loop, 1 process": lambda: plain_loop(folder / "val", view)
    }
    for number in sorted({1, workers}):
        for decoding in ("exact", "fast"):
            name = f"{decoding}, {number} process{'es' if number > 1 else ''}"
            table[name] = partial(build, folder, view, decoding, number)
    return table


def measured(
    folder: Path, view: Resizing, num_images: int, workers: int, num_rounds: int
) -> dict[str, float]:
    """Return images a second by name, the median over the rounds."""
    table = runs(folder, view, workers)
    rates: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(num_rounds):
        for name, run in table.items():
            start = time.perf_counter()
            run()
            rates[name].append(num_images / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    """Measure, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        size = write_photographs(folder / "val", arguments.images)
        sys.stdout.write(
            f"{arguments.images} JPEG files of {_WIDTH} x {_HEIGHT} px, {size / 1e3:.0f} kB each\n"
            "\n| view | way | images/s | beside plain Pillow |\n|---|---|---|---|\n"
        )
        for view in _VIEWS:
            counts = arguments.images, arguments.workers, arguments.rounds
            rates = measured(folder, view, *counts)
            unit = next(iter(rates.values()))
            for name, rate in rates.items():
                sys.stdout.write(f"| {view.id} | {name} | {rate:.0f} | {rate / unit:.2f} |\n")


if __name__ == "__main__":
    main()
