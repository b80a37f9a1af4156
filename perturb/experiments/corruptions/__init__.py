"""Corruptions: those of ImageNet-C, at five severities."""

from perturb.experiments.corruptions.checks import check_corruptions
from perturb.experiments.corruptions.entries import with_corruptions, with_stored_corruptions
from perturb.experiments.corruptions.names import CORRUPTIONS, JPEG_SUFFIX, STORED_CORRUPTIONS
from perturb.experiments.declaration import (
    PREDICTIONS,
    Asked,
    Chart,
    Experiment,
    Measure,
    Passes,
    Perturbation,
    Pivot,
    Source,
    Table,
    TestSet,
)


def _made(asked: Asked) -> Passes:
    count = len(asked.entry.conditions)
    return Passes(predictions=count, corruptions=count)


_LABELS = {"jpeg_compression": "JPEG compression"}
_SEVERITY = "severity %g"
_REFERENCES = ("hendrycks2019benchmarking",)

EXPERIMENT = Experiment(
    title="Corruptions",
    figure="2",
    perturbations=(
        Perturbation(
            id="corruptions",
            references=_REFERENCES,
            protocol=2,
            evaluator="perturb.experiments.corruptions.evaluate:corrupted_outcomes",
            passes=_made,
            severities="severities",
            conditions=CORRUPTIONS,
            condition_labels=_LABELS,
            severity_label=_SEVERITY,
            is_independent_of_model=True,
            configured=with_corruptions,
        ),
        Perturbation(
            id=f"corruptions{JPEG_SUFFIX}",
            references=_REFERENCES,
            protocol=1,
            key="corruptions",
            evaluator="perturb.experiments.corruptions.evaluate:corrupted_outcomes",
            passes=_made,
            severities="severities",
            conditions=CORRUPTIONS,
            condition_labels=_LABELS,
            severity_label=_SEVERITY,
            is_independent_of_model=True,
        ),
        Perturbation(
            id=STORED_CORRUPTIONS,
            references=_REFERENCES,
            protocol=1,
            key="stored_corruptions",
            # Each condition has its own decoded dataset, so images are evaluated unchanged.
            evaluator="perturb.experiments.benchmarks.evaluate:unchanged_outcomes",
            severities="severities",
            conditions=CORRUPTIONS,
            condition_labels=_LABELS,
            severity_label=_SEVERITY,
            is_independent_of_model=True,
            is_random=False,
            uses=("none",),
            configured=with_stored_corruptions,
        ),
    ),
    checks=check_corruptions,
    test_sets=(TestSet("corruptions", "Corruptions", 2),),
    measures=(
        Measure("corruptions", "Corruptions", 2, test_sets=("corruptions",)),
        Measure("mce", "mCE", 3, is_better_high=False),
    ),
    sources=(
        Source(
            "reference_errors",
            types={"severity": "INTEGER", "error": "DOUBLE"},
            filled={"corruption": "VARCHAR", "severity": "INTEGER", "error": "DOUBLE"},
        ),
    ),
    tables=(
        Table(
            "corruption_accuracy",
            title="Accuracy by corruption and severity",
            relations=("benchmark_models", "corruption_predictions", "corruptions"),
            shown=("architecture_label", "pretraining_label", "corruption"),
            pivot=Pivot("severity", "accuracy", ("model", "dataset")),
            reads=("none", "corruptions"),
            needs=("corruptions",),
        ),
        Table(
            "corruption_means",
            title="Accuracy by corruption, averaged over severities",
            relations=("benchmark_models", "corruption_errors", "corruption_error_intervals"),
            shown=(
                "architecture_label",
                "pretraining_label",
                "corruption",
                "clean_accuracy",
                "accuracy",
                "ce",
                "num_images",
            ),
            sources=(*PREDICTIONS, "reference_errors"),
            optional=("reference_errors",),
            reads=("none", "corruptions"),
            parameters=("has_denominators",),
            needs=("corruptions",),
        ),
        Table(
            "corruption_error",
            title="Mean accuracy, mCE and relative mCE",
            relations=("corruption_images", "corruption_scores"),
            shown=(
                "architecture_label",
                "pretraining_label",
                "clean_error",
                "mean_accuracy",
                "mce",
                "relative_mce",
                "num_images",
            ),
            sources=(*PREDICTIONS, "reference_errors"),
            optional=("reference_errors",),
            reads=("none", "corruptions"),
            parameters=("has_denominators",),
            needs=("corruptions",),
        ),
        Table(
            "reference_errors",
            title="Errors of the reference network",
            relations=("corruption_predictions", "corruptions"),
            shown=("corruption",),
            pivot=Pivot("severity", "error"),
            reads=("none", "corruptions"),
            needs=("corruptions", "reference"),
        ),
    ),
    charts=(
        Chart(
            "corruption_heatmap",
            title="Accuracy by corruption",
            tables=("corruption_means", "accuracy", "models"),
            empty="No model was tested on corrupted images of the clean set.",
        ),
    ),
    relations={"corruptions": "perturb.experiments.corruptions.groups:corruption_table"},
    shows="perturb.experiments.corruptions.shows:most_and_least_costly",
)
