"""The models, and their accuracy on clean images and on the benchmarks of Figure 2."""

from perturb.tables.entries.table import (
    CLEAN,
    CLUSTERED,
    CORRUPTIONS,
    DECISIONS,
    OUTCOMES,
    SAME_IMAGES,
    WILSON,
    Pivot,
    Table,
)

TABLES = {
    "models": Table(
        title="Models",
        caption="The models, with their number of parameters, what they were pre-trained on, and "
        "their accuracy on clean images in percent. A warning stands where that is no better than "
        "chance: where the lower end of its interval is not above the accuracy of an answer that "
        f"is always the most frequent class. {WILSON}",
        sources=DECISIONS,
        relations=("benchmark_models", "clean_chance"),
        shown=(
            "architecture_label",
            "pretraining_label",
            "pretraining_images",
            "num_parameters",
            "is_reference",
            "num_images",
            "clean_top1",
            "chance",
            "warning",
        ),
        reads=("none",),
    ),
    "accuracy": Table(
        title="Robustness benchmarks",
        caption="Accuracy of every model on every test set, in percent (the paper's Figure 2). "
        f"Corruptions: the mean over the benchmark's corruptions and severities. {SAME_IMAGES} "
        f"Sets of other images have no such accuracy. {CLUSTERED}",
        sources=DECISIONS,
        relations=(*OUTCOMES, CLEAN, "clean_chance"),
        shown=("architecture_label", "pretraining_label", "num_parameters", "warning"),
        pivot=Pivot("test_set_label", "accuracy", ("model",), beside="clean_accuracy"),
        reads=("none", "corruptions"),
    ),
    "corruption_accuracy": Table(
        title="Accuracy under every corruption and severity",
        caption=f"Accuracy in percent, corruption by corruption, severity 1 to 5. {WILSON}",
        sources=DECISIONS,
        relations=("benchmark_models", *CORRUPTIONS),
        shown=("architecture_label", "pretraining_label", "corruption"),
        pivot=Pivot("severity", "accuracy", ("model", "dataset")),
        needs=("corruptions",),
        reads=("none", "corruptions"),
    ),
    "corruption_means": Table(
        title="Every corruption, averaged over severities",
        caption="Accuracy and corruption error (CE: errors over the reference network's errors) "
        "in percent, means over the severities. Clean: the same images without corruption. "
        f"{CLUSTERED} The reference's errors are taken as given.",
        sources=(*DECISIONS, "reference_errors"),
        relations=(
            "benchmark_models",
            *CORRUPTIONS,
            "corruption_outcomes",
            "reference_sums",
            "corruption_sums",
            "corruption_errors",
        ),
        shown=(
            "architecture_label",
            "pretraining_label",
            "corruption",
            "clean_accuracy",
            "accuracy",
            "ce",
            "num_images",
        ),
        needs=("corruptions",),
        reads=("none", "corruptions"),
    ),
    "corruption_error": Table(
        title="Mean accuracy, mCE and relative mCE",
        caption="Three summaries of the benchmark's corruptions, in percent. mCE divides a "
        "model's errors by the reference network's, corruption by corruption; relative mCE does "
        "so with the errors added to those on the same images without corruption (clean error). "
        "Lower is better for both; neither exists unless all 15 corruptions were run at all five "
        "severities, nor relative mCE where the reference loses nothing to one of them. "
        "Brackets: 95 % interval, clustered by image, the reference's errors taken as given.",
        sources=(*DECISIONS, "reference_errors"),
        relations=(
            *OUTCOMES,
            "corruption_outcomes",
            "reference_sums",
            "corruption_sums",
            "corruption_errors",
        ),
        shown=(
            "architecture_label",
            "pretraining_label",
            "clean_error",
            "mean_accuracy",
            "mce",
            "relative_mce",
            "num_images",
        ),
        needs=("corruptions",),
        reads=("none", "corruptions"),
    ),
    "reference_errors": Table(
        title="Errors of the reference network",
        caption="Error in percent of the reference network, which is no part of the benchmark: "
        f"the denominators of the corruption errors. Severity 0: clean images. {WILSON}",
        sources=DECISIONS,
        relations=CORRUPTIONS,
        shown=("corruption",),
        pivot=Pivot("severity", "error"),
        needs=("corruptions",),
        reads=("none", "corruptions"),
    ),
}
