"""The records of a parsed configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perturb.models.resizing import Resizing
from perturb.models.weights_origins import Factory, RandomWeights, TimmWeights, WeightsFile


@dataclass(frozen=True)
class Dataset:
    """A dataset: one of `generate`, `filter`, `bundled` and `source` is its origin.

    num_images, num_classes : of a source, the required numbers; None if not set.
    view : the preprocessing for every model; None if each model uses its own.
    class_map : a file that maps coarser classes to those of the models.
    decisions : files of people's decisions on its images.
    published : its name among the published results of timm's models.
    is_streamed : whether its images are rendered whenever a training needs them, and not stored.
    """

    id: str
    label: str
    role: str
    num_images: int | None
    num_classes: int | None
    generate: Mapping[str, Any] | None
    filter: Mapping[str, Any] | None
    bundled: Mapping[str, str] | None
    source: Mapping[str, Any] | None
    view: Resizing | None
    class_map: str | None
    published: str | None
    is_streamed: bool = False
    decisions: tuple[str, ...] = ()

    @property
    def is_seen_alike(self) -> bool:
        """Whether all models receive the same pixels, those of one decoded dataset."""
        return self.source is None or self.view is not None

    @property
    def filter_models(self) -> tuple[str, ...]:
        """The models that all misclassify every image that its filter keeps."""
        models = (self.filter or {}).get("wrong_by", ())
        return (models,) if isinstance(models, str) else tuple(models)


@dataclass(frozen=True)
class Pretraining:
    """A pre-training set; `dataset` is None where only pretrained weights refer to it.

    `paper` is its name in the paper.
    """

    id: str
    label: str
    rank: int
    num_images: int | None
    dataset: str | None
    num_samples: int | None
    paper: str | None


@dataclass(frozen=True)
class Training:
    """Fine-tuning: dataset, validation set, and number of images."""

    dataset: str
    validation: str
    num_samples: int


@dataclass(frozen=True)
class Makeup:
    """The modules of a ViT, by timm's names; the defaults are those of a ViT by `arguments`.

    block, attention, embedding : classes of its blocks, of their attention modules and of the
        patch embedding; None if the blocks differ, or the network is no ViT.
    pooling : of the tokens before the classifier; ``token`` reads the class token.
    """

    block: str | None = "Block"
    attention: str | None = "Attention"
    embedding: str | None = "PatchEmbed"
    pooling: str | None = "token"


@dataclass(frozen=True)
class Architecture:
    """A network architecture; `patch_size` is None for all but ViTs.

    family : ``vit``, ``resnet``, or ``other``: evaluated and shown, but in no comparison of the
        other two.
    arguments : of the timm class. Of an architecture by timm's name, its geometry: depth,
        num_heads, layers and so on, as far as it has them.
    timm : that name, or None.
    makeup : the known modules of a ViT.
    """

    id: str
    family: str
    size: str
    patch_size: int | None
    label: str
    arguments: Mapping[str, Any]
    timm: str | None
    makeup: Makeup = Makeup()


@dataclass(frozen=True)
class ModelPreprocessing:
    """A model's preprocessing of an image of any size; normalisation in units of [0, 1].

    origin : values that the configuration does not set, and their origin; None if none.
    """

    view: Resizing
    mean: tuple[float, ...]
    std: tuple[float, ...]
    origin: str | None = None


@dataclass(frozen=True)
class Model:
    """A model of the study; `weights` is None where the study trains it.

    label : in tables and charts; models of different pre-training may share it.
    entry, run : of a network that is trained several times, the id of its entry, which is that of
        its first run, and which run this is, from 1.
    own_preprocessing : None for networks for the images of a single dataset.
    """

    id: str
    label: str
    architecture: Architecture
    pretraining: Pretraining | None
    is_reference: bool
    training: Training | None
    weights: WeightsFile | TimmWeights | RandomWeights | Factory | None
    own_preprocessing: ModelPreprocessing | None
    entry: str
    run: int = 1

    @property
    def timm_tag(self) -> str | None:
        """The full tag of weights that come from timm."""
        return self.weights.tag if isinstance(self.weights, TimmWeights) else None

    @property
    def says_no_input(self) -> bool:
        """Whether its weights, a file's or random ones, say nothing of images and classes."""
        return isinstance(self.weights, WeightsFile | RandomWeights | Factory)

    @property
    def factory(self) -> str | None:
        """The function that makes the network, if one does."""
        return self.weights.name if isinstance(self.weights, Factory) else None

    @property
    def weights_file(self) -> WeightsFile | None:
        """The file of the weights, if they come from one."""
        return self.weights if isinstance(self.weights, WeightsFile) else None


@dataclass(frozen=True)
class PerturbationEntry:
    """An entry of `perturbations`: its datasets, severities and conditions.

    id : its name in paths and shards.
    key : its name in the configuration; one key may stand for several ids.
    severities : in their id-safe form, the weakest first.
    conditions : the variants inside each cell, including the parts of all families; the source
        models of transfer attacks are not listed here.
    num_images : size of the class-balanced subset; None for all images.
    options : of the perturbation itself.
    denominators : errors that divide a model's in mCE: ``alexnet``, ``none``, ``reference`` or the
        id of one; None for a perturbation without mCE.
    """

    id: str
    key: str
    datasets: tuple[str, ...]
    severities: tuple[str, ...]
    conditions: tuple[str, ...]
    num_images: int | None
    options: Mapping[str, Any]
    denominators: str | None = None


@dataclass(frozen=True)
class Patterns:
    """Models, images and epsilon of the patterns of adversarial perturbations."""

    dataset: str
    num_images: int
    num_shown: int
    shown_models: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Correlations:
    """Dataset and images of the similarity of layers."""

    dataset: str
    num_images: int


@dataclass(frozen=True)
class Config:
    """A whole study.

    absent : models of the study whose weights are not published.
    unread : keys that were left out because of mistakes; checks alone see a study with some.
    """

    title: str
    seed: int
    results: str
    device: str
    data: str
    decoding: str
    precision: str
    compile: bool | str
    batch_size: int
    jobs_by: str
    models_per_job: int
    epsilon: str
    datasets: Mapping[str, Dataset]
    pretraining: Mapping[str, Pretraining]
    architectures: Mapping[str, Architecture]
    models: Mapping[str, Model]
    absent: Mapping[str, Model]
    perturbations: Mapping[str, PerturbationEntry]
    patterns: Patterns | None
    correlations: Correlations | None
    unread: frozenset[str] = frozenset()

    def is_whole(self, key: str) -> bool:
        """Return whether nothing was left out at, below or above a key."""
        return not any(
            f"{key}.".startswith(f"{lost}.") or lost.startswith(f"{key}.") for lost in self.unread
        )

    @property
    def reference(self) -> Model | None:
        """The network whose errors divide those of the others in mCE; others only filter datasets.

        Of several the one that the corruptions name.
        """
        found = {model.id: model for model in self.models.values() if model.is_reference}
        named = self.corruptions.denominators if self.corruptions else None
        return found.get(named or "", next(iter(found.values()), None))

    @property
    def clean_dataset(self) -> Dataset:
        """The clean test set, the reference of all comparisons."""
        return next(dataset for dataset in self.datasets.values() if dataset.role == "clean")

    @property
    def corruptions(self) -> PerturbationEntry | None:
        """The corruptions, computed or stored: their errors are divided by those of a reference."""
        found = (item for item in self.perturbations.values() if item.denominators is not None)
        return next(found, None)

    @property
    def benchmark_models(self) -> list[str]:
        """The models that are compared."""
        return [model.id for model in self.models.values() if not model.is_reference]

    @property
    def has_cue_conflict(self) -> bool:
        """Whether some evaluated dataset has cue conflicts of shape and texture."""
        evaluated = self.perturbations["none"].datasets
        return any(self.datasets[dataset].role == "cue_conflict" for dataset in evaluated)
