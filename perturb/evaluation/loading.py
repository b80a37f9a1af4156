"""Models of a study, loaded by their ids.

A job of several models loads one after another: they may not fit into memory together.
"""

from collections.abc import Iterable
from pathlib import Path

import torch

from perturb.devices import device_of
from perturb.evaluation.loop import Load, Subject
from perturb.models.checkpoints import load_classifier, read_card
from perturb.models.compiled import CompiledClassifier


def loader(weights: Iterable[Path], device: torch.device | str, *, compiled: bool = False) -> Load:
    """Return a function that loads a model by its id, from checkpoints in folders of these ids.

    Parameters
    ----------
    compiled : whether whole forward passes are compiled, which costs a minute a model.
    """
    folders = {path.parent.name: path.parent for path in weights}
    place = device_of(str(device))

    def load(model: str) -> Subject:
        card = read_card(folders[model], of=model)
        classifier = load_classifier(folders[model], place)
        if compiled:
            classifier = CompiledClassifier(classifier)
        return Subject(classifier, card, place)

    return load
