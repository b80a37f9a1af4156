"""The records that a configuration is turned into."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dataset:
    """A data set: `generate` and `num_images`, or `filter`, says where its images come from.

    `class_map` is a file that maps coarser classes to those of the models.
    """

    id: str
    label: str
    role: str
    num_images: int | None
    generate: Mapping[str, Any] | None
    filter: Mapping[str, str] | None
    class_map: str | None


@dataclass(frozen=True)
class Pretraining:
    """A pre-training set; `dataset` is None where only given weights refer to it."""

    id: str
    label: str
    rank: int
    num_images: int | None
    dataset: str | None
    num_samples: int | None


@dataclass(frozen=True)
class Training:
    """Fine-tuning: data set, validation set, and images seen."""

    dataset: str
    validation: str
    num_samples: int


@dataclass(frozen=True)
class Architecture:
    """A network architecture in timm's own arguments; `patch_size` is None for ResNets."""

    id: str
    family: str
    size: str
    patch_size: int | None
    label: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class WeightsFile:
    """A safetensors file and the SHA-256 that it must have."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Model:
    """A model of the study; `weights` is None where the study trains it."""

    id: str
    architecture: Architecture
    pretraining: Pretraining | None
    is_reference: bool
    training: Training | None
    weights: WeightsFile | None


@dataclass(frozen=True)
class Perturbation:
    """A perturbation with the data sets, severities and conditions it is evaluated on.

    id : its name in paths and shards; corruptions with a JPEG pass have another than without.
    severities : in their id-safe form, the weakest first.
    conditions : the variants inside each cell, the parts of all families among them; the source
        models of transfer attacks are not listed here.
    num_images : size of the class-balanced subset it is evaluated on; None for all images.
    options : what the perturbation itself is told.
    denominators : whose errors divide a model's in mCE: `reference` or `alexnet`.
    """

    id: str
    datasets: tuple[str, ...]
    severities: tuple[str, ...]
    conditions: tuple[str, ...]
    num_images: int | None
    options: Mapping[str, Any]
    denominators: str


@dataclass(frozen=True)
class Patterns:
    """What the patterns of adversarial perturbations are measured and shown on."""

    dataset: str
    num_images: int
    num_shown: int
    shown_models: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Correlations:
    """What the similarity of layers is measured on."""

    dataset: str
    num_images: int


@dataclass(frozen=True)
class Config:
    """A whole study."""

    title: str
    seed: int
    results: str
    device: str
    batch_size: int
    cells_per_job: int
    epsilon: str
    datasets: Mapping[str, Dataset]
    pretraining: Mapping[str, Pretraining]
    architectures: Mapping[str, Architecture]
    models: Mapping[str, Model]
    perturbations: Mapping[str, Perturbation]
    patterns: Patterns | None
    correlations: Correlations | None

    @property
    def reference(self) -> Model | None:
        """The reference network, if the study has one."""
        return next((model for model in self.models.values() if model.is_reference), None)

    @property
    def clean_dataset(self) -> Dataset:
        """The test set that everything is compared with."""
        return next(dataset for dataset in self.datasets.values() if dataset.role == "clean")

    @property
    def corruptions(self) -> Perturbation | None:
        """The corruptions, whatever their id."""
        found = (item for id, item in self.perturbations.items() if id.startswith("corruptions"))
        return next(found, None)

    @property
    def benchmark_models(self) -> list[str]:
        """The models that are compared."""
        return [model.id for model in self.models.values() if not model.is_reference]

    @property
    def has_cue_conflict(self) -> bool:
        """Whether shape and texture are told apart on some evaluated set."""
        evaluated = self.perturbations["none"].datasets
        return any(self.datasets[dataset].role == "cue_conflict" for dataset in evaluated)
