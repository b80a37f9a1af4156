"""Time of each corruption per image, on one thread, compared with one forward pass at 32 px.

Usage: ``python -m benchmarks.corruptions`` (some 30 seconds). Times are CPU time, the fastest of
several runs, averaged over the five severities; draws and, where there are, tables are included.
The forward pass is that of an encoder of the embedded ViT-S/8's size (width 64, depth 4).

``--form device`` measures the form for a GPU, on the CPU; ``--kernels`` (a minute) counts its
kernels, host synchronisations and copies to the device of a batch.

``--peers`` (a minute; ``make bench-peers`` has the environment for it) sets the 15 corruptions at
224 px beside the published code and its fast fork, imagecorruptions-imaug. The three take turns, so
that a noisy machine is equally noisy to all; ours works on a batch, they on one image at a time.
"""

import argparse
import importlib
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.timing import cpu_seconds, fastest_us, soft_pixels
from perturb import random
from perturb.experiments.corruptions.corruptions import (
    BENCHMARK_CORRUPTIONS,
    CORRUPTIONS,
    corrupt,
    jpeg_pass,
)
from perturb.experiments.corruptions.names import JPEG_QUALITY
from tests.peers import published

# side_px: images a batch
_BATCHES = {32: 256, 224: 8}
_REPEATS = 3
_PATCH = 8
_SEVERITIES = range(1, 6)

# Corrupts under a name and a severity; how many images a call.
Implementation = tuple[Callable[[str, int], object], int]


def make_keys(count: int) -> Tensor:
    """Return one key for each image."""
    return torch.tensor([random.image_key(str(i)) for i in range(count)])


def corruption_us(corruption: str, images: Tensor, *, on_device: bool) -> float:
    """Return the mean over the severities."""
    keys = make_keys(len(images))
    change = partial(corrupt, images, corruption, image_keys=keys, seed=0, on_device=on_device)
    times = [
        fastest_us(partial(change, severity=severity), len(images)) for severity in _SEVERITIES
    ]
    return sum(times) / len(times)


def forward_us(images: Tensor) -> float:
    """Return one forward pass of a ViT-S/8's encoder."""
    layer = nn.TransformerEncoderLayer(64, 2, 128, dropout=0, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False).eval()
    embed = nn.Conv2d(3, 64, _PATCH, _PATCH)

    def forward() -> Tensor:
        tokens: Tensor = encoder(embed(images.float() / 255).flatten(2).transpose(1, 2))
        return tokens

    with torch.inference_mode():
        return fastest_us(forward, len(images))


def own_table(*, on_device: bool) -> list[str]:
    """Return the lines of all 19 at both sizes, with floors to compare with."""
    columns = {}
    for side, count in _BATCHES.items():
        images = soft_pixels(side, count)
        columns[side] = {
            name: corruption_us(name, images, on_device=on_device) for name in CORRUPTIONS
        }
        columns[side]["sum of the 15"] = sum(columns[side][n] for n in BENCHMARK_CORRUPTIONS)
        columns[side]["mean of the 19"] = sum(columns[side][n] for n in CORRUPTIONS) / 19
        one_pass = partial(jpeg_pass, images, JPEG_QUALITY, on_device)
        columns[side]["JPEG pass"] = fastest_us(one_pass, count)
        columns[side]["copy of the bytes"] = fastest_us(images.clone, count)
    forward = forward_us(soft_pixels(32, _BATCHES[32]))
    lines = [f"{'us an image':20s}{'32 px':>10s}{'forwards':>10s}{'224 px':>10s}"]
    for name, small in columns[32].items():
        lines.append(f"{name:20s}{small:10.1f}{small / forward:10.2f}{columns[224][name]:10.0f}")
    lines.append(f"{'one forward':20s}{forward:10.1f}{1:10.2f}")
    return lines


def kernel_counts(corruption: str, severity: int, images: Tensor) -> tuple[int, int, int]:
    """Return the kernels, host synchronisations and copies to the device of the second batch."""
    change = partial(corrupt, images, corruption, severity, make_keys(len(images)), 0)
    change(on_device=True)
    with importlib.import_module("tests.device_counts").counted() as counts:
        change(on_device=True)
    return counts.kernels, counts.syncs, counts.uploads


def kernel_table() -> list[str]:
    """Return the lines of all 19: the most kernels of a severity, by the size of the batch."""
    batches = [(32, 8), (32, 256), (224, 2), (224, 8)]
    heads = "".join(f"{f'{side} px x {count}':>14s}" for side, count in batches)
    lines = [f"{'kernels a batch':20s}{heads}{'syncs':>8s}{'copies':>8s}"]
    for name in CORRUPTIONS:
        found = [
            [kernel_counts(name, severity, soft_pixels(side, count)) for severity in _SEVERITIES]
            for side, count in batches
        ]
        kernels = "".join(f"{max(counts)[0]:14d}" for counts in found)
        waits, copies = (sum(c[i] for counts in found for c in counts) for i in (1, 2))
        lines.append(f"{name:20s}{kernels}{waits:8d}{copies:8d}")
    return lines


def implementations() -> dict[str, Implementation]:
    """Return what the peer table compares."""
    side, count = 224, _BATCHES[224]
    images = soft_pixels(side, count)
    keys = torch.tensor([random.image_key(str(i)) for i in range(count)])
    pixels = np.ascontiguousarray(images[0].permute(1, 2, 0).numpy())
    theirs, fork = published.load(), importlib.import_module("imagecorruptions")

    def run_published(name: str, severity: int) -> object:
        return np.uint8(getattr(theirs, name)(Image.fromarray(pixels), severity))

    return {
        "ours": (lambda name, severity: corrupt(images, name, severity, keys, 0), count),
        "published": (run_published, 1),
        "fork": (lambda name, severity: fork.corrupt(pixels, severity, name), 1),
    }


def peers_ms(corruption: str, peers: dict[str, Implementation]) -> dict[str, float]:
    """Return the milliseconds of CPU time an image, the mean over the severities."""
    totals = dict.fromkeys(peers, 0.0)
    for severity in _SEVERITIES:
        fastest = dict.fromkeys(peers, float("inf"))
        for _ in range(_REPEATS + 1):  # one to warm up
            for peer, (run, num_images) in peers.items():
                seconds = cpu_seconds(partial(run, corruption, severity)) / num_images
                fastest[peer] = min(fastest[peer], seconds)
        for peer, seconds in fastest.items():
            totals[peer] += seconds * 1e3 / len(_SEVERITIES)
    return totals


def peer_table() -> list[str]:
    """Return the lines of the 15, and how many times as long the others take."""
    importlib.import_module("cv2").setNumThreads(1)
    peers = implementations()
    table = {name: peers_ms(name, peers) for name in BENCHMARK_CORRUPTIONS}
    total = {peer: sum(ms[peer] for ms in table.values()) for peer in peers}
    rest = {peer: total[peer] - table["glass_blur"][peer] for peer in peers}
    table |= {"all but glass_blur": rest, "sum of the 15": total}
    heads = "".join(f"{peer:>11s}" for peer in peers)
    lines = [f"{'ms an image':20s}{heads}{'published/ours':>16s}{'fork/ours':>11s}"]
    for name, ms in table.items():
        figures = "".join(f"{ms[peer]:11.2f}" for peer in peers)
        ratios = f"{ms['published'] / ms['ours']:16.1f}{ms['fork'] / ms['ours']:11.1f}"
        lines.append(f"{name:20s}{figures}{ratios}")
    return lines


def main(arguments: list[str]) -> None:
    """Write one of the tables to standard output."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corruptions")
    parser.add_argument("--form", choices=("host", "device"), default="host")
    tables = parser.add_mutually_exclusive_group()
    tables.add_argument("--kernels", action="store_true")
    tables.add_argument("--peers", action="store_true")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if asked.peers:
        lines = peer_table()
    elif asked.kernels:
        lines = kernel_table()
    else:
        lines = own_table(on_device=asked.form == "device")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
