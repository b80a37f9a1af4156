"""The work that `benchmarks.gpu` measures, in groups that share a unit."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.full_networks import make_subject, with_targets
from benchmarks.precisions import whole_passes
from perturb.datasets.store import Images, ImageStore
from perturb.evaluation.batches import batches_on
from perturb.evaluation.cell import Cell
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.evaluation.outcome import Setting
from perturb.evaluation.together import evaluate_together
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.attack_ensemble import apgd_ce, square
from perturb.experiments.corruptions.corruptions import corrupt, jpeg_pass
from perturb.experiments.corruptions.names import BENCHMARK_CORRUPTIONS
from perturb.experiments.registry import evaluator, protocol_of
from perturb.models.classifier import Classifier
from perturb.models.compiled import CompiledClassifier
from perturb.models.precision import autocast, hold_in_bfloat16, resolve_precision
from perturb.models.precisions import fastest_precision
from perturb.models.zoo import kind_of

# Does something, and returns of how many images or passes it was.
Work = Callable[[], int]

_SEED = 2021
_QUALITY = 85  # of the published files of ImageNet-C
_STEPS = 8
_EPSILON = 1e-9  # tiny: all images stay correct, so that the number of passes is the full one
_BARE, _GRADIENT = "bare network", "forward + backward"


@dataclass(frozen=True)
class Group:
    """Works that are measured beside one of them, the unit; goal is a name in `GOALS`."""

    unit: str
    works: Mapping[str, Work]
    goal: str = ""


@dataclass(frozen=True)
class Bench:
    """A network, as a job evaluates it, and images that it gets right."""

    subject: Subject
    store: ImageStore
    precision: str
    batch_size: int

    def bare(self) -> Work:
        """Return the network's own passes over prepared images that lie on the device."""
        classifier, device = self.subject.classifier, self.subject.device
        whole_pass: Callable[[Tensor], Tensor] = classifier.network
        if isinstance(classifier, CompiledClassifier):
            whole_pass = torch.compile(classifier.network)
        with torch.inference_mode(), autocast(self.precision, device):
            resident = [
                classifier.prepare(images.pixels)
                for images in batches_on(device, self.store, self.batch_size)
            ]

        @torch.inference_mode()
        def work() -> int:
            with autocast(self.precision, device):
                return sum(len(whole_pass(batch)) for batch in resident)

        return work

    def cell(
        self,
        perturbation: str,
        severity: str,
        conditions: tuple[str, ...],
        batch_size: int | None = None,
        **options: Any,
    ) -> Work:
        """Return the evaluation of a cell, from the decoded dataset to the rows of its shard.

        It is counted in the images of all passes.
        """
        cell = Cell("model", "made", perturbation, severity)
        setting = Setting(conditions, cell.severity_value, _SEED, options)
        size = batch_size or self.batch_size

        def work() -> int:
            with counted_images(self.subject.classifier) as counts:
                table, metadata = evaluate_cell(
                    self.subject,
                    dict.fromkeys(conditions, self.store),
                    cell,
                    setting,
                    evaluator(perturbation),
                    protocol=protocol_of(perturbation),
                    batch_size=size,
                    precision=self.precision,
                )
            if metadata["smallest_batch_size"] != size:
                raise ValueError(f"batches of {size}: only fewer images fit into the memory")
            # Passes block by block do not go through the classifier: a row each.
            return max(sum(counts), int(table.num_rows))

        return work

    def together(self, num_models: int) -> Work:
        """Return the 15 corruptions for several models, which are this one, in one pass."""
        cells = [Cell(f"{number}", "made", "corruptions", "3") for number in range(num_models)]
        subjects = dict.fromkeys(cells, self.subject)
        setting = Setting(BENCHMARK_CORRUPTIONS, 3, _SEED)

        def work() -> int:
            found = evaluate_together(
                subjects,
                dict.fromkeys(BENCHMARK_CORRUPTIONS, self.store),
                setting,
                evaluator("corruptions"),
                protocol=protocol_of("corruptions"),
                batch_size=self.batch_size,
                precisions=dict.fromkeys(cells, self.precision),
            )
            count = 0
            for result in found.values():
                if isinstance(result, Exception):
                    raise result
                count += int(result[0].num_rows)
            return count

        return work

    def precisions(self) -> dict[str, Work]:
        """Return passes of the network in each precision, compiled on a GPU and not."""
        device, label = self.subject.device, self.subject.card.model
        found: dict[str, Work] = {}
        for is_compiled in (True, False) if device.type == "cuda" else (False,):
            passes = whole_passes(label, device, self.batch_size, is_compiled=is_compiled)
            suffix = ", compiled" if is_compiled else ""
            found |= {f"{precision}{suffix}": work for precision, work in passes.items()}
        return found

    def attacks(self) -> dict[str, Work]:
        """Return attacks of a batch on the device, counted in steps an image."""
        classifier, targets = self.subject.classifier, self._batch.targets
        pixels = self._batch.pixels.float() / 255
        given = classifier, pixels, targets, _EPSILON
        keys = self._batch.keys

        def one_pass() -> Tensor:
            with gradients.frozen(classifier):
                images = pixels.detach().requires_grad_()
                loss = F.cross_entropy(classifier(images), targets, reduction="sum")
                return torch.autograd.grad(loss, images)[0]

        def counted(attack: Callable[[], object]) -> Work:
            def work() -> int:
                with autocast(self.precision, self.subject.device):
                    attack()
                return len(targets) * _STEPS

            return work

        return {
            _GRADIENT: counted(lambda: [one_pass() for _ in range(_STEPS)]),
            "PGD, a step": counted(lambda: gradients.pgd(*given, steps=_STEPS)),
            "APGD, a step": counted(lambda: apgd_ce(*given, keys=keys, steps=_STEPS - 1)),
            "Square, a query": counted(lambda: square(*given, keys=keys, queries=_STEPS)),
        }

    def corruption(self, name: str) -> Work:
        """Return a corruption of a batch on the device, at severity 3."""
        return self._pixels(lambda images: corrupt(images.pixels, name, 3, images.keys, _SEED))

    def jpeg_pass(self) -> Work:
        """Return the JPEG pass of ImageNet-C on a batch on the device."""
        return self._pixels(lambda images: jpeg_pass(images.pixels, _QUALITY))

    def reading(self) -> Work:
        """Return the way of all images from the decoded dataset to the device."""

        def work() -> int:
            batches = batches_on(self.subject.device, self.store, self.batch_size)
            return sum(len(images.keys) for images in batches)

        return work

    @property
    def is_vit(self) -> bool:
        """Whether attention can be restricted."""
        return hasattr(self.subject.classifier.network, "patch_embed")

    @cached_property
    def _batch(self) -> Images:
        return next(iter(batches_on(self.subject.device, self.store, self.batch_size)))

    def _pixels(self, change: Callable[[Images], object]) -> Work:
        def work() -> int:
            change(self._batch)
            return len(self._batch.keys)

        return work


@contextmanager
def counted_images(classifier: Classifier) -> Iterator[list[int]]:
    """Yield a list that gets the number of images of every pass within a `with` statement."""
    forward, counts = classifier.forward, list[int]()

    def counting(images: Tensor) -> Tensor:
        counts.append(len(images))
        return forward(images)

    with patch.object(classifier, "forward", counting):
        yield counts


def make_bench(label: str, store: ImageStore, arguments: argparse.Namespace) -> Bench:
    """Return a network as a job evaluates it, with its own predictions as targets."""
    device = torch.device(arguments.device)
    subject = make_subject(label, device, is_compiled=device.type == "cuda")
    precision = _precision(arguments.precision, subject)
    if precision == "pure_bfloat16":
        hold_in_bfloat16(subject.classifier.network)
    with torch.inference_mode(), autocast(precision, device):
        predicted = [
            subject.classifier(images.pixels).argmax(dim=1)
            for images in batches_on(device, store, arguments.batch_size)
        ]
    store = with_targets(store, torch.cat(predicted).tolist())
    return Bench(subject, store, precision, arguments.batch_size)


def _precision(asked: str, subject: Subject) -> str:
    """Return the precision of a job: of `auto` on a GPU that of the network's family."""
    precision = resolve_precision(asked, subject.device)
    if asked == "auto" and precision == "bfloat16":
        return fastest_precision(kind_of(subject.classifier.network))
    return precision


def groups(bench: Bench) -> Iterator[Group]:
    """Yield all groups of a network, the most important first."""
    bare, small = bench.bare(), max(1, bench.batch_size // 4)
    corrupted = partial(bench.cell, "corruptions", "3", BENCHMARK_CORRUPTIONS)
    clean = partial(bench.cell, "none", "0", ("none",))
    yield Group(
        _BARE,
        {_BARE: bare, "clean": clean(), f"clean, batches of {small}": clean(batch_size=small)},
        "clean",
    )
    yield Group(
        _BARE,
        {
            _BARE: bare,
            "15 corruptions": corrupted(),
            f"15 corruptions, batches of {small}": corrupted(batch_size=small),
            "15 corruptions, JPEG pass": corrupted(jpeg_quality=_QUALITY),
            "15 corruptions, 4 models together": bench.together(4),
        },
        "corrupted",
    )
    attacks = bench.attacks()
    yield Group(_GRADIENT, attacks, "attack")
    # Passes of all stages, most of them with a gradient.
    gradient = attacks[_GRADIENT]
    steps = {"steps": _STEPS}
    yield Group(
        _GRADIENT,
        {
            _GRADIENT: gradient,
            "PGD, whole cell": bench.cell("pgd", "1e-09", ("pgd",), **steps),
            "APGD, whole cell": bench.cell("attack_ensemble", "1e-09", ("apgd_ce",), **steps),
        },
    )
    changed = {"spatial grid": bench.cell("spatial", "1", ("grid",), rotations=5, translations=3)}
    if bench.is_vit:
        changed["restricted attention"] = bench.cell("restricted_attention", "3", ("window",))
    yield Group(_BARE, {_BARE: bare, **changed})
    kinds = {f"{name} alone": bench.corruption(name) for name in BENCHMARK_CORRUPTIONS}
    yield Group(
        _BARE,
        {_BARE: bare, "reading alone": bench.reading(), "JPEG pass alone": bench.jpeg_pass()}
        | kinds,
    )
    precisions = bench.precisions()
    unit = next(name for name in precisions if name.startswith("bfloat16"))
    yield Group(unit, precisions)
