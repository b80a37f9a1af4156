"""Corruptions: those of ImageNet-C, at five severities."""

from perturb.experiments.corruptions.checks import check_corruptions
from perturb.experiments.corruptions.entries import with_corruptions, with_stored_corruptions
from perturb.experiments.corruptions.names import CORRUPTIONS, JPEG_SUFFIX, STORED_CORRUPTIONS
from perturb.experiments.declaration import Asked, Experiment, Passes, Perturbation


def _made(asked: Asked) -> Passes:
    count = len(asked.entry.conditions)
    return Passes(predictions=count, corruptions=count)


def _stored(asked: Asked) -> Passes:
    return Passes(predictions=len(asked.entry.conditions))


EXPERIMENT = Experiment(
    title="Corruptions",
    figure="2",
    perturbations=(
        Perturbation(
            id="corruptions",
            protocol=2,
            evaluator="perturb.experiments.corruptions.evaluate:corrupted_outcomes",
            passes=_made,
            severities="severities",
            conditions=CORRUPTIONS,
            configured=with_corruptions,
        ),
        Perturbation(
            id=f"corruptions{JPEG_SUFFIX}",
            protocol=1,
            key="corruptions",
            evaluator="perturb.experiments.corruptions.evaluate:corrupted_outcomes",
            passes=_made,
            severities="severities",
            conditions=CORRUPTIONS,
        ),
        Perturbation(
            id=STORED_CORRUPTIONS,
            protocol=1,
            key="stored_corruptions",
            # Each condition has a decoded dataset of its own: nothing is left to change.
            evaluator="perturb.experiments.benchmarks.evaluate:unchanged_outcomes",
            passes=_stored,
            severities="severities",
            conditions=CORRUPTIONS,
            configured=with_stored_corruptions,
        ),
    ),
    checks=check_corruptions,
)
