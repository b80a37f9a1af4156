"""Perturbation patterns: location of adversarial perturbations in the image."""

from collections.abc import Iterator, Mapping
from typing import Any

from perturb.experiments.declaration import (
    Chart,
    Experiment,
    Measurement,
    Passes,
    Source,
    Table,
    TestSet,
)
from perturb.experiments.shared_pixels import check_shared_pixels
from perturb.records import Config, Patterns


def _passes(options: Mapping[str, Any]) -> Passes:
    return Passes(gradients=int(options["steps"]))


def _check(config: Config) -> Iterator[str]:
    patterns = config.patterns
    if patterns is None:
        return
    yield from check_shared_pixels(
        "analyses.perturbation_patterns.dataset", [patterns.dataset], config
    )
    if patterns.options["epsilon"] > 1:
        yield "analyses.perturbation_patterns.epsilon: more than 1, in units of [0, 1]"
    if patterns.options["epsilon"] == 0:
        yield "analyses.perturbation_patterns.epsilon: 0 changes nothing; allowed: more"
    models = [config.models[model] for model in config.benchmark_models]
    has_patches = any(model.architecture.patch_size for model in models)
    if config.is_whole("models") and not has_patches:
        yield "analyses.perturbation_patterns: needs a model with patches: it measures borders"
    yield from _check_shown(patterns, config)


def _check_shown(patterns: Patterns, config: Config) -> Iterator[str]:
    if patterns.num_shown > patterns.num_images:
        yield (
            f"analyses.perturbation_patterns.shown: {patterns.num_shown} is more than the "
            f"{patterns.num_images} images that are measured"
        )
    for model in patterns.shown_models:
        if model in config.absent:
            yield f"analyses.perturbation_patterns.models: {model!r} has `weights: absent`"
        elif config.models[model].is_reference:
            yield (
                f"analyses.perturbation_patterns.models: {model!r} is the reference, "
                "which is not part of the benchmark"
            )


EXPERIMENT = Experiment(
    title="Perturbation patterns",
    figure="5",
    kind="attacks",
    measurements=(
        Measurement(
            id="perturbation_patterns",
            references=("madry2018towards",),
            protocol=2,
            measure="perturb.experiments.perturbation_patterns.measure:patterns_of",
            passes=_passes,
            label="perturbation patterns",
            uses=("pgd",),
        ),
    ),
    checks=_check,
    test_sets=(TestSet("patterns", "Perturbation patterns", 11),),
    sources=(
        Source(
            "patterns",
            filled={
                "model": "VARCHAR",
                "image_id": "VARCHAR",
                "patch_px": "INTEGER",
                "border_ratio": "FLOAT",
                "foreground_ratio": "FLOAT",
            },
        ),
    ),
    tables=(
        Table(
            "perturbation_patterns",
            title="Perturbation patterns",
            relations=("image_patterns",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "patch_px",
                "is_own_patch",
                "border_ratio",
                "foreground_ratio",
                "num_images",
            ),
            sources=("models", "patterns"),
            needs=("patterns",),
        ),
    ),
    charts=(
        Chart(
            "pattern_alignment",
            title="Location of perturbations",
            tables=("perturbation_patterns", "models"),
            drawn=("border_ratio", "foreground_ratio"),
            empty="No perturbation has a ratio: none changes an image, or no patches have a "
            "border.",
        ),
    ),
    has_picture=True,
    shows="perturb.experiments.perturbation_patterns.shows:at_borders_of_patches",
)
