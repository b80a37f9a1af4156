"""Checks of the configuration of attacks, made before any job starts."""

import math
from collections.abc import Iterator
from dataclasses import replace

from perturb.datasets.real.bundled_sets import BUNDLED_SIDE
from perturb.datasets.real.label_space import num_logits
from perturb.datasets.synthetic.family import SIDE
from perturb.experiments.options import default_of
from perturb.messages import listed
from perturb.records import Config, PerturbationEntry
from perturb.severities import severity_value

# Attacks in the L-infinity ball, and the ensembles.
ATTACKS = ("fgsm", "pgd", "attack_ensemble")
ENSEMBLES = ("attack_ensemble", "attack_ensemble_l2")
# Classes that the DLR loss needs: with two it is constant.
FEWEST_OF_DLR = 3


def check_attacks(config: Config) -> Iterator[str]:
    """Yield a message for each mistake in the configuration of attacks."""
    if config.clean_dataset.class_map is not None:
        yield (
            f"datasets.{config.clean_dataset.id}.class_map: not allowed on the clean set, whose "
            "classes are the models' own"
        )
    if severity_value(config.epsilon) > 1:
        yield f"epsilon: {config.epsilon.replace('_', '/')} > 1, in units of [0, 1]"
    for id in ATTACKS:
        if id not in config.perturbations:
            continue
        yield from _check_headline(id, config)
        yield from _check_datasets(id, config)
        yield from check_epsilons(config.perturbations[id])
        yield from check_restarts(config.perturbations[id])
    if "attack_ensemble_l2" in config.perturbations:
        yield from _check_datasets("attack_ensemble_l2", config)
        yield from _check_lengths(config.perturbations["attack_ensemble_l2"], config)
    for id in ENSEMBLES:
        yield from _check_targets(id, config)


def _check_headline(id: str, config: Config) -> Iterator[str]:
    severities, epsilon = config.perturbations[id].severities, severity_value(config.epsilon)
    if epsilon > 1 or not config.is_whole("epsilon"):
        return  # another message is about it
    if epsilon not in set(map(severity_value, severities)):
        known = listed(severity.replace("_", "/") for severity in severities)
        yield (
            f"epsilon: {config.epsilon.replace('_', '/')} is not among "
            f"perturbations.{id}.epsilons ({known}); attacks are compared at it"
        )


def _check_datasets(id: str, config: Config) -> Iterator[str]:
    """Yield a message for each dataset whose labels are not the classes of the models."""
    for name in config.perturbations[id].datasets:
        dataset = config.datasets[name]
        if dataset.class_map is not None and dataset.role != "clean":
            yield (
                f"perturbations.{id}.datasets: {name!r} has coarser classes (`class_map`), on "
                "which the models have no loss; allowed: datasets of their own classes"
            )
        elif dataset.role == "cue_conflict" or "accepted_labels" in (dataset.source or {}):
            yield (
                f"perturbations.{id}.datasets: {name!r} has several labels an image; allowed: "
                "datasets with one"
            )


def check_epsilons(attack: PerturbationEntry) -> Iterator[str]:
    """Yield a message for each epsilon above 1."""
    for severity in attack.severities:
        if severity_value(severity) > 1:
            yield (
                f"perturbations.{attack.id}.epsilons: {severity.replace('_', '/')} > 1, in "
                "units of [0, 1]"
            )


def _check_lengths(attack: PerturbationEntry, config: Config) -> Iterator[str]:
    """Yield a message for each L2 epsilon below any change of eight-bit images, or above all."""
    sides = [side for id in attack.datasets for side in _sides(id, config)]
    is_known = 0 not in sides and config.is_whole("models") and config.is_whole("datasets")
    longest = math.sqrt(3) * max(sides, default=0) if is_known else math.inf
    for severity in attack.severities:
        value, name = severity_value(severity), severity.replace("_", "/")
        key = f"perturbations.{attack.id}.epsilons: {name}"
        if value > longest:
            yield (
                f"{key}; allowed: at most {longest:.1f}, the length of the largest change of an "
                f"image of {max(sides)} px with pixels in [0, 1], not in gray levels"
            )
        elif 0 < value < 1 / 255:
            yield (
                f"{key}; allowed: 0, or 1/255 or more, the length of the change of one value by a "
                "gray level"
            )


def _sides(id: str, config: Config) -> list[int]:
    """Return the sides of the images of a dataset that models receive [px]; 0 is unknown."""
    dataset = config.datasets[id]
    if dataset.filter is not None:
        return _sides(dataset.filter["dataset"], config)
    if dataset.generate is not None:
        return [SIDE]
    if dataset.bundled is not None:
        return [BUNDLED_SIDE[dataset.bundled["set"]]]
    if dataset.view is not None:
        return [dataset.view.side]
    own = (config.models[id].own_preprocessing for id in config.benchmark_models)
    return [0 if preprocessing is None else preprocessing.view.side for preprocessing in own]


def check_restarts(attack: PerturbationEntry) -> Iterator[str]:
    """Yield a message if an attack restarts from the same start."""
    options = attack.options
    if options.get("restarts", 1) > 1 and not options.get("random_start", True):
        yield f"perturbations.{attack.id}.restarts: more than one needs `random_start: true`"


def check_pgd(id: str, config: Config) -> Iterator[str]:
    """Yield a message if an attack is configured without PGD."""
    is_missing = "pgd" not in config.perturbations and config.is_whole("perturbations.pgd")
    if id in config.perturbations and is_missing:
        yield f"perturbations.{id}: needs perturbations.pgd, which it is compared with"


def _check_targets(id: str, config: Config) -> Iterator[str]:
    """Yield a message if the DLR attack has more target classes than a model has other classes.

    The default number and that of the standard set are upper bounds.
    """
    ensemble = config.perturbations.get(id)
    if ensemble is None or "fab" in ensemble.conditions:
        return
    asked = ensemble.options["targets"]
    for name in config.benchmark_models:
        head = num_logits(config, config.models[name])
        if head is not None and asked > head - 1 and asked != default_of(id, "targets"):
            yield (
                f"perturbations.{id}.targets: {asked}, but models.{name} has {head} "
                f"classes; allowed: at most {max(head - 1, 1)}, the other classes"
            )


def with_possible_attacks(config: Config) -> Config:
    """Return a study whose ensembles have no DLR attack if some model has too few classes.

    The other attacks remain. Tables and shards name the attacks run.
    """
    heads = [num_logits(config, config.models[id]) for id in config.benchmark_models]
    if all(head is None or head >= FEWEST_OF_DLR for head in heads):
        return config
    possible = {
        id: _without_dlr(config.perturbations[id]) for id in ENSEMBLES if id in config.perturbations
    }
    return replace(config, perturbations={**config.perturbations, **possible})


def _without_dlr(ensemble: PerturbationEntry) -> PerturbationEntry:
    conditions = tuple(name for name in ensemble.conditions if name != "apgd_dlr")
    options = dict(ensemble.options)
    if "fab" not in conditions:
        del options["targets"]
    return replace(ensemble, conditions=conditions, options=options)
