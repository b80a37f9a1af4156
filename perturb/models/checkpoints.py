"""Checkpoints: a folder with ``weights.safetensors`` and a card that describes them.

The card holds the network, its preprocessing, its training or source, and the SHA-256 of the
weights: a classifier is rebuilt from the folder alone, and weights that differ from the card are
refused.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from perturb import provenance
from perturb.files import replacing, sha256_of
from perturb.models.architectures import build_network, make_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.empty_networks import without_initial_values
from perturb.models.weights_files import load_state
from perturb.models.zero_shot import with_zero_shot_head
from perturb.models.zoo import build_timm_network, kind_of

WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "card.json"


@dataclass(frozen=True)
class ModelCard:
    """Description of a checkpoint.

    model, architecture, family, size, patch_size, arguments : as in the configuration;
        ``patch_size`` is None for ResNets.
    timm : name by which timm builds the network, with a tag for timm's weights; None if
        ``arguments`` define the network. With a name, ``arguments`` only count its parts.
    num_classes : width of the logits.
    preprocessing : preprocessing of the classifier.
    factory : function that makes the network, None if timm or ``arguments`` define it.
    zero_shot_width : width of the class vectors of a zero-shot head; None for other heads.
    pretraining : id of the pre-training set, or None.
    data : number of images by purpose, e.g. ``{"pretraining": 2000, ...}``.
    seed, recipe, curve : the training of the weights; empty for pretrained weights.
    validation_accuracy : final accuracy, a fraction in [0, 1], or None.
    source : source of pretrained weights: file and sha256, or tag, hub, revision, file, sha256,
        timm (its version); empty for weights trained here. For a file also its entry, notes on
        choices, ignored and resampled tensors, the file of class vectors, and preprocessing that
        the configuration omits, with values and their origin.
    made_from : all of the configuration that the weights depend on, compared by
        `perturb.plan.origins`.
    num_parameters, weights_sha256, versions : set by ``save_checkpoint``.
    """

    model: str
    architecture: str
    family: str
    size: str
    patch_size: int | None
    arguments: Mapping[str, Any]
    num_classes: int
    preprocessing: Preprocessing
    timm: str | None = None
    factory: str | None = None
    zero_shot_width: int | None = None
    pretraining: str | None = None
    data: Mapping[str, int] = field(default_factory=dict)
    seed: int | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[Mapping[str, Any], ...] = ()
    validation_accuracy: float | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    made_from: Mapping[str, Any] = field(default_factory=dict)
    num_parameters: int = 0
    weights_sha256: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def save_checkpoint(
    directory: Path,
    classifier: Classifier,
    card: ModelCard,
    made_from: Mapping[str, Any] | None = None,
) -> ModelCard:
    """Write the weights and the card of a classifier, each atomically; return the full card.

    The card is written last: ``load_classifier`` refuses a folder whose weights and card disagree.

    Parameters
    ----------
    made_from : origin of the weights, kept in the card.
    """
    state = classifier.network.state_dict()
    with replacing(Path(directory) / WEIGHTS_NAME) as temporary:
        _save({name: tensor.contiguous().cpu() for name, tensor in state.items()}, temporary)
        digest = sha256_of(temporary)
    card = replace(
        card,
        made_from=card.made_from if made_from is None else made_from,
        num_parameters=sum(parameter.numel() for parameter in classifier.network.parameters()),
        weights_sha256=digest,
        versions=provenance.versions(),
    )
    with replacing(Path(directory) / CARD_NAME) as temporary:
        temporary.write_text(json.dumps(asdict(card), indent=1) + "\n")
    return card


def _save(state: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors to a file; raise errors of the disk as OSError."""
    try:
        save_file(dict(state), path)
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def read_card(directory: Path, of: str | None = None) -> ModelCard:
    """Return the card of a checkpoint.

    Parameters
    ----------
    of : expected model, None for any.

    Raises
    ------
    ValueError
        If there is no card, its keys are wrong, or it is of another model.
    """
    path = Path(directory) / CARD_NAME
    if not path.is_file():
        raise ValueError(f"{path}: not found; a checkpoint is {WEIGHTS_NAME} and {CARD_NAME}")
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if isinstance(content, dict):
        content.setdefault("made_from", {})  # an older card; `perturb.plan.origins` refuses it
        content.setdefault("factory", None)  # of older cards, which had neither
        content.setdefault("zero_shot_width", None)
    _check_names(content, ModelCard, path)
    _check_names(content["preprocessing"], Preprocessing, path)
    if of not in (None, content["model"]):
        raise ValueError(f"{path}: is the card of model {content['model']!r}, expected {of!r}")
    content["preprocessing"] = Preprocessing.of(content["preprocessing"])
    return ModelCard(**content | {"curve": tuple(content["curve"])})


def load_classifier(directory: Path, device: torch.device | str = "cpu") -> Classifier:
    """Return the classifier of a checkpoint in evaluation mode.

    Raises
    ------
    ValueError
        If a file is missing, the weights differ from the card, or they do not fit its network:
        missing or unexpected tensors, other shapes, another number of classes.
    """
    card = read_card(directory)
    path = Path(directory) / WEIGHTS_NAME
    if not path.is_file():
        raise ValueError(f"{path}: not found; a checkpoint is {WEIGHTS_NAME} and {CARD_NAME}")
    digest = sha256_of(path)
    if digest != card.weights_sha256:
        raise ValueError(f"{path}: SHA-256 is {digest}, but its card says {card.weights_sha256}")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from error
    network = _build_to_be_filled(card)
    load_state(network, state, str(path))
    return Classifier(network, card.preprocessing, card.num_classes).to(device).eval()


def build_classifier(card: ModelCard) -> Classifier:
    """Return the classifier of a card, with random weights."""
    with torch.random.fork_rng(devices=[]):  # keeps the state of the caller's generator
        return Classifier(_build(card), card.preprocessing, card.num_classes)


def _build(card: ModelCard) -> nn.Module:
    if card.zero_shot_width is None:
        return _build_with_head(card, card.num_classes)
    tower = _build_with_head(card, card.zero_shot_width)
    return with_zero_shot_head(tower, card.num_classes)


def _build_with_head(card: ModelCard, width: int) -> nn.Module:
    """Return a card's network with a linear head of a width, or that of the function's."""
    if card.factory is not None:
        return make_network(card.factory)
    side = card.preprocessing.side
    if card.timm is not None:
        return build_timm_network(card.timm, width, side)
    arguments = dict(card.arguments)
    if card.patch_size is not None:
        arguments["patch_size"] = card.patch_size
    return build_network(card.family, arguments, width, side)


def _build_to_be_filled(card: ModelCard) -> nn.Module:
    """Return a network without initial weights if possible, for loading all weights next."""
    if card.factory is not None:
        return make_network(card.factory)
    with without_initial_values():
        network = _build(card)
    # Other timm networks hold tensors that are in no state dict.
    if kind_of(network) == "other" or {name for name, _ in network.named_buffers()} - set(
        network.state_dict()
    ):
        return build_classifier(card).network
    return network


def _check_names(content: object, kind: type, path: Path) -> None:
    names = {entry.name for entry in fields(kind)}
    if not isinstance(content, dict) or content.keys() != names:
        found = sorted(content) if isinstance(content, dict) else content
        raise ValueError(f"{path}: holds {found}; allowed: exactly {', '.join(sorted(names))}")
