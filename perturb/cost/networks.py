"""Parameters of the networks of a study, and FLOPs of one forward pass, without their weights."""

from dataclasses import dataclass

from perturb.config import Config
from perturb.datasets.real.bundled_sets import BUNDLED_CLASSES
from perturb.datasets.synthetic.family import NUM_TARGET_CLASSES
from perturb.models.network_size import size_of, timm_row
from perturb.records import Model

_IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Network:
    """The network of a model; num_parameters and forward_flops are None if unknown.

    side_px : of the network's input.
    """

    family: str
    side_px: int
    num_parameters: int | None
    forward_flops: float | None


def network_of(config: Config, model: Model) -> Network:
    """Return the network of a model at the side of its input in the study."""
    architecture = model.architecture
    side = side_of(model)
    known = timm_row(model.timm_tag, architecture.timm)
    if known is None and model.factory is not None:
        return Network(architecture.family, side, None, None)
    num_parameters, flops = size_of(
        known,
        architecture.family,
        architecture.arguments,
        side=side,
        num_classes=num_classes_of(config),
    )
    return Network(architecture.family, side, num_parameters, flops)


def side_of(model: Model) -> int:
    """Return the side of a network's input [px]."""
    return model.own_preprocessing.view.side if model.own_preprocessing else EMBEDDED_SIDE


#: Side of generated and of bundled images [px].
EMBEDDED_SIDE = 32


def num_classes_of(config: Config) -> int:
    """Return the number of classes of the study."""
    clean = config.clean_dataset
    if clean.bundled is not None:
        return BUNDLED_CLASSES[clean.bundled["set"]]
    if clean.generate is not None:
        return NUM_TARGET_CLASSES
    return clean.num_classes or _IMAGENET_CLASSES
