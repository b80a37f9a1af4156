"""Models of a study, loaded by their ids.

Each is loaded when it is first needed (`perturb.evaluation.passes`): all models of a job may not
fit into memory together.
"""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import torch

from perturb.devices import device_of
from perturb.evaluation.loop import Load, Subject
from perturb.models.checkpoints import load_classifier, read_card
from perturb.models.compiled import CompiledClassifier
from perturb.models.precision import check_native, hold_in_bfloat16


def loader(
    weights: Iterable[Path],
    device: torch.device | str,
    *,
    compiled: Collection[str] = (),
    precision: Callable[[str], str] = lambda _: "float32",
) -> Load:
    """Return a function that loads a model by its id, from checkpoints in folders of these ids.

    Parameters
    ----------
    compiled : models whose whole forward passes are compiled, which costs a minute each.
    precision : returns that of a model; the weights of `pure_bfloat16` are held in bfloat16.

    Raises
    ------
    ValueError
        when a model is loaded, as `check_native`.
    """
    folders = {path.parent.name: path.parent for path in weights}
    place = device_of(str(device))

    def load(model: str) -> Subject:
        check_native(precision(model), place)
        card = read_card(folders[model], of=model)
        classifier = load_classifier(folders[model], place)
        if precision(model) == "pure_bfloat16":
            hold_in_bfloat16(classifier.network)
        if model in compiled:
            classifier = CompiledClassifier(classifier)
        return Subject(classifier, card, place)

    return load
