"""Makes a classifier and its card, by training or from pretrained weights."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from perturb.files import sha256_of
from perturb.models.anatomy import anatomy, describe_blocks
from perturb.models.checkpoints import ModelCard, build_classifier
from perturb.models.class_vectors import read_class_vectors
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.file_kinds import kind_of_file
from perturb.models.recipes import RECIPES
from perturb.models.timm_table import model_of
from perturb.models.training import Phase, pretrain_and_finetune
from perturb.models.training_images import TrainingImages
from perturb.models.weights_files import load_weights_file
from perturb.models.zero_shot import fill, with_zero_shot_head
from perturb.models.zoo import describe_network, load_pretrained
from perturb.random import image_key, run_seed

logger = logging.getLogger(__name__)

_IDENTITY = ("model", "architecture", "family", "size", "patch_size", "arguments", "pretraining")


def train_model(
    facts: Mapping[str, Any],
    phases: Mapping[str, Phase],
    validation: TrainingImages,
    *,
    seed: int,
    device: torch.device,
) -> tuple[Classifier, ModelCard]:
    """Return a trained classifier and its card.

    Parameters
    ----------
    facts : model, architecture, family, size, patch_size, arguments, pretraining; of a model that
        is trained several times also the run, from 1.
    phases, validation, device : as of `pretrain_and_finetune`.
    seed : of the study; that of the training follows from it and the run.
    """
    recipe, seed = RECIPES[facts["family"]], run_seed(seed, facts.get("run", 1))
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
    sizes = {name: phase.data.num_images for name, phase in phases.items()}
    card = ModelCard(
        **{name: facts[name] for name in _IDENTITY},
        num_classes=classifier.num_classes,
        preprocessing=classifier.preprocessing,
        data=sizes | {"validation": validation.num_images},
        seed=seed,
        recipe=asdict(recipe),
        curve=tuple(asdict(point) for point in curve),
        validation_accuracy=curve[-1].validation_accuracy,
    )
    return classifier, card


def import_weights(
    facts: Mapping[str, Any],
    *,
    num_classes: int | None = None,
    side: int | None = None,
    assumed: str | None = None,
) -> tuple[Classifier, ModelCard]:
    """Return the classifier of pretrained weights, in evaluation mode, and its card.

    Parameters
    ----------
    facts : as of `train_model`, and
        timm: name of timm's architecture, None if ``arguments`` define the network;
        weights: ``{"file": ..., "sha256": ...}`` with an optional ``entry``, a file for
        `load_weights_file`, and optional ``class_vectors``, a file and its sha256 for the head of a
        zero-shot classifier; ``{"timm": tag}``, from the model hub or its cache on disk; or
        ``{"random": seed}``, new weights;
        or ``{"factory": ..., "code": ...}``, a function and the SHA-256 of its module's file;
        preprocessing: values of `Preprocessing` by name, or None for that of the tag or, for a
        file, that of networks trained here, at ``side``;
        num_classes: number of classes of the task, or None.
    num_classes, side : number of classes and side of the images [px], if not in ``facts``.
    assumed : values of the preprocessing that the configuration omits, with their origin, for the
        card; None if it has all.

    Raises
    ------
    ValueError
        If the hash of the file differs, weights do not fit the network, its parts differ from
        ``arguments``, or the number of classes or the side is unknown.
    """
    weights = facts["weights"]
    tag = weights.get("timm")
    num_classes = _known("num_classes", facts["num_classes"], num_classes, facts)
    preprocessing = _preprocessing(facts, side)
    card = ModelCard(
        **{name: facts[name] for name in _IDENTITY},
        timm=tag or facts["timm"],
        num_classes=num_classes,
        preprocessing=preprocessing,
    )
    if tag is not None:
        pretrained = load_pretrained(tag, num_classes, preprocessing.side)
        classifier, source = Classifier(pretrained.network, preprocessing), pretrained.source
    elif "factory" in weights:
        card = replace(card, factory=weights["factory"])
        classifier, source = _made(card), dict(weights)
    elif "random" in weights:
        classifier, source = _random(card, weights["random"]), {"random": weights["random"]}
    else:
        classifier, card, source = _from_file(card, weights)
    if assumed is not None:
        source = {**source, "preprocessing": assumed}
    _check_division(classifier, card)
    logger.info("%s: %s", card.model, source)
    logger.info("%s: %s", card.model, preprocessing)
    return classifier.eval(), replace(card, source=source)


def _made(card: ModelCard) -> Classifier:
    """Return the classifier of a function's network, after one image has passed through it."""
    classifier, side = build_classifier(card), card.preprocessing.side
    with torch.inference_mode():
        logits = classifier.eval()(torch.full((1, 3, side, side), 0.5))
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, card.num_classes):
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(
            f"{card.factory}: its network returns {found} for one image; the images have "
            f"{card.num_classes} classes, so (1, {card.num_classes}) is needed"
        )
    return classifier


def _random(card: ModelCard, seed: int) -> Classifier:
    """Return the classifier of a card with new weights, which depend on the seed and the model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(image_key(f"{seed}/random weights/{card.model}"))
        return build_classifier(card)


def _from_file(
    card: ModelCard, weights: Mapping[str, Any]
) -> tuple[Classifier, ModelCard, dict[str, Any]]:
    """Return the classifier of a file of weights, its card, and their source."""
    path, entry = Path(weights["file"]), weights.get("entry")
    digest = checked_digest(path, weights["sha256"])
    source: dict[str, Any] = {"file": path.name, "sha256": digest}
    if "class_vectors" not in weights:
        classifier = build_classifier(card)
        source |= load_weights_file(
            classifier.network, path, entry, preprocessing=card.preprocessing
        )
        return classifier, card, source
    of_vectors = Path(weights["class_vectors"]["file"])
    digest = checked_digest(of_vectors, weights["class_vectors"]["sha256"])
    vectors = read_class_vectors(of_vectors)
    if vectors.num_classes != card.num_classes:
        raise ValueError(
            f"{of_vectors}: has {vectors.num_classes} class vectors; the task has "
            f"{card.num_classes} classes"
        )
    tower = build_classifier(replace(card, num_classes=vectors.width)).network
    try:
        source |= load_weights_file(tower, path, entry, preprocessing=card.preprocessing)
    except ValueError as error:
        raise ValueError(
            f"{error}; the network's head is as wide as the vectors of {of_vectors}, "
            f"{vectors.width}"
        ) from error
    network = with_zero_shot_head(tower, vectors.num_classes)
    fill(network, vectors)
    source["class_vectors"] = {
        "file": of_vectors.name,
        "sha256": digest,
        "logit_scale": vectors.logit_scale,
    }
    card = replace(card, zero_shot_width=vectors.width)
    return Classifier(network, card.preprocessing), card, source


def checked_digest(path: Path, sha256: str) -> str:
    """Return the SHA-256 of a file.

    Raises
    ------
    ValueError
        If there is no file, it holds no weights, or its SHA-256 differs.
    """
    if not path.is_file():
        raise ValueError(f"{path}: not found; it should hold a model's weights")
    kind_of_file(path)  # names a failed download, whose SHA-256 would only differ
    digest = sha256_of(path)
    if digest != sha256.lower():
        raise ValueError(f"{path}: SHA-256 is {digest}, but the configuration says {sha256}")
    return digest


def _preprocessing(facts: Mapping[str, Any], side: int | None) -> Preprocessing:
    """Return the preprocessing from the facts, the table's row of the tag, or the side."""
    values, tag = facts["preprocessing"], facts["weights"].get("timm")
    if values is None and tag is not None:
        row = model_of(tag)
        values = {field.name: getattr(row, field.name) for field in fields(Preprocessing)}
    if values is None:
        return Preprocessing.of_trained(_known("side", None, side, facts))
    return Preprocessing.of(values)


def _known(name: str, of_facts: int | None, given: int | None, facts: Mapping[str, Any]) -> int:
    value = given if of_facts is None else of_facts
    if value is None:
        raise ValueError(f"{facts['model']}: {name} is not known; allowed: a positive number")
    return value


def _check_division(classifier: Classifier, card: ModelCard) -> None:
    """Raise a ValueError unless the parts of a timm network agree with the card's arguments.

    Removal of blocks and heads is planned by these numbers.
    """
    if card.timm is None:
        return
    found = describe_network(classifier.network) | _blocks_of(classifier, card)
    if card.patch_size != found.get("patch_size"):
        raise ValueError(
            f"{card.model}: patch_size is {card.patch_size}, but {found.get('patch_size')} in "
            f"timm's {card.timm}"
        )
    for name, value in card.arguments.items():
        counted = tuple(value) if isinstance(value, list) else value
        if name not in found or found[name] != counted:
            raise ValueError(
                f"{card.model}: {name} is {value}, but {found.get(name)} in timm's {card.timm}"
            )


def _blocks_of(classifier: Classifier, card: ModelCard) -> dict[str, Any]:
    """Return the facts on the blocks of a network of which its card has some."""
    if "num_blocks" not in card.arguments:
        return {}
    return describe_blocks(anatomy(classifier.network))
