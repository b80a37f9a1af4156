"""Time of a sweep over lesions, as a fraction of evaluating every lesion from the pixels.

Usage: ``python -m benchmarks.lesions`` (some three minutes). Both sides run the same networks with
the same layers left out, on one thread and in one process. They take turns, and a ratio is the
median over the turns of one's CPU time over the other's next to it, so that a busy machine does not
favour one. The prefix alone is a third side: every sample shares what lies before its first lesion
and nothing else. Predictions that differ between the sides are counted; the largest difference of a
logit is given in units of the logits' standard deviation.
"""

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.timing import (
    EMBEDDED,
    cpu_seconds,
    random_classifier,
    random_network,
    soft_pixels,
)
from perturb.datasets.store import Images
from perturb.evaluation.outcome import Setting
from perturb.experiments.lesions.evaluate import head_outcomes, lesion_outcomes
from perturb.experiments.lesions.plans import PARTS, head_sets, lesion_sets
from perturb.experiments.lesions.surgery import without, without_heads
from perturb.experiments.options import default_of
from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier
from perturb.models.timm_modules import VisionTransformer

_SEED = 0


@dataclass(frozen=True)
class Subject:
    """A row of the table: images in a batch, turns of both sides, numbers of removed layers."""

    batch: int
    turns: int
    removals: tuple[int, ...]
    side: int = 32


# The embedded networks, and one of ImageNet's size.
_TINY = "ViT-Ti/16, 224 px"
_SUBJECTS = {
    "ViT-S/8": Subject(64, 9, (1, 2)),
    "ViT-S/4": Subject(64, 5, (1, 2)),
    "ViT-B/8": Subject(64, 5, (1, 2, 3)),
    "ResNet-S": Subject(64, 9, (1, 2)),
    "ResNet-B": Subject(64, 5, (1, 2, 4)),
    _TINY: Subject(2, 2, (1, 6), side=224),
}


def make_classifier(name: str) -> Classifier:
    """Return the network with random weights."""
    if name != _TINY:
        return random_network(*EMBEDDED[name], side=32)
    network = VisionTransformer(
        patch_size=16, embed_dim=192, depth=12, num_heads=3, num_classes=1000
    )
    return random_classifier(network, 224)


def make_images(subject: Subject) -> Images:
    """Return smooth random pictures of the network's size."""
    numbers = torch.arange(subject.batch)
    return Images(soft_pixels(subject.side, subject.batch), numbers, torch.zeros_like(numbers))


def _lesions(classifier: Classifier, setting: Setting) -> Iterator[tuple[str, tuple[int, ...]]]:
    removable, n = anatomy(classifier.network).removable, int(setting.severity)
    for part in setting.conditions:
        sets = lesion_sets(removable, n, default_of("lesions", "samples"), setting.seed, part)
        yield from ((part, blocks) for blocks in sets.values())


def from_pixels(classifier: Classifier, images: Images, setting: Setting) -> list[Tensor]:
    """Return the logits of every lesion, each from the pixels."""
    results = []
    if setting.conditions == ("head",):
        body = anatomy(classifier.network)
        for heads in head_sets(body.num_blocks, body.num_heads).values():
            with without_heads(classifier, [heads]):
                results.append(classifier(images.pixels))
        return results
    for part, blocks in _lesions(classifier, setting):
        with without(classifier, blocks, part):
            results.append(classifier(images.pixels))
    return results


def from_prefix(classifier: Classifier, images: Images, setting: Setting) -> list[Tensor]:
    """Return the logits of every lesion, each from its first removed block."""
    body = anatomy(classifier.network)
    inputs = [body.embed(classifier, images.pixels)]
    for block in body.blocks[:-1]:
        inputs.append(block(inputs[-1]))
    results = []
    for part, blocks in _lesions(classifier, setting):
        with without(classifier, blocks, part):
            results.append(body.head(body.run(inputs[blocks[0]], blocks[0])))
    return results


def shared(classifier: Classifier, images: Images, setting: Setting) -> list[Tensor]:
    """Return the logits of every lesion as the study computes them."""
    evaluate = head_outcomes if setting.conditions == ("head",) else lesion_outcomes
    return [outcome.logits for outcome in evaluate(classifier, images, setting)]


def measure(classifier: Classifier, images: Images, setting: Setting, turns: int) -> str:
    """Return the cells of a row: lesions, milliseconds, ratios, what differs."""
    sides = [from_pixels, shared]
    if setting.conditions != ("head",):
        sides.append(from_prefix)
    logits = [torch.stack(side(classifier, images, setting)) for side in sides]  # also to warm up
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(turns):
        for side, taken in zip(sides, seconds, strict=True):
            taken.append(cpu_seconds(partial(side, classifier, images, setting)))
    ratios = [
        statistics.median(own / naive for own, naive in zip(taken, seconds[0], strict=True))
        for taken in seconds[1:]
    ]
    differing = (logits[0].argmax(dim=2) != logits[1].argmax(dim=2)).sum().item()
    distance = (logits[0] - logits[1]).abs().max() / logits[0].std()
    prefix = f"{ratios[1]:8.2f}" if len(ratios) > 1 else f"{'-':>8s}"
    naive_ms = statistics.median(seconds[0]) * 1e3
    cells = f"{len(logits[0]):8d}{naive_ms:10.0f}{prefix}{ratios[0]:8.2f}"
    return f"{cells}{differing:8d}{distance:10.0e}"


def main() -> None:
    """Write the table to standard output, row by row."""
    torch.set_num_threads(1)
    header = f"{'network':<20s}{'removed':<26s}{'lesions':>8s}{'pixels ms':>10s}"
    sys.stdout.write(f"{header}{'prefix':>8s}{'shared':>8s}{'differ':>8s}{'distance':>10s}\n")
    for name, subject in _SUBJECTS.items():
        classifier, images = make_classifier(name), make_images(subject)
        parts = PARTS[anatomy(classifier.network).family]
        settings = {f"{n} of {', '.join(parts)}": (parts, n) for n in subject.removals}
        if "mlp" in parts:
            settings["1 head"] = (("head",), 1)
        for removed, (conditions, n) in settings.items():
            setting = Setting(conditions, n, _SEED)
            with torch.inference_mode():
                cells = measure(classifier, images, setting, subject.turns)
            sys.stdout.write(f"{name:<20s}{removed:<26s}{cells}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
