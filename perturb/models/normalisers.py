"""Mean and deviation of pixels that a file holds beside the weights of a network.

Code for robust models often wraps a network in a module that normalises pixels, and saves both:
``normalize.mean``, ``module.normalizer.new_std``. Here a model's preprocessing normalises. So these
tensors may be left out, if they say the same; others would mean that the network sees other pixels
than it was trained on, which lowers accuracy without an error.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from perturb.models.classifier import Preprocessing

_MEANINGS = {"mean": "mean", "new_mean": "mean", "std": "std", "new_std": "std"}
_NEAR = 5e-4  # above the rounding of half precision, a tenth of a gray level


def normalisers(names: Iterable[str], tensors: Mapping[str, Tensor]) -> Mapping[str, str]:
    """Return the names that are those of a normaliser's tensors, with ``mean`` or ``std``.

    They end so, as words of their own, and have a value for each of three channels.
    """
    found = {name: _MEANINGS.get(name.rpartition(".")[2]) for name in names}
    return {
        name: meaning
        for name, meaning in found.items()
        if meaning is not None and tensors[name].numel() == 3 and _is_plain(tensors[name])
    }


def _is_plain(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.layout == torch.strided and not tensor.is_meta


def unlike(
    found: Mapping[str, str], tensors: Mapping[str, Tensor], preprocessing: Preprocessing
) -> Collection[str]:
    """Return a text for each tensor of a normaliser that differs from the preprocessing."""
    texts = []
    for name, meaning in found.items():
        values, declared = tensors[name].flatten().tolist(), getattr(preprocessing, meaning)
        # Not `>`: it would let NaN pass.
        if not all(abs(a - b) <= _NEAR for a, b in zip(values, declared, strict=True)):
            texts.append(
                f"{name} is {_listed(values)}; the model's preprocessing has the {meaning} "
                f"{_listed(declared)}"
            )
    return texts


def _listed(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"
