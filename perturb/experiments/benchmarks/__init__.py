"""Robustness benchmarks: clean images, renditions, natural adversarial images."""

from perturb.experiments.benchmarks.entries import with_subsets
from perturb.experiments.declaration import (
    Chart,
    Experiment,
    Measure,
    Perturbation,
    Pivot,
    Table,
    TestSet,
    one_prediction,
)

EXPERIMENT = Experiment(
    title="Benchmarks",
    figure="2",
    perturbations=(
        Perturbation(
            id="none",
            protocol=1,
            evaluator="perturb.experiments.benchmarks.evaluate:unchanged_outcomes",
            severities=0,
            conditions=("none",),
            condition_labels={"none": "Unchanged"},
            is_independent_of_model=True,
            is_random=False,
        ),
        Perturbation(
            id="class_subset",
            protocol=1,
            evaluator="perturb.experiments.benchmarks.evaluate:subset_outcomes",
            passes=one_prediction,
            severities=0,
            configured=with_subsets,
            is_independent_of_model=True,
            by_condition=("classes",),
            is_random=False,
        ),
    ),
    test_sets=(
        TestSet("clean", "Clean", 1),
        TestSet("renditions", "Renditions", 3),
        TestSet("natural_adversarial", "Natural adversarial", 4),
    ),
    measures=(
        Measure("clean", "Clean", 1, test_sets=("clean",)),
        Measure("renditions", "Renditions", 4, test_sets=("renditions",)),
        Measure(
            "natural_adversarial", "Natural adversarial", 5, test_sets=("natural_adversarial",)
        ),
        # Position 6: datasets without a role of their own.
        Measure("parameters", "Parameters", 12, "count", None),
        Measure("flops", "FLOPs", 13, "flops", None),
        Measure("images_per_second", "Images per second", 14, "images_per_second", None),
    ),
    tables=(
        Table(
            "models",
            title="Models",
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
        Table(
            "accuracy",
            title="Robustness benchmarks",
            relations=("corruption_images", "clean_outcomes", "clean_chance"),
            shown=("architecture_label", "pretraining_label", "num_parameters", "warning"),
            pivot=Pivot("test_set_label", "accuracy", ("model",), beside="clean_accuracy"),
            reads=("none", "corruptions"),
        ),
        Table(
            "class_subsets",
            title="All classes and the set's classes",
            relations=("subset_outcomes",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "dataset_label",
                "num_all_classes",
                "num_subset_classes",
                "top1_all_classes",
                "top1_subset",
                "clean_top1_all_classes",
                "clean_top1_subset",
                "num_images",
                "num_clean_images",
            ),
            reads=("none", "class_subset"),
            needs=("class_subset",),
            on_page=True,
        ),
        Table(
            "runs",
            title="Runs",
            relations=(),
            shown=(
                "perturbation",
                "dataset",
                "num_cells",
                "num_models",
                "num_images",
                "num_predictions",
                "seconds",
                "images_per_second",
            ),
            sources=("inventory",),
        ),
    ),
    charts=(
        Chart(
            "robustness_benchmarks",
            title="Robustness benchmarks",
            tables=("accuracy", "models"),
            empty="No model under test has a prediction of any image.",
            note="perturb.experiments.benchmarks.notes:images_and_choice",
        ),
    ),
)
