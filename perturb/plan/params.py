"""Inputs of each job's result apart from its files: the rules' `params`.

Each function returns everything that changes the numbers, and nothing that does not: a new label or
another model's entry repeats nothing. For cells and measurements this is a part of their identity.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from perturb.config import Config
from perturb.datasets.real.bundled_sets import PROTOCOL as BUNDLED_PROTOCOL
from perturb.datasets.real.label_space import num_label_classes
from perturb.datasets.synthetic.family import PROTOCOL as IMAGES_PROTOCOL
from perturb.models.factories import facts_of
from perturb.models.timm_table import model_of
from perturb.models.weights_origins import RandomWeights
from perturb.plan.cells import evaluated_datasets
from perturb.records import Dataset, Model

# The networks whose errors chose the images of ImageNet-A (Hendrycks et al., CVPR 2021, section 3).
IMAGENET_A_MODEL = "ResNet-50"


def generated(config: Config, dataset: str) -> dict[str, Any]:
    """Return the parameters of a generated dataset."""
    entry = config.datasets[dataset]
    return {
        "generate": dict(entry.generate or {}),
        "num_images": entry.num_images,
        "seed": config.seed,
        "protocol": IMAGES_PROTOCOL,
    }


def bundled(config: Config, dataset: str) -> dict[str, Any]:
    """Return the parameters of a bundled dataset."""
    entry = config.datasets[dataset]
    return {
        "bundled": dict(entry.bundled or {}),
        "seed": config.seed,
        "protocol": BUNDLED_PROTOCOL,
    }


def model_facts(config: Config, model: str) -> dict[str, Any]:
    """Return the facts for a model's card: its network, and the id of its pre-training set."""
    entry = config.models[model]
    return {
        "model": model,
        "architecture": entry.architecture.id,
        "family": entry.architecture.family,
        "size": entry.architecture.size,
        "patch_size": entry.architecture.patch_size,
        "arguments": dict(entry.architecture.arguments),
        "pretraining": entry.pretraining.id if entry.pretraining else None,
        # The first run is the same training as that of a model which is trained once.
        **({"run": entry.run} if entry.run > 1 else {}),
    }


def given_facts(config: Config, model: str) -> dict[str, Any]:
    """Return the parameters of a pretrained model: its network, its weights, its input."""
    entry = config.models[model]
    view = entry.own_preprocessing
    return model_facts(config, model) | {
        "timm": entry.architecture.timm,
        "weights": _given_weights(entry, config.seed),
        "preprocessing": None
        if view is None
        else {**asdict(view.view), "mean": list(view.mean), "std": list(view.std)},
        "num_classes": _num_classes(config, entry),
    }


def _given_weights(model: Model, seed: int) -> dict[str, Any]:
    file = model.weights_file
    if model.factory is not None:
        return facts_of(model.factory)
    if isinstance(model.weights, RandomWeights):
        return {"random": seed}
    if file is None:
        return {"timm": model.timm_tag}
    given: dict[str, Any] = {"file": file.path, "sha256": file.sha256}
    if file.entry is not None:
        given["entry"] = file.entry
    if file.class_vectors is not None:
        vectors = file.class_vectors
        given["class_vectors"] = {"file": vectors.path, "sha256": vectors.sha256}
    return given


def _num_classes(config: Config, model: Model) -> int | None:
    """Return the number of a model's logits; None if the clean images define it."""
    if model.timm_tag is not None:
        return model_of(model.timm_tag).num_classes
    return None if model.own_preprocessing is None else num_label_classes(config.clean_dataset)


def training_samples(config: Config, model: str) -> dict[str, int]:
    """Return the number of images of each phase of a model's training, in order."""
    entry = config.models[model]
    if entry.training is None:
        raise ValueError(f"models.{model} is not trained: its weights are given")
    if entry.pretraining is None:
        return {"training": entry.training.num_samples}
    return {
        "pretraining": entry.pretraining.num_samples or 0,
        "finetuning": entry.training.num_samples,
    }


def titles(config: Config, models: Iterable[Model]) -> dict[str, str]:
    """Return the titles of models, as in tables; equal titles get the ids."""
    several = {model.entry for model in config.models.values() if model.run > 1}
    named = {model.id: _title(model, is_run=model.entry in several) for model in models}
    seen = list(named.values())
    return {
        id: title if seen.count(title) == 1 else f"{title} ({id})" for id, title in named.items()
    }


def _title(model: Model, *, is_run: bool) -> str:
    parts = [model.label]
    parts += [model.pretraining.label] if model.pretraining else []
    return ", ".join([*parts, *([f"run {model.run}"] if is_run else [])])


def training_datasets(config: Config, model: str) -> dict[str, str]:
    """Return the dataset of each phase of a model's training, and of its validation."""
    entry = config.models[model]
    if entry.training is None:
        raise ValueError(f"models.{model} is not trained: its weights are given")
    datasets = {"validation": entry.training.validation}
    if entry.pretraining is None or entry.pretraining.dataset is None:
        return datasets | {"training": entry.training.dataset}
    return datasets | {
        "pretraining": entry.pretraining.dataset,
        "finetuning": entry.training.dataset,
    }


def described_models(config: Config) -> list[str]:
    """Return the entries of the table of models that are not in the cards."""
    return [repr(replace(model, training=None)) for model in config.models.values()]


def class_subsets(config: Config) -> dict[str, list[int]]:
    """Return the classes of each dataset of `class_subset`."""
    subset = config.perturbations.get("class_subset")
    return dict(subset.options["classes"]) if subset else {}


def described_datasets(config: Config) -> list[str]:
    """Return the entries of the table of datasets that are not in the manifests."""
    entries = [
        repr(replace(without_places(config.datasets[dataset]), source=None, view=None))
        for dataset in evaluated_datasets(config)
    ]
    return [*entries, *(f"{id}: {models}" for id, models in chosen_by(config).items())]


def without_places(dataset: Dataset) -> Dataset:
    """Return a dataset with a word for its files of decisions, which may be moved."""
    return replace(dataset, decisions=("given",)) if dataset.decisions else dataset


def chosen_by(config: Config) -> dict[str, str]:
    """Return the labels of the networks that misclassify every image of a dataset, for readers."""
    labels = {
        dataset.id: [config.models[id].label for id in dataset.filter_models]
        for dataset in config.datasets.values()
    }
    found = {id: " and ".join(dict.fromkeys(names)) for id, names in labels.items() if names}
    published = (item for item in config.datasets.values() if item.published == "imagenet-a")
    return found | {dataset.id: IMAGENET_A_MODEL for dataset in published}
