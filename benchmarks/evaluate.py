"""Speed of evaluation relative to the bare network: images/s of whole cells.

Usage: ``python -m benchmarks.evaluate --device cuda --images 2048`` on a GPU; on a CPU
``--images 8 --batch-size 4 --rounds 2`` takes some minutes. ViT-B/16 and BiT-R50x1 at full size,
random weights, 224 px, images in a store on the disk. The unit is a forward pass of the bare
network on images that lie on its device, resized and normalised, in the same precision. The cells
are `evaluate_cell`'s, from the store to the rows of the shard: clean, and the 15 corruptions of the
benchmark, of which each round takes as many as ``--conditions`` says. Every run stands between two
units and is divided by their mean; the figure is the median over the rounds. The unit beside itself
shows how far to trust the third digit. Speeds on a CPU are per second of CPU time.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from benchmarks.timing import beside_unit
from perturb import provenance
from perturb.datasets.store import ImageStore, open_store, write_store
from perturb.evaluation.cell import Cell
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.evaluation.outcome import Setting
from perturb.experiments.corruptions.names import BENCHMARK_CORRUPTIONS
from perturb.experiments.registry import evaluator, protocol_of
from perturb.models.checkpoints import ModelCard
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.compiled import CompiledClassifier
from perturb.models.precision import autocast, resolve_precision
from perturb.models.timm_modules import load_timm_zoo
from perturb.random import image_key

_SIDE_PX = 224
_NETWORKS = {"ViT-B/16": "vit_base_patch16_224", "BiT-R50x1": "resnetv2_50x1_bit"}
_UNIT = "forward pass"


def main() -> None:
    """Write the table to standard output."""
    arguments = _arguments()
    device = torch.device(arguments.device)
    precision = resolve_precision(arguments.precision, device)
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), arguments.images)
        rows = [
            row
            for label in arguments.networks
            for row in _rows(label, store, device, precision, arguments)
        ]
    write = sys.stdout.write
    write(f"{provenance.device_name(device)}, torch {torch.__version__}, {precision}, ")
    write(f"{arguments.images} images in batches of {arguments.batch_size}")
    write(", compiled\n\n" if arguments.compile else "\n\n")
    write("| network | what | images/s | of the forward pass |\n|---|---|---:|---:|\n")
    for label, what, speed, share in rows:
        write(f"| {label} | {what} | {speed:.1f} | {share:.3f} |\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--conditions", type=int, default=15, help="corruptions a round")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--networks", nargs="+", choices=_NETWORKS, default=list(_NETWORKS))
    return parser.parse_args()


def make_store(folder: Path, num_images: int) -> ImageStore:
    """Return a store of soft random pictures, which compress about as photographs do."""
    paths = folder / "images.npy", folder / "manifest.parquet"
    write_store(*paths, num_images=num_images, chunks=_chunks(num_images))
    return open_store(*paths)


def _chunks(num_images: int, size: int = 64) -> Iterator[tuple[Tensor, dict[str, pa.Array]]]:
    generator = torch.Generator().manual_seed(0)
    for start in range(0, num_images, size):
        count = min(size, num_images - start)
        ids = [f"made/{number}" for number in range(start, start + count)]
        coarse = torch.rand(count, 3, 28, 28, generator=generator) * 255
        pixels = torch.nn.functional.interpolate(coarse, _SIDE_PX, mode="bicubic")
        columns = {
            "image_id": pa.array(ids),
            "image_key": pa.array([image_key(id) for id in ids], pa.int64()),
            "target": pa.array([number % 1000 for number in range(count)], pa.int16()),
        }
        yield pixels.clamp(0, 255).to(torch.uint8), columns


def make_subject(label: str, device: torch.device, *, is_compiled: bool) -> Subject:
    """Return a network of random weights, as it is evaluated."""
    torch.manual_seed(0)
    network = load_timm_zoo().create_model(_NETWORKS[label], num_classes=1000)
    for parameter in network.get_classifier().parameters():  # some heads start as zeros
        torch.nn.init.normal_(parameter, std=0.02)
    preprocessing = Preprocessing(_SIDE_PX)
    classifier = Classifier(network, preprocessing).eval().to(device)
    card = ModelCard(label, label, "", "", None, {}, 1000, preprocessing)
    return Subject(CompiledClassifier(classifier) if is_compiled else classifier, card, device)


def _runs(
    subject: Subject, store: ImageStore, precision: str, arguments: argparse.Namespace
) -> dict[str, Callable[[int], int]]:
    """Return the functions of a round, given its number; each returns its number of predictions."""
    size, classifier = arguments.batch_size, subject.classifier
    resident = list(_prepared(subject, store, size))
    network: Callable[[Tensor], Tensor] = classifier.network
    if isinstance(classifier, CompiledClassifier):
        network = torch.compile(classifier.network)

    @torch.inference_mode()
    def forward(_: int) -> int:
        with autocast(precision, subject.device):
            outputs = [network(batch) for batch in resident]
        if subject.device.type == "cuda":
            torch.cuda.synchronize()
        return sum(len(output) for output in outputs)

    def evaluated(cell: Cell, conditions: tuple[str, ...]) -> int:
        setting = Setting(conditions, cell.severity_value, 2021)
        table, metadata = evaluate_cell(
            subject,
            dict.fromkeys(conditions, store),
            cell,
            setting,
            evaluator(cell.perturbation),
            protocol=protocol_of(cell.perturbation),
            batch_size=size,
            precision=precision,
        )
        if metadata["smallest_batch_size"] != size:
            raise ValueError(f"--batch-size is {size}; only fewer fit into the memory")
        return int(table.num_rows)

    def clean(_: int) -> int:
        return evaluated(Cell("model", "made", "none", "0"), ("none",))

    def corrupted(number: int) -> int:
        count, names = arguments.conditions, BENCHMARK_CORRUPTIONS
        chosen = tuple(names[(number * count + place) % len(names)] for place in range(count))
        return evaluated(Cell("model", "made", "corruptions", "3"), chosen)

    return {_UNIT: forward, "clean": clean, "corrupted, severity 3": corrupted}


@torch.inference_mode()
def _prepared(subject: Subject, store: ImageStore, size: int) -> Iterable[Tensor]:
    for images in store.batches(size):
        yield subject.classifier.prepare(images.pixels.to(subject.device))


def _rows(
    label: str,
    store: ImageStore,
    device: torch.device,
    precision: str,
    arguments: argparse.Namespace,
) -> list[tuple[str, str, float, float]]:
    """Return for each run its images/s and its fraction of the unit's, medians over the rounds."""
    subject = make_subject(label, device, is_compiled=arguments.compile)
    runs = _runs(subject, store, precision, arguments)
    for run in runs.values():  # compilation, caches and tables are made once
        run(0)
    # Seconds of the CPU itself, of all threads: others' work on the machine does not count.
    clock = time.process_time if device.type == "cpu" else time.perf_counter

    def seconds_an_image(run: Callable[[int], int], number: int) -> float:
        start = clock()
        num_images = run(number)
        return (clock() - start) / num_images

    times = beside_unit(runs, _UNIT, arguments.rounds, seconds_an_image)
    return [(label, what, 1 / seconds, 1 / ratio) for what, (seconds, ratio) in times.items()]


if __name__ == "__main__":
    main()
