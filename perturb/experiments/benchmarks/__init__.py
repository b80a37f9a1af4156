"""Robustness benchmarks: clean images, renditions, natural adversarial images."""

from perturb.experiments.benchmarks.entries import with_subsets
from perturb.experiments.declaration import Asked, Experiment, Passes, Perturbation


def _one(_: Asked) -> Passes:
    return Passes(predictions=1)


EXPERIMENT = Experiment(
    title="Benchmarks",
    figure="2",
    perturbations=(
        Perturbation(
            id="none",
            protocol=1,
            evaluator="perturb.experiments.benchmarks.evaluate:unchanged_outcomes",
            passes=_one,
            severities=0,
            conditions=("none",),
        ),
        Perturbation(
            id="class_subset",
            protocol=1,
            evaluator="perturb.experiments.benchmarks.evaluate:subset_outcomes",
            passes=_one,
            severities=0,
            configured=with_subsets,
        ),
    ),
)
