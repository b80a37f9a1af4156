"""Time of a point of the spatial grid relative to one forward pass, and savings of early exit.

Usage: ``python -m benchmarks.spatial`` (some three minutes). One run, one thread, CPU time. For the
first table only the cost of a pass matters: weights are random, and the fastest of several runs
counts. The second table needs networks that recognise something: it trains two of the embedded
study's for some ten seconds each, and takes one run of each search. Both compare with the warp as
it is usually written, torch's affine grid and a bilinear look-up for each of the 775 points.
"""

import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.timing import EMBEDDED, cpu_seconds, fastest_us, random_network, soft_pixels
from perturb.datasets.synthetic.generated import Batch, generate
from perturb.experiments.spatial.evaluate import worst_spatial
from perturb.experiments.spatial.transforms import (
    Transform,
    as_floats,
    rotated,
    spatial_grid,
    transform,
    translated,
)
from perturb.models.classifier import Classifier
from perturb.models.recipes import RECIPES
from perturb.models.training import Phase, pretrain_and_finetune
from perturb.models.training_images import LabelledImages

_NETWORKS: dict[str, tuple[str, dict[str, Any], int]] = {
    **{name: (*EMBEDDED[name], 32) for name in ("ViT-S/8", "ResNet-S")},
    "ViT-S/16": (
        "vit",
        {"patch_size": 16, "embed_dim": 384, "depth": 12, "num_heads": 6, "mlp_ratio": 4},
        224,
    ),
}
# side_px: images a batch
_BATCHES = {32: 120, 224: 8}


class Counting(Classifier):
    """A classifier that counts the images it is given."""

    num_images = 0

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K)."""
        self.num_images += len(images)
        return super().forward(images)


def naive_warp(pixels: Tensor, point: Transform) -> Tensor:
    """Return the transform of square images by an affine grid of its own."""
    radians = torch.tensor(point.rotation_deg).deg2rad()
    cos, sin = radians.cos(), radians.sin()
    x, y = -2 * point.x_px / pixels.shape[3], -2 * point.y_px / pixels.shape[2]
    theta = torch.stack([cos, -sin, cos * x - sin * y, sin, cos, sin * x + cos * y]).view(1, 2, 3)
    grid = F.affine_grid(theta.expand(len(pixels), -1, -1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)


def shared_warps(pixels: Tensor, points: list[Transform]) -> None:
    """Make the pixels of all points of one rotation, as the search does."""
    margin_px = max(abs(point.x_px) for point in points)
    canvas = rotated(pixels, points[0].rotation_deg, margin_px)
    for point in points:
        translated(canvas, margin_px, point).contiguous()


def cost_of_a_point(name: str) -> str:
    """Return a line of the first table: microseconds an image and point."""
    family, arguments, side = _NETWORKS[name]
    classifier, count = random_network(family, arguments, side), _BATCHES[side]
    pixels = as_floats(soft_pixels(side, count))
    points = [point for point in spatial_grid(side) if point.rotation_deg == 14]
    mixed = torch.tensor(spatial_grid(side)[:count]).T
    with torch.inference_mode():
        forward = fastest_us(lambda: classifier(pixels), count)
        ways = [
            fastest_us(lambda: shared_warps(pixels, points), count) / len(points),
            fastest_us(lambda: transform(pixels, *mixed), count),
            fastest_us(lambda: [naive_warp(pixels, point) for point in points], count)
            / len(points),
        ]
    cells = "".join(f"{way:10.1f} ({way / forward:5.3f})" for way in ways)
    return f"{name:10s}{side:4d} px{forward:9.0f}{cells}"


def train(name: str) -> Counting:
    """Return the network after a short training on the embedded images."""
    family, arguments, _ = _NETWORKS[name]
    fit, watched = (
        LabelledImages(batch.images.numpy(), batch.targets)
        for batch in (images_of("train", 2000), images_of("validation", 240))
    )
    classifier, _ = pretrain_and_finetune(
        family,
        arguments,
        {"training": Phase(fit, 16000)},
        watched,
        recipe=RECIPES[family],
        seed=2021,
        model_id=name,
        device=torch.device("cpu"),
    )
    return Counting(classifier.network, classifier.preprocessing).eval()


def images_of(split: str, count: int) -> Batch:
    """Return images of the embedded target set."""
    return generate("target", split, 2021, torch.arange(count))


def naive_search(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return the misclassified images, bool (B,), by a warp and a forward pass for each point."""
    pixels = as_floats(images)
    is_broken = torch.zeros(len(images), dtype=torch.bool)
    with torch.inference_mode():
        for point in spatial_grid(images.shape[3]):
            is_broken |= classifier(naive_warp(pixels, point)).argmax(dim=1) != targets
    return is_broken


def cost_of_a_search(name: str) -> str:
    """Return a line of the second table."""
    classifier, batch = train(name), images_of("validation", _BATCHES[32])
    grid, num_images = spatial_grid(32), len(batch.targets)
    worst = worst_spatial(classifier, batch.images, batch.targets, grid)
    forwards = classifier.num_images / num_images
    seconds = cpu_seconds(lambda: worst_spatial(classifier, batch.images, batch.targets, grid))
    published = sorted(grid, key=lambda point: (point.x_px, point.y_px, point.rotation_deg))
    classifier.num_images = 0
    worst_spatial(classifier, batch.images, batch.targets, published)
    in_published_order = classifier.num_images / num_images
    naive = cpu_seconds(lambda: naive_search(classifier, batch.images, batch.targets))
    robust = 1 - worst.is_broken.double().mean().item()
    return (
        f"{name:10s}{robust:8.3f}{forwards:10.1f}{in_published_order:10.1f}{len(grid):8d}"
        f"{seconds:10.2f}{naive:10.2f}{naive / seconds:8.1f}"
    )


def main() -> None:
    """Write both tables to standard output."""
    torch.set_num_threads(1)
    lines = ["us an image and point (beside a forward)"]
    lines += [f"{'':17s}{'forward':>9s}{'shared':>18s}{'mixed':>18s}{'naive warp':>18s}"]
    lines += [cost_of_a_point(name) for name in _NETWORKS]
    lines += ["", f"{'':18s}{'forwards an image':^28s}{'CPU seconds':^20s}"]
    head = f"{'':10s}{'robust':>8s}{'ours':>10s}{'published':>10s}{'all':>8s}"
    lines += [f"{head}{'ours':>10s}{'naive':>10s}{'ratio':>8s}"]
    lines += [cost_of_a_search(name) for name in ("ViT-S/8", "ResNet-S")]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
