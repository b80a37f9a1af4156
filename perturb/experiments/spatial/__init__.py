"""Rotation and translation: the worst case of a grid, and a random sample of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from perturb.experiments.declaration import (
    Asked,
    Chart,
    Experiment,
    Measure,
    Passes,
    Perturbation,
    Pivot,
    Table,
    TestSet,
)
from perturb.messages import listed
from perturb.records import Config


def _passes(asked: Asked) -> Passes:
    points = asked.option("rotations") * asked.option("translations") ** 2
    return Passes(predictions=points + asked.option("samples"))


def _check(config: Config) -> Iterator[str]:
    spatial = config.perturbations.get("spatial")
    if spatial is None:
        return
    if len(spatial.severities) > 1:
        yield f"perturbations.spatial.scales: {listed(spatial.severities)}; allowed: one"
    yield from _check_samples(spatial.options)
    for name in ("rotations", "translations"):
        if spatial.options[name] % 2 == 0:
            yield (
                f"perturbations.spatial.{name}: {spatial.options[name]} is even; "
                "allowed: odd numbers, so that the unchanged image is in the grid"
            )


def _check_samples(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message if the grid has fewer points than the samples, drawn without replacement."""
    rotations = options["rotations"] if options["max_rotation_deg"] else 1
    translations = options["translations"] if options["max_translation"] else 1
    points = rotations * translations**2
    if 1 < points < options["samples"]:
        yield (
            f"perturbations.spatial.samples: {options['samples']} is more than the {points} points "
            f"of the grid, {rotations} rotations x {translations}^2 translations"
        )


EXPERIMENT = Experiment(
    title="Rotation and translation",
    figure="3",
    kind="attacks",
    perturbations=(
        Perturbation(
            id="spatial",
            references=("engstrom2019exploring",),
            protocol=1,
            evaluator="perturb.experiments.spatial.evaluate:spatial_outcomes",
            passes=_passes,
            severities="scales",
            conditions=("grid", "random"),
            condition_labels={"grid": "Worst of the grid", "random": "Random point of the grid"},
            severity_label="scale %g",
            repeated={"random": "samples"},
            is_on_clean_set=True,
            gallery="perturb.experiments.spatial.gallery:pictures",
        ),
    ),
    checks=_check,
    test_sets=(TestSet("spatial", "Adversarial spatial", 9),),
    measures=(Measure("spatial", "Spatial", 8, test_sets=("spatial",), phrase="rotations"),),
    tables=(
        Table(
            "spatial_accuracy",
            title="Rotation and translation",
            relations=("spatial_predictions",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "clean_accuracy",
                "worst_of_grid",
                "worst_of_10",
                "grid_mean",
                "num_images",
                "num_samples",
            ),
            reads=("none", "spatial"),
            needs=("spatial",),
            on_page=True,
        ),
        Table(
            "spatial_grid",
            title="Accuracy by rotation and translation",
            relations=("spatial_predictions",),
            shown=("architecture_label", "pretraining_label", "translation"),
            pivot=Pivot("rotation_bin", "accuracy", ("model",)),
            reads=("none", "spatial"),
            needs=("spatial",),
        ),
    ),
    charts=(
        Chart(
            "spatial_heatmap",
            title="Accuracy by rotation and translation",
            tables=("spatial_grid", "models"),
            empty="No model was tested on random rotations and translations.",
            note=None,
        ),
    ),
    shows="perturb.experiments.spatial.shows:worst_and_mean",
)
