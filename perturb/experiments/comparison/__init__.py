"""Models side by side: every measure of every model, every two models, every condition."""

from perturb.experiments.declaration import (
    PREDICTIONS,
    Chart,
    Experiment,
    Measure,
    Pivot,
    Table,
)

# What adds test sets, and what adds the values of other measures.
_TEST_SETS = ("corruption_images", "attack_outcomes", "spatial_outcomes")
_MEASURES = (
    "corruption_measures",
    "shape_measures",
    "confidence_predictions",
    "calibration_measures",
    "lesion_half_lives",
    "perturbed_means",
)
_PAIRS = (*_TEST_SETS, *_MEASURES, "pair_intervals")
_READS = ("none", "corruptions", "fgsm", "pgd", "attack_ensemble", "spatial", "lesions")
_SOURCES = (*PREDICTIONS, "stimuli", "reference_errors")
_OPTIONAL = ("stimuli", "reference_errors")
_PARAMETERS = ("headline_epsilon", "has_denominators")

EXPERIMENT = Experiment(
    title="Models side by side",
    references=("agresti2005simple", "newcombe1998interval", "mogstad2024inference"),
    # Before all others: by it the most robust models are named.
    measures=(
        Measure("perturbed", "Mean under perturbation", 0, phrase="the mean under perturbation"),
    ),
    tables=(
        Table(
            "leaderboard",
            title="Leaderboard",
            relations=("model_facts", "speeds", *_PAIRS, "measure_ranks"),
            shown=("architecture_label", "pretraining_label"),
            sources=(*_SOURCES, "inventory"),
            pivot=Pivot("measure_label", "value", ("model",)),
            optional=_OPTIONAL,
            reads=_READS,
            parameters=_PARAMETERS,
        ),
        Table(
            "model_pairs",
            title="Differences of every two models",
            relations=_PAIRS,
            shown=("label_a", "label_b"),
            sources=_SOURCES,
            pivot=Pivot("measure_label", "difference", ("model_a", "model_b")),
            optional=_OPTIONAL,
            reads=_READS,
            parameters=_PARAMETERS,
            is_data=True,
            empty="No row: this study has one model.",
        ),
        Table(
            "model_conditions",
            title="Accuracy under every condition",
            relations=("corruption_predictions", "condition_accuracies"),
            shown=(
                "architecture_label",
                "pretraining_label",
                "dataset",
                "perturbation",
                "condition_label",
                "severity_label",
                "clean_accuracy",
                "accuracy",
                "num_images",
            ),
            is_data=True,
        ),
    ),
    charts=(
        Chart(
            "overview",
            title="Accuracy and robustness",
            tables=("leaderboard", "models"),
            drawn=("value",),
            empty="No model of this study has an accuracy.",
            note=None,
            is_first=True,
        ),
    ),
    relations={"measure_pairs": "perturb.experiments.comparison.relation:measure_pairs"},
)
