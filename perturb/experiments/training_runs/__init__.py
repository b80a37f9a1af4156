"""Training runs: how much of a model's accuracy is luck in its training."""

from perturb.experiments.declaration import Chart, Experiment, Table

_RELATIONS = ("corruption_images", "attack_outcomes", "spatial_outcomes", "image_outcomes")
_READS = ("none", "corruptions", "fgsm", "pgd", "attack_ensemble", "spatial")
_EMPTY = "No row: every model of this study is trained once, or is not trained here."

EXPERIMENT = Experiment(
    title="Training runs",
    references=(
        "satterthwaite1946approximate",
        "cochran1964approximate",
        "bouthillier2021accounting",
    ),
    tables=(
        Table(
            "training_runs",
            title="Spread between training runs",
            relations=_RELATIONS,
            shown=(
                "test_set_label",
                "architecture_label",
                "pretraining_label",
                "num_runs",
                "num_images",
                "accuracy",
                "run_deviation",
                "image_error",
                "lowest_accuracy",
                "highest_accuracy",
            ),
            reads=_READS,
            parameters=("headline_epsilon",),
            needs=("training_runs",),
            empty=_EMPTY,
        ),
        Table(
            "single_runs",
            title="Accuracy of each training run",
            relations=_RELATIONS,
            shown=(
                "test_set_label",
                "architecture_label",
                "pretraining_label",
                "run",
                "accuracy",
                "run_difference",
                "num_images",
            ),
            reads=_READS,
            parameters=("headline_epsilon",),
            needs=("training_runs",),
            empty=_EMPTY,
        ),
    ),
    charts=(
        Chart(
            "training_runs",
            title="Training runs",
            tables=("training_runs", "single_runs", "models"),
            empty="Every model of this study is trained once, or is not trained here.",
            is_of_runs=True,
        ),
    ),
    shows="perturb.experiments.training_runs.shows:spread_between_runs",
)
