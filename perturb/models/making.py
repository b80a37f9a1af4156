"""A model's classifier and card: trained here, or taken from a given file of weights."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from perturb.files import sha256_of
from perturb.models.checkpoints import ModelCard, build_classifier, load_weights
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.recipes import RECIPES
from perturb.models.training import LabelledImages, Phase, pretrain_and_finetune


def train_model(
    facts: Mapping[str, Any],
    phases: Mapping[str, Phase],
    validation: LabelledImages,
    *,
    seed: int,
    device: torch.device,
) -> tuple[Classifier, ModelCard]:
    """Return a trained classifier and its card.

    Parameters
    ----------
    facts : model, architecture, family, size, patch_size, arguments, pretraining.
    phases, validation, seed, device : as of `pretrain_and_finetune`.
    """
    recipe = RECIPES[facts["family"]]
    classifier, curve = pretrain_and_finetune(
        facts["family"],
        facts["arguments"],
        phases,
        validation,
        recipe=recipe,
        seed=seed,
        model_id=facts["model"],
        device=device,
    )
    sizes = {name: len(phase.data.targets) for name, phase in phases.items()}
    card = ModelCard(
        **facts,
        num_classes=classifier.num_classes,
        preprocessing=classifier.preprocessing,
        data=sizes | {"validation": len(validation.targets)},
        seed=seed,
        recipe=asdict(recipe),
        curve=tuple(asdict(point) for point in curve),
        validation_accuracy=curve[-1].validation_accuracy,
    )
    return classifier, card


def import_weights(
    path: Path, sha256: str, facts: Mapping[str, Any], *, num_classes: int, side: int
) -> tuple[Classifier, ModelCard]:
    """Return the classifier of a safetensors file with the state dict of its timm network.

    Parameters
    ----------
    path, sha256 : the file, and the hash that it must have.
    facts : as of `train_model`.
    num_classes : of the task that the model is to be evaluated on.
    side : of its square images [px].

    Raises
    ------
    ValueError
        If the hash differs, or the tensors do not fit the network.
    """
    digest = sha256_of(path)
    if digest != sha256:
        raise ValueError(f"{path}: SHA-256 is {digest}, but the configuration says {sha256}")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from error
    card = ModelCard(**facts, num_classes=num_classes, preprocessing=Preprocessing(side=side))
    classifier = build_classifier(card)
    load_weights(classifier, state, path)
    return classifier.eval(), card
