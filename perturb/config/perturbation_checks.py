"""What makes no study among its perturbations and analyses, named before any job starts."""

from collections.abc import Iterator, Mapping
from typing import Any

from perturb.config.alexnet import check_alexnet
from perturb.config.schema import each, listed
from perturb.experiments.names import SMALLEST_SIDE
from perturb.experiments.possible import is_possible, lacking
from perturb.records import Config, PerturbationEntry
from perturb.severities import severity_value

# The unbiased estimate of CKA divides by n - 3.
FEWEST_CORRELATED = 4
# Perturbations whose cost or question ties them to the test set that all is compared with.
ON_THE_CLEAN_SET = (
    *("fgsm", "pgd", "ensemble", "spatial"),
    *("lesions", "heads", "attention_distance", "patch_cls", "tokens"),
)


def check_perturbations(config: Config) -> Iterator[str]:
    """Yield a message for each perturbation or analysis that cannot be run as asked."""
    yield from each(
        _check_attacks(config),
        _check_side_by_side(config),
        _check_applied(config),
        _check_corruptions(config),
        check_alexnet(config),
        _check_analyses(config),
        _check_evaluated(config),
        _check_subsets(config),
    )


def _check_attacks(config: Config) -> Iterator[str]:
    """What compares models under attack needs one epsilon, and the models' own classes."""
    if config.clean_dataset.class_map is not None:
        yield (
            f"datasets.{config.clean_dataset.id}.class_map: not allowed on the clean set, whose "
            "classes are the models' own"
        )
    if severity_value(config.epsilon) > 1:
        yield f"epsilon: {config.epsilon.replace('_', '/')} > 1, in units of [0, 1]"
    for id in ("fgsm", "pgd", "ensemble"):
        attack = config.perturbations.get(id)
        if attack is not None and severity_value(config.epsilon) not in {
            severity_value(severity) for severity in attack.severities
        }:
            known = listed(severity.replace("_", "/") for severity in attack.severities)
            yield (
                f"epsilon: {config.epsilon.replace('_', '/')} is not among "
                f"perturbations.{id}.epsilons ({known}); attacks are compared at it"
            )
    for id in ("fgsm", "ensemble", "transfer"):
        if id in config.perturbations and "pgd" not in config.perturbations:
            yield f"perturbations.{id}: needs perturbations.pgd, which it is compared with"
    for id in ON_THE_CLEAN_SET:
        perturbation = config.perturbations.get(id)
        if perturbation is not None and perturbation.datasets != (config.clean_dataset.id,):
            yield (
                f"perturbations.{id}.datasets: {listed(perturbation.datasets)}; "
                f"allowed: {config.clean_dataset.id}, the clean set, alone"
            )
        options = perturbation.options if perturbation else {}
        if id == "spatial" and options:
            yield from _check_spatial_samples(options)
        for name in ("rotations", "translations"):
            if options.get(name, 1) % 2 == 0:
                yield (
                    f"perturbations.{id}.{name}: {options[name]} is even; "
                    "allowed: odd numbers, so that the unchanged image is in the grid"
                )
        if options.get("restarts", 1) > 1 and not options.get("random_start", True):
            yield f"perturbations.{id}.restarts: more than one needs `random_start: true`"


def _check_spatial_samples(options: Mapping[str, Any]) -> Iterator[str]:
    """Samples are drawn without repetition, so a grid must have as many points."""
    rotations = options["rotations"] if options["max_rotation_deg"] else 1
    translations = options["translations"] if options["max_translation"] else 1
    points = rotations * translations**2
    if 1 < points < options["samples"]:
        yield (
            f"perturbations.spatial.samples: {options['samples']} is more than the {points} points "
            f"of the grid, {rotations} rotations x {translations}^2 translations"
        )


def _check_side_by_side(config: Config) -> Iterator[str]:
    """What shows models the same pixels: the clean set, or one that is seen alike by all."""
    asked = {}
    if "transfer" in config.perturbations:
        asked["perturbations.transfer.datasets"] = config.perturbations["transfer"].datasets
    if config.patterns is not None:
        asked["analyses.patterns.dataset"] = (config.patterns.dataset,)
    for key, ids in asked.items():
        if len(ids) > 1:
            yield f"{key}: {listed(ids)}; allowed: one"
        if config.datasets[ids[0]].role not in ("clean", "other"):
            yield (
                f"{key}: {ids[0]!r}; allowed: {config.clean_dataset.id}, the clean set, or one "
                "with `role: other`"
            )


def _check_applied(config: Config) -> Iterator[str]:
    """Every perturbation must have something to change, at every severity, in some model."""
    benchmark = [config.models[model].architecture for model in config.benchmark_models]
    for id, perturbation in config.perturbations.items():
        for severity in perturbation.severities:
            value = severity_value(severity)
            if not any(is_possible(perturbation, value, model) for model in benchmark):
                shown = severity.replace("_", "/")
                yield (
                    f"perturbations.{perturbation.key}: no model of this study has what it "
                    f"changes, or as many of it as {shown}"
                )
            if id in ("fgsm", "pgd", "ensemble", "transfer") and value > 1:
                yield (
                    f"perturbations.{id}.epsilons: {severity.replace('_', '/')} > 1, in "
                    "units of [0, 1]"
                )
    conflicts = [
        id
        for id in config.perturbations["none"].datasets
        if config.datasets[id].role == "cue_conflict"
    ]
    if len(conflicts) > 1:
        yield (
            f"perturbations.none.datasets: {listed(conflicts)} all have `role: cue_conflict`; "
            "allowed: one"
        )


def _check_corruptions(config: Config) -> Iterator[str]:
    """Corruptions are of the clean set: made from it, or a data set that others made from it."""
    found = [item for item in config.perturbations.values() if item.key.endswith("corruptions")]
    if len(found) > 1:
        yield (
            "perturbations: `corruptions` and `stored_corruptions` exclude each other; their "
            "numbers differ by many points. Two configurations with two `results` folders hold both"
        )
    for perturbation in found:
        key = f"perturbations.{perturbation.key}.datasets"
        if (
            perturbation.key == "corruptions"
            and config.clean_dataset.id not in perturbation.datasets
        ):
            yield f"{key}: {config.clean_dataset.id!r}, the clean set, is missing"
        if perturbation.key == "corruptions":
            yield from _check_sides(perturbation, config)
        for id in perturbation.datasets:
            is_stored = perturbation.key == "stored_corruptions"
            if is_stored != (config.datasets[id].role == "corrupted"):
                yield (
                    f"{key}: {id!r} has the role {config.datasets[id].role}; `stored_corruptions` "
                    "needs `role: corrupted`, and nothing else may have it"
                )
        if perturbation.key == "stored_corruptions" and len(perturbation.datasets) > 1:
            yield f"{key}: {listed(perturbation.datasets)}; allowed: one"


def _check_sides(corruptions: PerturbationEntry, config: Config) -> Iterator[str]:
    """Corruptions cannot be made of images below a certain side, where that is known."""
    for dataset in (config.datasets[id] for id in corruptions.datasets):
        views = {f"datasets.{dataset.id}": dataset.view}
        if not dataset.is_seen_alike:
            own = {id: model.own_view for id, model in config.models.items()}
            views = {f"models.{id}": view.view for id, view in own.items() if view is not None}
        for key, view in views.items():
            if view is not None and 0 < view.side < SMALLEST_SIDE:
                yield (
                    f"{key}.preprocessing.side: {view.side}; allowed: {SMALLEST_SIDE} or more, of "
                    "which perturbations.corruptions can be made"
                )


def _check_analyses(config: Config) -> Iterator[str]:
    patterns, correlations = config.patterns, config.correlations
    if correlations is not None and correlations.dataset != config.clean_dataset.id:
        yield (
            f"analyses.correlations.dataset: {correlations.dataset!r}; "
            f"allowed: {config.clean_dataset.id}, the clean set"
        )
    if correlations is not None and not any(
        lacking("correlations", config.models[model].architecture) is None
        for model in config.benchmark_models
    ):
        yield "analyses.correlations: no model of this study has blocks that can be read"
    if correlations is not None and correlations.num_images < FEWEST_CORRELATED:
        yield (
            f"analyses.correlations.images: {correlations.num_images}; "
            f"allowed: {FEWEST_CORRELATED} or more"
        )
    if patterns is None:
        return
    if patterns.options["epsilon"] > 1:
        yield "analyses.patterns.epsilon: more than 1, in units of [0, 1]"
    if patterns.options["epsilon"] == 0:
        yield "analyses.patterns.epsilon: 0 changes nothing; allowed: more"
    if not any(config.models[model].architecture.patch_size for model in config.benchmark_models):
        yield "analyses.patterns: needs a model with patches: it measures borders"


def _check_evaluated(config: Config) -> Iterator[str]:
    for perturbation in config.perturbations.values():
        for id in perturbation.datasets:
            dataset = config.datasets[id]
            key = f"perturbations.{perturbation.key}.datasets"
            if dataset.role == "train":
                yield f"{key}: {id!r} has `role: train`; models are not evaluated on it"
            if dataset.role == "corrupted":
                if perturbation.key != "stored_corruptions":
                    yield (
                        f"{key}: {id!r} has `role: corrupted`; allowed only in stored_corruptions"
                    )
                continue
            if perturbation.id != "none" and id not in config.perturbations["none"].datasets:
                yield f"{key}: {id!r} must also be under perturbations.none.datasets"
    if config.clean_dataset.id not in config.perturbations["none"].datasets:
        yield (
            f"perturbations.none.datasets: {config.clean_dataset.id!r}, the clean set, is missing"
        )


def _check_subsets(config: Config) -> Iterator[str]:
    """A subset must lie within its data set, where the size of that is known beforehand."""
    asked = [
        (f"perturbations.{item.key}.images", dataset, item.num_images)
        for item in config.perturbations.values()
        for dataset in item.datasets
        if item.num_images is not None
    ]
    if config.patterns is not None:
        patterns = config.patterns
        asked.append(("analyses.patterns.images", patterns.dataset, patterns.num_images))
        if patterns.num_shown > patterns.num_images:
            yield (
                f"analyses.patterns.shown: {patterns.num_shown} is more than the "
                f"{patterns.num_images} images that are measured"
            )
        for model in patterns.shown_models:
            if model in config.absent:
                yield f"analyses.patterns.models: {model!r} has `weights: absent`"
            elif config.models[model].is_reference:
                yield (
                    f"analyses.patterns.models: {model!r} is the reference, "
                    "which is no part of the benchmark"
                )
    if config.correlations is not None:
        correlations = config.correlations
        asked.append(("analyses.correlations.images", *vars(correlations).values()))
    for key, dataset, num_images in asked:
        pool = config.datasets[dataset].filter
        available = config.datasets[pool["dataset"] if pool else dataset].num_images
        if available is not None and num_images > available:
            yield f"{key}: {num_images} is more than the {available} of {dataset!r}"
