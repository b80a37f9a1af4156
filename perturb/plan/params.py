"""What the result of each job depends on, beside its input files: the rules' `params`.

Snakemake repeats a job when its params change. So each function returns everything that changes
the job's numbers, and nothing that does not: a new label or another model's entry repeats nothing.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from perturb.config import Config
from perturb.datasets.label_space import num_label_classes
from perturb.datasets.real.bundled_sets import PROTOCOL as BUNDLED_PROTOCOL
from perturb.datasets.synthetic.family import PROTOCOL as IMAGES_PROTOCOL
from perturb.experiments.possible import conditions_of, lacking
from perturb.experiments.registry import measurements, protocol_of
from perturb.files import beside_inputs
from perturb.models.timm_table import model_of
from perturb.plan.cells import EvaluationJob, evaluated_datasets, own_cells, transfer_cells
from perturb.plan.stores import stores_of_cell
from perturb.records import Architecture, Model


def generated(config: Config, dataset: str) -> dict[str, Any]:
    """Return what a generated data set depends on."""
    entry = config.datasets[dataset]
    return {
        "generate": dict(entry.generate or {}),
        "num_images": entry.num_images,
        "seed": config.seed,
        "protocol": IMAGES_PROTOCOL,
    }


def bundled(config: Config, dataset: str) -> dict[str, Any]:
    """Return what a bundled data set depends on."""
    entry = config.datasets[dataset]
    return {
        "bundled": dict(entry.bundled or {}),
        "seed": config.seed,
        "protocol": BUNDLED_PROTOCOL,
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


def given_facts(config: Config, model: str) -> dict[str, Any]:
    """Return what a model with given weights depends on: its network, its weights, its input."""
    entry = config.models[model]
    view = entry.own_view
    return model_facts(config, model) | {
        "timm": entry.architecture.timm,
        "weights": _given_weights(entry),
        "preprocessing": None
        if view is None
        else {**asdict(view.view), "mean": list(view.mean), "std": list(view.std)},
        "num_classes": _num_classes(config, entry),
    }


def _given_weights(model: Model) -> dict[str, str | None]:
    file = model.weights_file
    if file is None:
        return {"timm": model.timm_tag}
    entry = {} if file.entry is None else {"entry": file.entry}
    return {"file": file.path, "sha256": file.sha256, **entry}


def _num_classes(config: Config, model: Model) -> int | None:
    """Return the width of a model's logits; None where the clean images' store tells it."""
    if model.timm_tag is not None:
        return model_of(model.timm_tag).num_classes
    return None if model.own_view is None else num_label_classes(config.clean_dataset)


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


def job_stores(config: Config, job: EvaluationJob, model: str) -> list[str]:
    """Return the image stores that a job reads for a model."""
    stores = (stores_of_cell(config, cell, model) for cell in job.cells)
    return list(dict.fromkeys(store for of_cell in stores for store in of_cell))


def evaluated(config: Config, job: EvaluationJob, model: str) -> list[dict[str, Any]]:
    """Return what the shards of a job's cells depend on, beside images and weights."""
    return [
        {
            "dataset": cell.dataset,
            "stores": list(stores_of_cell(config, cell, model)),
            "perturbation": cell.perturbation,
            "severity": cell.severity,
            **_class_map(config, cell.dataset),
            **_perturbed(config, cell.perturbation, config.models[model].architecture),
        }
        for cell in job.cells
    ]


def _class_map(config: Config, dataset: str) -> dict[str, Any]:
    class_map = config.datasets[dataset].class_map
    # A file that Snakemake cannot follow is followed by its content.
    content = beside_inputs([class_map] if class_map else [])
    return {"class_map": class_map, **({"class_map_sha256": content} if content else {})}


def _perturbed(
    config: Config, perturbation: str, architecture: Architecture | None
) -> dict[str, Any]:
    entry = config.perturbations[perturbation]
    return {
        "conditions": list(conditions_of(entry, architecture)),
        "options": dict(entry.options),
        "num_images": entry.num_images,
        "seed": config.seed,
        **_forward(config),
        "protocol": protocol_of(perturbation),
    }


def _forward(config: Config) -> dict[str, Any]:
    """Return how forward passes are run: their numbers differ in the last places."""
    return {
        "batch_size": config.batch_size,
        "device": config.device,
        "precision": config.precision,
        "compile": config.compile,
    }


def transferred(config: Config) -> dict[str, Any]:
    """Return what the shards of transfer attacks depend on, beside images and weights."""
    return _perturbed(config, "transfer", architecture=None)


def transfer_targets(config: Config) -> list[dict[str, str]]:
    """Return the cells of a source in the order of its job's outputs, but for the source."""
    return [
        {
            "model": cell.model,
            "dataset": cell.dataset,
            "perturbation": cell.perturbation,
            "severity": cell.severity,
        }
        for cell in transfer_cells(config, "any")
    ]


def measured_patterns(config: Config) -> dict[str, Any]:
    """Return what the patterns of perturbations depend on, beside images and weights."""
    patterns = config.patterns
    if patterns is None:
        return {}
    generate = config.datasets[patterns.dataset].generate
    sizes = {model.architecture.patch_size for model in config.models.values()}
    return {
        "models": config.benchmark_models,
        "num_images": patterns.num_images,
        "num_shown": patterns.num_shown,
        "shown": titles([config.models[model] for model in patterns.shown_models]),
        "patch_sizes": sorted(size for size in sizes if size),
        "generate": dict(generate) if generate else None,
        "options": dict(patterns.options),
        "seed": config.seed,
        **_forward(config),
        "protocol": measurements()["patterns"].protocol,
    }


def correlated_models(config: Config) -> list[str]:
    """Return the models under test whose blocks can be read one after another."""
    return [
        model
        for model in config.benchmark_models
        if lacking("correlations", config.models[model].architecture) is None
    ]


def measured_correlations(config: Config) -> dict[str, Any]:
    """Return what the similarity of layers depends on, beside images and weights."""
    if config.correlations is None:
        return {}
    return {
        "models": correlated_models(config),
        "num_images": config.correlations.num_images,
        "seed": config.seed,
        **_forward(config),
        "protocol": measurements()["correlations"].protocol,
    }


def titles(models: Iterable[Model]) -> dict[str, str]:
    """Return what readers are told each model is; ids keep equal ones apart."""
    named = {
        model.id: f"{model.architecture.label}, {model.pretraining.label}"
        if model.pretraining
        else model.architecture.label
        for model in models
    }
    seen = list(named.values())
    return {
        id: title if seen.count(title) == 1 else f"{title} ({id})" for id, title in named.items()
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
    evaluated_under = planned(config)
    return [
        f"{replace(model, training=None)!r} {evaluated_under[model.id]}"
        for model in config.models.values()
    ]


def planned(config: Config) -> dict[str, list[str]]:
    """Return the perturbations that each model has cells of."""
    return {
        model.id: list(dict.fromkeys(cell.perturbation for cell in own_cells(config, model)))
        for model in config.models.values()
    }


def class_subsets(config: Config) -> dict[str, list[int]]:
    """Return the classes of each data set whose classes alone are decided among."""
    subset = config.perturbations.get("class_subset")
    return dict(subset.options["classes"]) if subset else {}


def described_datasets(config: Config) -> list[str]:
    """Return what the table of data sets says beside the manifests."""
    return [
        repr(replace(config.datasets[dataset], source=None, view=None))
        for dataset in evaluated_datasets(config)
    ]
