"""Origins of weights that a study does not train, as its configuration names them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassVectorsFile:
    """A file of class text vectors and the SHA-256 that it must have."""

    path: str
    sha256: str


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights and the SHA-256 that it must have.

    entry : place in the file; None for the place that follows from the content.
    class_vectors : vectors of a zero-shot head; None for a head in the file.
    """

    path: str
    sha256: str
    entry: str | None = None
    class_vectors: ClassVectorsFile | None = None


@dataclass(frozen=True)
class TimmWeights:
    """Pretrained weights in timm, by their full tag."""

    tag: str


@dataclass(frozen=True)
class Factory:
    """A Python function that returns the network with its weights, ``package.module:function``."""

    name: str


@dataclass(frozen=True)
class RandomWeights:
    """New weights, drawn from the study's seed."""
