"""Inputs of the numbers of each cell and measurement, apart from the content of files.

They are a part of the identity: everything that changes the numbers, and nothing that does not. A
new label or another model's entry repeats no evaluation.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.experiments.possible import conditions_of, lacking, options_of
from perturb.experiments.registry import measurements, perturbation, protocol_of
from perturb.files import sha256_of
from perturb.models.precisions import fastest_precision
from perturb.plan.stores import store_of, stores_of_cell
from perturb.records import Architecture, Patterns

# Measurements of a model, apart from its predictions.
MEASUREMENTS = tuple(measurements())
# Borders are measured on the grids of all usual patch sizes [px], so that a model with one of these
# does not change the measurements of other models. Another size is measured by its own model, and
# by models without patches, whose ratio is a mean over the grids of all ViTs.
_GRIDS = frozenset({4, 8, 14, 16, 32})


def asked_of_cell(config: Config, cell: Cell) -> dict[str, Any]:
    """Return all inputs of a cell's numbers apart from the content of files.

    `stores` and `class_map` are the places of these files.
    """
    # A transfer attack uses the source's images: all models receive the same.
    is_transfer = cell.source is not None
    architecture = None if is_transfer else config.models[cell.model].architecture
    return {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity,
        "source": cell.source,
        "stores": list(stores_of_cell(config, cell, cell.model)),
        **_class_map(config, cell.dataset),
        **_perturbed(config, cell, architecture),
        # The only condition of a transfer attack is the model that it is made against.
        **({"conditions": [cell.source]} if is_transfer else {}),
        **_source_precision(config, cell),
    }


def precision_of(config: Config, model: str) -> str:
    """Return the precision of a model's passes: that of the study, or the fastest of its family."""
    if config.precision != "auto":
        return config.precision
    return fastest_precision(config.models[model].architecture.family)


def _source_precision(config: Config, cell: Cell) -> dict[str, str]:
    """Return the precision in which adversarial images are made, if it is another."""
    source = cell.model if cell.source is None else cell.source
    precision = precision_of(config, source)
    return {} if precision == precision_of(config, cell.model) else {"source_precision": precision}


def _class_map(config: Config, dataset: str) -> dict[str, Any]:
    class_map = config.datasets[dataset].class_map
    if class_map is None:
        return {"class_map": None}
    # Planning compares the content: the date may be that of a checkout.
    content = sha256_of(Path(class_map)) if Path(class_map).is_file() else None
    return {"class_map": class_map, "class_map_sha256": content}


def _perturbed(config: Config, cell: Cell, architecture: Architecture | None) -> dict[str, Any]:
    entry, declared = config.perturbations[cell.perturbation], perturbation(cell.perturbation)
    return {
        "conditions": list(conditions_of(entry, architecture)),
        "options": options_of(entry, cell.severity_value, architecture),
        "num_images": entry.num_images,
        "seed": seed_of(config, cell.perturbation),
        "precision": precision_of(config, cell.model),
        "protocol": declared.protocol,
        "uses": _protocols(declared.uses),
        "are_conditions_independent": declared.are_conditions_independent,
        "repeated": dict(declared.repeated),
        "by_condition": list(declared.by_condition),
    }


def seed_of(config: Config, id: str) -> int:
    """Return the seed of a perturbation's cells: the study's, or 0 if no number depends on it."""
    is_subset = config.perturbations[id].num_images is not None
    return config.seed if is_subset or perturbation(id).is_random else 0


def _protocols(ids: Iterable[str]) -> dict[str, int]:
    return {id: protocol_of(id) for id in ids}


def asked_of_measurement(config: Config, name: str, model: str) -> dict[str, Any]:
    """Return all inputs of a measurement's numbers apart from the content of files.

    Parameters
    ----------
    name : of `MEASUREMENTS`.

    Raises
    ------
    ValueError
        if the study does not ask for it.
    """
    if name == "perturbation_patterns" and config.patterns is not None:
        dataset, num_images = config.patterns.dataset, config.patterns.num_images
        own = _pattern_facts(config, config.patterns, model)
    elif name == "layer_correlations" and config.correlations is not None:
        dataset, num_images = config.correlations.dataset, config.correlations.num_images
        own = {"batch_size": config.batch_size}  # CKA's error depends on it
    else:
        raise ValueError(f"measurement is {name!r}, which the study does not ask for")
    return {
        "model": model,
        "measurement": name,
        "stores": [store_of(config, dataset, model)],
        "num_images": num_images,
        "seed": config.seed,
        "precision": precision_of(config, model),
        "protocol": measurements()[name].protocol,
        "uses": _protocols(measurements()[name].uses),
        **own,
    }


def _pattern_facts(config: Config, patterns: Patterns, model: str) -> dict[str, Any]:
    generate = config.datasets[patterns.dataset].generate
    own = config.models[model].architecture.patch_size
    sizes = {other.architecture.patch_size for other in config.models.values()}
    return {
        "patch_sizes": sorted(_GRIDS | {size for size in ({own} if own else sizes) if size}),
        "generate": dict(generate) if generate else None,
        "options": dict(patterns.options),
    }


def measured_models(config: Config, name: str) -> list[str]:
    """Return the models of a measurement, none if the study does not have it."""
    if name == "perturbation_patterns":
        return list(config.benchmark_models) if config.patterns else []
    return correlated_models(config) if config.correlations else []


def correlated_models(config: Config) -> list[str]:
    """Return the models under test whose block outputs can be read."""
    return [
        model
        for model in config.benchmark_models
        if lacking("layer_correlations", config.models[model].architecture) is None
    ]
