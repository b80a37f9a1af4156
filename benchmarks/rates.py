"""Images per second of passes, trainings, corruptions and rendering, for `perturb cost`.

Run: ``python -m benchmarks.rates --device cpu``; it prints rows of resources/rates.csv. On a CPU
one thread, as the study's jobs run, and its own time, so that other work on the machine counts
little. Networks have random weights: speed does not depend on them. `forward` is a prediction,
`gradient` a forward and a backward pass to the pixels, `training` a step of the study's own
training, `corruption` the mean over all corruptions and severities, `rendering` the generated
images of a streamed dataset, as many at once as a training asks for.
"""

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import EMBEDDED
from perturb import provenance
from perturb.cost.rates import COLUMNS
from perturb.datasets.streamed import StreamedImages
from perturb.experiments.attacks.gradients import frozen, loss_gradient
from perturb.experiments.corruptions.corruptions import corrupt
from perturb.experiments.corruptions.names import CORRUPTIONS
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.network_size import resnet_size, vit_size
from perturb.models.recipes import RECIPES
from perturb.models.training import Phase, train
from perturb.models.training_images import Draw, LabelledImages, no_moves

_SECONDS = 1.0  # that a measurement takes at least
_ROUNDS = 3


@dataclass(frozen=True)
class _Measured:
    """A network whose speed is measured, in images of one side [px]."""

    name: str
    family: str
    arguments: Mapping[str, Any]
    side: int
    batch_size: int


_VIT_FULL = {"embed_dim": 768, "depth": 12, "num_heads": 12, "mlp_ratio": 4, "patch_size": 16}
_BIT_50X1 = {"layers": [3, 4, 6, 3], "channels": [256, 512, 1024, 2048]}
_NETWORKS = (
    *(_Measured(name, *network, 32, 250) for name, network in EMBEDDED.items()),
    _Measured("ViT-B/16", "vit", _VIT_FULL, 224, 4),
    _Measured("ResNet-50x1", "resnet", _BIT_50X1 | {"num_groups": 32, "stem_channels": 64}, 224, 4),
)


def images_per_second(work: Callable[[], object], num_images: int, device: torch.device) -> float:
    """Return the median over rounds of at least a second each."""
    work()
    rates = []
    for _ in range(_ROUNDS):
        started, done = _seconds(device), 0
        while _seconds(device) - started < _SECONDS:
            work()
            done += num_images
        rates.append(done / (_seconds(device) - started))
    return statistics.median(rates)


def _seconds(device: torch.device) -> float:
    """Return the time of a clock; on a CPU that of one thread, which excludes other work."""
    _wait_for(device)
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _tasks(network: _Measured, device: torch.device, scale: int) -> Iterator[dict[str, Any]]:
    """Yield each measured task of a network, with its speed."""
    num_classes = 10 if network.side == 32 else 1000
    built = build_network(network.family, network.arguments, num_classes, network.side)
    classifier = Classifier(built, Preprocessing(side=network.side)).to(device).eval()
    count = vit_size if network.family == "vit" else resnet_size
    flops = count(network.arguments, network.side, num_classes)[1]
    batch = network.batch_size * scale
    generator = torch.Generator().manual_seed(0)
    shape = (batch, 3, network.side, network.side)
    pixels = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    targets = torch.arange(batch) % num_classes
    on_device, labels = pixels.to(device), targets.to(device)
    floats = on_device.float() / 255

    @torch.inference_mode()
    def predict() -> Tensor:
        logits: Tensor = classifier(on_device)
        return logits

    def gradient() -> Tensor:
        with frozen(classifier):
            return loss_gradient(classifier, floats, labels)

    def step() -> None:
        data = LabelledImages(pixels.numpy(), targets)
        train(classifier, Phase(data, batch), RECIPES[network.family], seed=0, name="rate/training")

    works = {"forward": predict, "gradient": gradient}
    for task, work in (works | ({"training": step} if network.side == 32 else {})).items():
        rate = images_per_second(work, batch, device)
        yield {"task": task, "forward_gflops": round(flops / 1e9, 6), "images_per_s": rate}


def _corruption_rate(side: int, batch: int, device: torch.device) -> float:
    """Return images per second, as the mean over corruptions and severities of the time."""
    pixels = torch.randint(256, (batch, 3, side, side), dtype=torch.uint8).to(device)
    keys = torch.arange(batch, device=device)
    for name in CORRUPTIONS:
        corrupt(pixels, name, 3, keys, 0)  # what is made once
    started, done = _seconds(device), 0
    for name in CORRUPTIONS:
        for severity in range(1, 6):
            corrupt(pixels, name, severity, keys, 0)
            done += batch
    return done / (_seconds(device) - started)


def _rendering_rate(device: torch.device) -> float:
    """Return images per second of a core that renders in the steps of a ViT's training."""
    size = RECIPES["vit"].batch_size
    options = {"set": "upstream", "split": "train", "classes": 48}
    order = torch.randperm(8 * size, generator=torch.Generator().manual_seed(0))
    draws = [Draw(part, no_moves(size)) for part in torch.split(order, size)]
    images = StreamedImages(options, len(order), seed=0)
    return images_per_second(lambda: list(images.batches(draws)), len(order), device)


def main() -> None:
    """Write the rows to standard output as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", type=int, default=1, help="multiplies the batches")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    name = "cpu-core" if device.type == "cpu" else provenance.device_name(device)
    common = {"device": name, "precision": "float32"}
    rows = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for network in _NETWORKS:
        for row in _tasks(network, device, arguments.scale):
            about = {"family": network.family, "network": network.name, "side_px": network.side}
            row["images_per_s"] = f"{row['images_per_s']:.4g}"
            rows.writerow(common | about | row)
            sys.stdout.flush()
    for side, batch in ((32, 100), (224, 8)):
        rate = _corruption_rate(side, batch * arguments.scale, device)
        row = {"task": "corruption", "side_px": side, "images_per_s": f"{rate:.4g}"}
        rows.writerow(common | row)
    if device.type == "cpu":
        row = {"task": "rendering", "side_px": 32}
        rows.writerow(common | row | {"images_per_s": f"{_rendering_rate(device):.4g}"})


if __name__ == "__main__":
    main()
