"""Restricted attention: patches attend within a distance, or not at all in some blocks."""

from perturb.experiments.declaration import Chart, Experiment, Pivot, Table, TestSet

EXPERIMENT = Experiment(
    title="Restricted attention",
    figure="9",
    test_sets=(
        TestSet("attention_distance", "Restricted attention", 15),
        TestSet("patch_cls", "Patches apart", 16),
    ),
    tables=(
        Table(
            "restricted_attention",
            title="Attention within a distance",
            relations=("model_outcomes",),
            shown=("architecture_label", "pretraining_label", "control_label", "baseline_accuracy"),
            pivot=Pivot("distance", "accuracy", ("model",)),
            reads=("none", "attention_distance"),
            needs=("attention_distance",),
        ),
        Table(
            "patch_cls",
            title="Patches apart",
            relations=("model_outcomes",),
            shown=("architecture_label", "pretraining_label", "place_label"),
            pivot=Pivot("num_blocks_restricted", "accuracy", ("model",)),
            reads=("none", "patch_cls"),
            needs=("patch_cls",),
        ),
    ),
    charts=(
        Chart(
            "restricted_attention",
            title="Looking only nearby",
            tables=("restricted_attention", "models"),
            drawn=("accuracy",),
            empty="No model of this study has attention between patches.",
            draw="perturb.experiments.restricted_attention.charts:restricted_attention",
            note="perturb.charts.notes:images",
            needs=("attention_distance",),
        ),
        Chart(
            "patch_cls",
            title="No talk between patches",
            tables=("patch_cls", "models"),
            drawn=("accuracy",),
            empty="No model of this study has attention between patches.",
            draw="perturb.experiments.restricted_attention.charts:patch_cls",
            note="perturb.charts.notes:images",
            needs=("patch_cls",),
        ),
    ),
    lead="Parts of the models were removed, too.",
    phrases={
        "window - permuted": "ViTs are {difference} accurate when patches attend within a window "
        "than when as many pairs of patches at random are masked",
        "last - first": "ViTs are {difference} accurate when patches do not attend to each other "
        "in the last blocks than in as many first ones",
    },
)
