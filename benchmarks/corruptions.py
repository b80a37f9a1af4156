"""How long each corruption takes an image, on one thread, beside one forward pass at 32 px.

Usage: ``python -m benchmarks.corruptions`` (some 30 seconds). Times are CPU time, the fastest of
several runs, averaged over the five severities; draws and, where there are, tables are included.
The forward pass is that of an encoder of the embedded ViT-S/8's size (width 64, depth 4).
"""

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from perturb import random
from perturb.perturbations.corruptions import BENCHMARK_CORRUPTIONS, CORRUPTIONS, corrupt

# side_px: images a batch
_BATCHES = {32: 256, 224: 8}
_REPEATS = 3
_PATCH = 8


def fastest_us(run: Callable[[], object], num_images: int) -> float:
    """Return the microseconds of CPU time an image of the fastest run, after one to warm up."""
    run()
    seconds = []
    for _ in range(_REPEATS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds) / num_images * 1e6


def make_images(side: int, count: int) -> Tensor:
    """Return smooth random pictures, uint8 (count, 3, side, side): noise would flatter no one."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 8, generator=generator) * 255
    return nn.functional.interpolate(coarse, size=side, mode="bilinear").to(torch.uint8)


def corruption_us(corruption: str, images: Tensor) -> float:
    """Return the mean over the severities."""
    keys = torch.tensor([random.image_key(str(i)) for i in range(len(images))])
    times = [
        fastest_us(lambda s=severity: corrupt(images, corruption, s, keys, 0), len(images))  # type: ignore[misc]
        for severity in range(1, 6)
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


def main() -> None:
    """Write the table to standard output."""
    torch.set_num_threads(1)
    columns = {}
    for side, count in _BATCHES.items():
        images = make_images(side, count)
        columns[side] = {name: corruption_us(name, images) for name in CORRUPTIONS}
        columns[side]["sum of the 15"] = sum(columns[side][n] for n in BENCHMARK_CORRUPTIONS)
        columns[side]["mean of the 19"] = sum(columns[side][n] for n in CORRUPTIONS) / 19
        columns[side]["copy of the bytes"] = fastest_us(images.clone, count)
    forward = forward_us(make_images(32, _BATCHES[32]))
    lines = [f"{'us an image':20s}{'32 px':>10s}{'forwards':>10s}{'224 px':>10s}"]
    for name, small in columns[32].items():
        lines.append(f"{name:20s}{small:10.1f}{small / forward:10.2f}{columns[224][name]:10.0f}")
    lines.append(f"{'one forward':20s}{forward:10.1f}{1:10.2f}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
