"""Token removal: patch tokens that leave a ViT early."""

from perturb.experiments.declaration import Chart, Experiment, Table

EXPERIMENT = Experiment(
    title="Token removal",
    tables=(
        Table(
            "tokens",
            title="Fewer tokens",
            relations=("model_outcomes",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "method_label",
                "dropped_label",
                "flops_kept",
                "accuracy",
                "num_images",
            ),
            reads=("none", "tokens"),
            needs=("tokens",),
        ),
    ),
    charts=(
        Chart(
            "tokens",
            title="Fewer patches, less work",
            tables=("tokens", "models"),
            drawn=("accuracy",),
            empty="No model of this study has patch tokens that can be dropped.",
            draw="perturb.experiments.token_removal.charts:tokens",
            note="perturb.charts.notes:images",
            needs=("tokens",),
        ),
    ),
    lead="Parts of the models were removed, too.",
)
