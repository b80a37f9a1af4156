"""Training of the embedded models: pre-training on one dataset, fine-tuning on the target set.

Follows the scheme of ViT [1]_ and BiT [2]_: all weights are trained on the pre-training set, the
head is replaced by one of zeros, and all weights are fine-tuned on the target set, also if both are
the same. Deviations keep the time below a minute on one core: Muon instead of Adam or SGD, and
shifts by one or two pixels as the only augmentation.

Initial weights, the order of images and their augmentation depend on the seed of the study, the id
of the model and the phase alone: two runs with the same number of threads give the same weights,
bit by bit. Validation images only measure accuracy; test images are not used.

References
----------
.. [1] Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.
.. [2] Kolesnikov et al., "Big Transfer (BiT)", ECCV 2020.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.optimisers import build_optimisers
from perturb.models.progress import CurvePoint, Progress
from perturb.models.recipes import Recipe
from perturb.models.training_images import Draw, TrainingImages, no_moves
from perturb.random import image_key

_WARMUP = 0.1  # fraction of the steps of a phase
_NUM_POINTS = 4  # of the curve of a phase


@dataclass(frozen=True)
class Phase:
    """Training data, and the total number of images seen (rounded up to whole batches)."""

    data: TrainingImages
    num_samples: int


def pretrain_and_finetune(
    family: str,
    arguments: Mapping[str, Any],
    phases: Mapping[str, Phase],
    validation: TrainingImages,
    *,
    recipe: Recipe,
    seed: int,
    model_id: str,
    device: torch.device,
) -> tuple[Classifier, list[CurvePoint]]:
    """Return a trained classifier in evaluation mode, and the curves of its phases.

    Parameters
    ----------
    family, arguments : as of ``build_network``.
    phases : ``{"pretraining": ..., "finetuning": ...}``, or ``{"training": ...}`` from scratch.
    validation : images of the task of the last phase; accuracy on them is part of its curve.
    seed, model_id : seed of the study and id of the model, which determine all random draws.

    Raises
    ------
    ValueError
        If a loss is not finite, and as ``build_network``.
    """
    first, *_ = phases.values()
    *_, last_name = phases
    side = first.data.side
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(image_key(f"weights/{seed}/{model_id}"))
        network = build_network(family, arguments, first.data.num_classes, side)
    classifier = Classifier(network, Preprocessing.of_trained(side)).to(device)
    curve: list[CurvePoint] = []
    for name, phase in phases.items():
        replace_head(network, phase.data.num_classes)
        curve += train(
            classifier,
            phase,
            recipe.for_finetuning() if curve else recipe,
            seed=seed,
            name=f"{model_id}/{name}",
            validation=validation if name == last_name else None,
        )
    return classifier.eval(), curve


def train(
    classifier: Classifier,
    phase: Phase,
    recipe: Recipe,
    *,
    seed: int,
    name: str,
    validation: TrainingImages | None = None,
) -> list[CurvePoint]:
    """Train a classifier in place, on its own device, and return its curve.

    Parameters
    ----------
    seed, name : they determine the order of images and their augmentation; the name ends in
        ``/<phase>``.
    validation : images for the accuracy in every point of the curve; None for no accuracy.
    """
    generator = torch.Generator().manual_seed(image_key(f"training/{seed}/{name}"))
    device = classifier.mean.device
    optimisers = build_optimisers(
        classifier.network, recipe.matrix_learning_rate, recipe.learning_rate, recipe.weight_decay
    )
    num_steps = math.ceil(phase.num_samples / recipe.batch_size)
    progress = Progress(name, num_steps, recipe.batch_size)
    draws = _draws(phase.data.num_images, num_steps, recipe, generator)
    classifier.train()
    for step, (images, targets, moves) in enumerate(phase.data.batches(draws), start=1):
        logits = classifier(shift(images, moves).to(device))
        loss = nn.functional.cross_entropy(
            logits, targets.to(device), label_smoothing=recipe.label_smoothing
        )
        classifier.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step(_schedule(step, num_steps))
        progress.add(step, loss.item())
        if step * _NUM_POINTS // num_steps > len(progress.curve):
            progress.mark(step, None if validation is None else accuracy_on(classifier, validation))
    return progress.curve


def replace_head(network: nn.Module, num_classes: int) -> None:
    """Replace the head of a timm network by zeros for another task, as in BiT."""
    with torch.random.fork_rng(devices=[]):  # timm's random weights are overwritten
        network.reset_classifier(num_classes)  # type: ignore[operator]
    head = network.get_classifier()  # type: ignore[operator]
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    head.to(next(network.parameters()).device)


def accuracy_on(classifier: Classifier, data: TrainingImages, batch_size: int = 250) -> float:
    """Return top-1 accuracy, a fraction in [0, 1]."""
    was_training, num_correct = classifier.training, 0
    classifier.eval()
    draws = (Draw(part, no_moves(len(part))) for part in _in_order(data.num_images, batch_size))
    with torch.inference_mode():
        for images, targets, _ in data.batches(draws):
            predictions = classifier(images.to(classifier.mean.device)).argmax(dim=1)
            num_correct += int((predictions.cpu() == targets).sum())
    classifier.train(was_training)
    return num_correct / data.num_images


def _in_order(num_images: int, batch_size: int) -> Iterator[Tensor]:
    for start in range(0, num_images, batch_size):
        yield torch.arange(start, min(start + batch_size, num_images))


def shift(images: Tensor, moves: Tensor) -> Tensor:
    """Return images (B, C, H, W), each shifted by whole pixels, with reflected borders.

    moves : int64 (2, B, 1), down and to the right, less than the side.
    """
    B, C, H, W = images.shape
    rows = _reflect(torch.arange(H) + moves[0], H)  # (B, H)
    columns = _reflect(torch.arange(W) + moves[1], W)  # (B, W)
    sources = (rows[:, :, None] * W + columns[:, None]).reshape(B, 1, H * W)
    return images.flatten(2).gather(2, sources.expand(B, C, H * W)).reshape(images.shape)


def _reflect(positions: Tensor, length: int) -> Tensor:
    positions = positions.abs()
    return torch.where(positions < length, positions, 2 * (length - 1) - positions)


def _schedule(step: int, num_steps: int) -> float:
    """Return the learning rate of a step in 1..num_steps as a fraction of the highest."""
    num_warmup = max(1, round(_WARMUP * num_steps))
    if step <= num_warmup:
        return step / num_warmup
    return 0.5 + 0.5 * math.cos(math.pi * (step - num_warmup) / (num_steps - num_warmup + 1))


def _draws(
    num_images: int, num_steps: int, recipe: Recipe, generator: torch.Generator
) -> Iterator[Draw]:
    """Yield the draw of each step; every image occurs once before any repeats.

    Images and moves are drawn together, so that draws may be asked for ahead of the step.
    """
    pending = torch.empty(0, dtype=torch.int64)
    reach, size = recipe.shift_px, recipe.batch_size
    for _ in range(num_steps):
        while len(pending) < size:
            pending = torch.cat([pending, torch.randperm(num_images, generator=generator)])
        moves = torch.randint(-reach, reach + 1, (2, size, 1), generator=generator)
        yield Draw(pending[:size], moves)
        pending = pending[size:]
