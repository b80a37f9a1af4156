"""The records that a configuration is turned into."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dataset:
    """A data set: `generate` and `num_images`, or `filter`, says where its images come from."""

    id: str
    label: str
    role: str
    num_images: int | None
    generate: Mapping[str, Any] | None
    filter: Mapping[str, str] | None


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

    `denominators` says whose errors divide a model's in mCE: `reference` or `alexnet`.
    """

    id: str
    datasets: tuple[str, ...]
    severities: tuple[int, ...]
    conditions: tuple[str, ...]
    denominators: str


@dataclass(frozen=True)
class Config:
    """A whole study."""

    title: str
    seed: int
    results: str
    device: str
    batch_size: int
    datasets: Mapping[str, Dataset]
    pretraining: Mapping[str, Pretraining]
    architectures: Mapping[str, Architecture]
    models: Mapping[str, Model]
    perturbations: Mapping[str, Perturbation]

    @property
    def reference(self) -> Model | None:
        """The reference network, if the study has one."""
        return next((model for model in self.models.values() if model.is_reference), None)

    @property
    def clean_dataset(self) -> Dataset:
        """The test set that everything is compared with."""
        return next(dataset for dataset in self.datasets.values() if dataset.role == "clean")
