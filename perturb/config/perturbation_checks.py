"""Checks of perturbations and analyses before any job starts."""

from collections.abc import Iterator

from perturb.experiments.possible import is_possible
from perturb.experiments.registry import experiments, perturbation
from perturb.messages import each, listed
from perturb.records import Config
from perturb.severities import severity_value


def check_perturbations(config: Config) -> Iterator[str]:
    """Yield a message for each perturbation or measurement that cannot be run as configured."""
    checks = (found.checks for found in experiments().values() if found.checks is not None)
    yield from each(
        *(check(config) for check in checks),
        _check_clean(config),
        _check_applied(config),
        _check_evaluated(config),
        _check_roles(config),
        _check_subsets(config),
    )


def _check_applied(config: Config) -> Iterator[str]:
    """Check that every perturbation applies to some model, at every severity."""
    if not config.is_whole("models"):
        return
    benchmark = [config.models[model].architecture for model in config.benchmark_models]
    for entry in config.perturbations.values():
        for severity in entry.severities:
            value = severity_value(severity)
            if not any(is_possible(entry, value, model) for model in benchmark):
                shown = severity.replace("_", "/")
                yield (
                    f"perturbations.{entry.key}: no model of this study can be changed at "
                    f"severity {shown}"
                )


def _check_clean(config: Config) -> Iterator[str]:
    """Check that some perturbations are evaluated on the clean test set alone."""
    clean = config.clean_dataset.id
    for id, entry in config.perturbations.items():
        if perturbation(id).is_on_clean_set and entry.datasets != (clean,):
            yield (
                f"perturbations.{entry.key}.datasets: {listed(entry.datasets)}; "
                f"allowed: {clean}, the clean set, alone"
            )


def _check_evaluated(config: Config) -> Iterator[str]:
    none = config.perturbations.get("none")
    # None if it was left out in part: then what it does not list may be listed.
    clean = config.clean_dataset.id
    listed_in_none = none.datasets if none and config.is_whole("perturbations.none") else None
    for entry in config.perturbations.values():
        for id in entry.datasets:
            dataset = config.datasets[id]
            key = f"perturbations.{entry.key}.datasets"
            if dataset.role == "train":
                yield f"{key}: {id!r} has `role: train`; models are not evaluated on it"
            if dataset.role == "corrupted":
                if entry.key != "stored_corruptions":
                    yield (
                        f"{key}: {id!r} has `role: corrupted`; allowed only in stored_corruptions"
                    )
                continue
            # Another message is about the clean set.
            is_absent = listed_in_none is not None and id not in {*listed_in_none, clean}
            if entry.id != "none" and is_absent:
                yield f"{key}: {id!r} must also be under perturbations.none.datasets"
    if listed_in_none is not None and clean not in listed_in_none:
        yield f"perturbations.none.datasets: {clean!r}, the clean set, is missing"


def _check_roles(config: Config) -> Iterator[str]:
    """Check that tables can distinguish the datasets: a role is the name of a test set."""
    none = config.perturbations.get("none")
    by_role: dict[str, list[str]] = {}
    for id in none.datasets if none else ():
        by_role.setdefault(config.datasets[id].role, []).append(id)
    for role, ids in by_role.items():
        if role not in ("extra", "train", "clean") and len(ids) > 1:
            yield (
                f"perturbations.none.datasets: {listed(ids)} all have `role: {role}`; allowed: one"
            )


def _check_subsets(config: Config) -> Iterator[str]:
    """Check that a subset is no larger than its dataset, if that size is known."""
    asked = [
        (f"perturbations.{item.key}.images", dataset, item.num_images)
        for item in config.perturbations.values()
        for dataset in item.datasets
        if item.num_images is not None
    ]
    if config.patterns is not None:
        patterns = config.patterns
        asked.append(
            ("analyses.perturbation_patterns.images", patterns.dataset, patterns.num_images)
        )
    if config.correlations is not None:
        correlations = config.correlations
        asked.append(("analyses.layer_correlations.images", *vars(correlations).values()))
    for key, dataset, num_images in asked:
        pool = config.datasets[dataset].filter
        available = config.datasets[pool["dataset"] if pool else dataset].num_images
        if available is not None and num_images > available:
            yield f"{key}: {num_images} is more than the {available} of {dataset!r}"
