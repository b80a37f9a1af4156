"""What the result of each job depends on, beside its input files: the rules' `params`.

Snakemake repeats a job when its params change. So each function returns everything that changes
the job's numbers, and nothing that does not: a new label or another model's entry repeats nothing.
"""

from dataclasses import replace
from typing import Any

from perturb.cells import evaluated_datasets
from perturb.config import Config
from perturb.images.names import PROTOCOL as IMAGES_PROTOCOL
from perturb.perturbations.names import PROTOCOLS


def generated(config: Config, dataset: str) -> dict[str, Any]:
    """Return what a generated data set depends on."""
    entry = config.datasets[dataset]
    return {
        "generate": dict(entry.generate or {}),
        "num_images": entry.num_images,
        "seed": config.seed,
        "protocol": IMAGES_PROTOCOL,
    }


def model_facts(config: Config, model: str) -> dict[str, Any]:
    """Return what a model's card says of it: its network, and the id of its pre-training set."""
    entry = config.models[model]
    return {
        "model": model,
        "architecture": entry.architecture.id,
        "family": entry.architecture.family,
        "size": entry.architecture.size,
        "patch_size": entry.architecture.patch_size,
        "arguments": dict(entry.architecture.arguments),
        "pretraining": entry.pretraining.id if entry.pretraining else None,
    }


def training_samples(config: Config, model: str) -> dict[str, int]:
    """Return how many images each phase of a model's training sees, in order."""
    entry = config.models[model]
    if entry.training is None:
        raise ValueError(f"models.{model} is not trained: its weights are given")
    if entry.pretraining is None:
        return {"training": entry.training.num_samples}
    return {
        "pretraining": entry.pretraining.num_samples or 0,
        "finetuning": entry.training.num_samples,
    }


def evaluated(config: Config, perturbation: str) -> dict[str, Any]:
    """Return what the shards of a perturbation depend on, beside images and weights."""
    return {
        "conditions": list(config.perturbations[perturbation].conditions),
        "seed": config.seed,
        "batch_size": config.batch_size,
        "device": config.device,
        "protocol": PROTOCOLS[perturbation],
    }


def training_datasets(config: Config, model: str) -> dict[str, str]:
    """Return the data set of each phase of a model's training, and of its validation."""
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
    """Return what the table of models says beside the models' cards."""
    return [repr(replace(model, training=None, weights=None)) for model in config.models.values()]


def described_datasets(config: Config) -> list[str]:
    """Return what the table of data sets says beside the manifests."""
    return [
        f"{dataset}: {config.datasets[dataset].label}, {config.datasets[dataset].role}"
        for dataset in evaluated_datasets(config)
    ]
