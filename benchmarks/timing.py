"""What several benchmarks share: clocks, soft pictures, and the networks of the embedded study."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing

T = TypeVar("T")

NUM_CLASSES = 12
_VIT_S = {"embed_dim": 64, "depth": 4, "num_heads": 2, "mlp_ratio": 2}
_VIT_B = {"embed_dim": 96, "depth": 6, "num_heads": 3, "mlp_ratio": 2}
_RESNET_S = {"layers": [2, 2, 2], "channels": [32, 64, 128], "num_groups": 4, "stem_channels": 32}
_RESNET_B = {"layers": [3, 4, 3], "channels": [64, 128, 256], "num_groups": 8, "stem_channels": 32}
# Family and arguments of the embedded networks, for images of 32 px.
EMBEDDED: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT-S/8": ("vit", _VIT_S | {"patch_size": 8}),
    "ViT-S/4": ("vit", _VIT_S | {"patch_size": 4}),
    "ViT-B/8": ("vit", _VIT_B | {"patch_size": 8}),
    "ResNet-S": ("resnet", _RESNET_S),
    "ResNet-B": ("resnet", _RESNET_B),
}


def random_classifier(network: nn.Module, side: int) -> Classifier:
    """Return a network as a classifier, with random weights also where training starts from zeros.

    Parameters
    ----------
    side : of the network's input [px].
    """
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return Classifier(network, Preprocessing(side)).eval()


def random_network(family: str, arguments: Mapping[str, Any], side: int) -> Classifier:
    """Return a classifier of an embedded architecture with random weights."""
    return random_classifier(build_network(family, arguments, NUM_CLASSES, side), side)


def soft_pixels(side: int, count: int) -> Tensor:
    """Return smooth random pictures, uint8 (count, 3, side, side): noise would flatter no one."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255
    return nn.functional.interpolate(coarse, size=side, mode="bilinear").to(torch.uint8)


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of one run."""
    start = time.process_time()
    run()
    return time.process_time() - start


def fastest_us(run: Callable[[], object], num_images: int, repeats: int = 3) -> float:
    """Return the microseconds of CPU time an image of the fastest run, after one to warm up."""
    run()
    return min(cpu_seconds(run) for _ in range(repeats)) / num_images * 1e6


def beside_unit(
    runs: Mapping[str, T], unit: str, num_rounds: int, measure: Callable[[T, int], float]
) -> dict[str, tuple[float, float]]:
    """Return the median of each run, and of its ratio to the unit, over the rounds.

    Each run stands between two runs of the unit and is divided by their mean, so that other work on
    the machine affects both alike. The ratio of the unit itself shows the noise.

    Parameters
    ----------
    unit : the name of the unit among `runs`.
    measure : returns the time of a run, given the number of the round.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    before = measure(runs[unit], 0)
    for number in range(num_rounds):
        for name, run in runs.items():
            own, after = measure(run, number), measure(runs[unit], number)
            found[name].append((own, 2 * own / (before + after)))
            before = after
    return {
        name: (statistics.median(own for own, _ in pairs), statistics.median(r for _, r in pairs))
        for name, pairs in found.items()
    }
