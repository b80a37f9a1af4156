"""Corruptions: those of ImageNet-C, at five severities."""

from perturb.experiments.declaration import DECISIONS, Chart, Experiment, Pivot, Table, TestSet

EXPERIMENT = Experiment(
    title="Corruptions",
    figure="2",
    test_sets=(TestSet("corruptions", "Corruptions", 2),),
    tables=(
        Table(
            "corruption_accuracy",
            title="Accuracy under every corruption and severity",
            relations=("benchmark_models", "corruption_decisions", "corruptions"),
            shown=("architecture_label", "pretraining_label", "corruption"),
            pivot=Pivot("severity", "accuracy", ("model", "dataset")),
            reads=("none", "corruptions"),
            needs=("corruptions",),
        ),
        Table(
            "corruption_means",
            title="Every corruption, averaged over severities",
            relations=("benchmark_models", "corruption_errors"),
            shown=(
                "architecture_label",
                "pretraining_label",
                "corruption",
                "clean_accuracy",
                "accuracy",
                "ce",
                "num_images",
            ),
            sources=(*DECISIONS, "reference_errors"),
            reads=("none", "corruptions"),
            needs=("corruptions",),
        ),
        Table(
            "corruption_error",
            title="Mean accuracy, mCE and relative mCE",
            relations=("corruption_images", "corruption_errors"),
            shown=(
                "architecture_label",
                "pretraining_label",
                "clean_error",
                "mean_accuracy",
                "mce",
                "relative_mce",
                "num_images",
            ),
            sources=(*DECISIONS, "reference_errors"),
            reads=("none", "corruptions"),
            needs=("corruptions",),
        ),
        Table(
            "reference_errors",
            title="Errors of the reference network",
            relations=("corruption_decisions", "corruptions"),
            shown=("corruption",),
            pivot=Pivot("severity", "error"),
            reads=("none", "corruptions"),
            needs=("corruptions",),
        ),
    ),
    charts=(
        Chart(
            "corruption_heatmap",
            title="Every corruption",
            tables=("corruption_means", "accuracy", "models"),
            drawn=("accuracy",),
            empty="No model was tested on corrupted images of the clean set.",
            draw="perturb.experiments.corruptions.charts:corruption_heatmap",
            note="perturb.charts.notes:images",
            needs=("corruptions",),
        ),
    ),
    relations={"corruptions": "perturb.experiments.corruptions.groups:corruption_table"},
)
