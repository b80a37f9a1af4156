"""Transfer of adversarial images from one model to another."""

from perturb.experiments.declaration import Chart, Experiment, Pivot, Table

EXPERIMENT = Experiment(
    title="Transfer of adversarial images",
    tables=(
        Table(
            "transfer",
            title="Attacks on another model",
            relations=("transfer_decisions",),
            shown=("target_label", "epsilon_label", "clean_accuracy"),
            pivot=Pivot("source_label", "accuracy", ("target",)),
            reads=("none", "transfer"),
            needs=("transfer",),
        ),
        Table(
            "transfer_means",
            title="Do attacks transfer within a family?",
            relations=("transfer_decisions",),
            shown=(
                "relation",
                "source_family",
                "target_family",
                "epsilon_label",
                "num_pairs",
                "num_images",
                "accuracy",
                "accuracy_lost",
            ),
            reads=("none", "transfer"),
            needs=("transfer",),
            on_page=True,
        ),
    ),
    charts=(
        Chart(
            "transfer_heatmap",
            title="One model's attack, another model's eyes",
            tables=("transfer",),
            drawn=("accuracy",),
            empty="No model was shown images that were computed against a model.",
            draw="perturb.experiments.transfer.charts:transfer_heatmap",
            note="perturb.charts.notes:epsilon_and_images",
            needs=("transfer",),
        ),
    ),
)
