"""Perturb: a benchmark of the robustness of image classifiers to perturbations.

``import perturb`` is a library on any `nn.Module`; `perturb.evaluate` is its shortest way in. Each
name is imported when it is first used, so that planning a study needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perturb.version import __version__

if TYPE_CHECKING:
    from perturb.experiments.corruptions.names import CORRUPTIONS
    from perturb.experiments.restricted_attention.masks import window_mask
    from perturb.experiments.spatial.evaluate import WorstCase
    from perturb.experiments.spatial.transforms import Transform, spatial_grid
    from perturb.library.attacks import attack_ensemble, fgsm, pgd
    from perturb.library.corruption import corrupt
    from perturb.library.cue_conflict import ShapeBias, shape_bias
    from perturb.library.evaluation import evaluate
    from perturb.library.intervals import (
        Interval,
        PairedDifference,
        paired_difference,
        wilson,
    )
    from perturb.library.networks import (
        layer_similarity,
        token_layout,
        with_attention,
        without,
    )
    from perturb.library.spatial import worst_spatial
    from perturb.models.classifier import Classifier, Preprocessing
    from perturb.random import image_key

__all__ = [
    "CORRUPTIONS",
    "Classifier",
    "Interval",
    "PairedDifference",
    "Preprocessing",
    "ShapeBias",
    "Transform",
    "WorstCase",
    "__version__",
    "attack_ensemble",
    "corrupt",
    "evaluate",
    "fgsm",
    "image_key",
    "layer_similarity",
    "paired_difference",
    "pgd",
    "shape_bias",
    "spatial_grid",
    "token_layout",
    "wilson",
    "window_mask",
    "with_attention",
    "without",
    "worst_spatial",
]

_MODULES = {
    "perturb.experiments.corruptions.names": ("CORRUPTIONS",),
    "perturb.experiments.restricted_attention.masks": ("window_mask",),
    "perturb.experiments.spatial.evaluate": ("WorstCase",),
    "perturb.experiments.spatial.transforms": ("Transform", "spatial_grid"),
    "perturb.library.attacks": ("attack_ensemble", "fgsm", "pgd"),
    "perturb.library.corruption": ("corrupt",),
    "perturb.library.cue_conflict": ("ShapeBias", "shape_bias"),
    "perturb.library.intervals": (
        "Interval",
        "PairedDifference",
        "paired_difference",
        "wilson",
    ),
    "perturb.library.evaluation": ("evaluate",),
    "perturb.library.networks": (
        "layer_similarity",
        "token_layout",
        "with_attention",
        "without",
    ),
    "perturb.library.spatial": ("worst_spatial",),
    "perturb.models.classifier": ("Classifier", "Preprocessing"),
    "perturb.random": ("image_key",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # to a type checker the function would make every name exist

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'perturb' has no attribute {name!r}")
        found = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
