"""What the result of each job depends on, beside its input files: the rules' `params`.

Snakemake repeats a job when its params change. So each function returns everything that changes
the job's numbers, and nothing that does not: a new label or another model's entry repeats nothing.
"""

from dataclasses import replace
from typing import Any

from perturb.cells import evaluated_datasets
from perturb.config import Config
from perturb.images.names import PROTOCOL as IMAGES_PROTOCOL
from perturb.models.names import PROTOCOL as TRAINING_PROTOCOL
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


def trained(config: Config, model: str) -> dict[str, Any]:
    """Return what the weights of a model that is trained here depend on."""
    entry = config.models[model]
    if entry.training is None:
        raise ValueError(f"models.{model} is not trained: its weights are given")
    pretraining = entry.pretraining
    return {
        "model": model,
        "pretraining": pretraining.id if pretraining else None,
        "pretraining_samples": pretraining.num_samples if pretraining else 0,
        "samples": entry.training.num_samples,
        "seed": config.seed,
        "device": config.device,
        "protocol": TRAINING_PROTOCOL,
        **architecture(config, model),
    }


def architecture(config: Config, model: str) -> dict[str, Any]:
    """Return the network that a model's weights belong to."""
    entry = config.models[model].architecture
    return {
        "architecture": entry.id,
        "family": entry.family,
        "size": entry.size,
        "patch_size": entry.patch_size,
        "arguments": dict(entry.arguments),
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
    """Return the data sets that a model is trained on, by what they are for."""
    entry = config.models[model]
    if entry.training is None:
        raise ValueError(f"models.{model} is not trained: its weights are given")
    datasets = {"training": entry.training.dataset, "validation": entry.training.validation}
    if entry.pretraining is not None and entry.pretraining.dataset is not None:
        datasets["pretraining"] = entry.pretraining.dataset
    return datasets


def described_models(config: Config) -> list[str]:
    """Return what the table of models says beside the models' cards."""
    return [repr(replace(model, training=None, weights=None)) for model in config.models.values()]


def described_datasets(config: Config) -> list[str]:
    """Return what the table of data sets says beside the manifests."""
    return [
        f"{dataset}: {config.datasets[dataset].label}, {config.datasets[dataset].role}"
        for dataset in evaluated_datasets(config)
    ]
