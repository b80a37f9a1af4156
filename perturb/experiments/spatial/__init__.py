"""Rotation and translation: the worst case of a grid, and a random sample of it."""

from perturb.experiments.declaration import Chart, Experiment, Pivot, Table, TestSet

EXPERIMENT = Experiment(
    title="Rotation and translation",
    figure="3",
    test_sets=(TestSet("spatial", "Adversarial spatial", 9),),
    tables=(
        Table(
            "spatial_accuracy",
            title="Rotation and translation",
            relations=("spatial_decisions",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "clean_accuracy",
                "worst_of_grid",
                "worst_of_10",
                "grid_mean",
                "num_images",
                "num_samples",
            ),
            reads=("none", "spatial"),
            needs=("spatial",),
            on_page=True,
        ),
        Table(
            "spatial_grid",
            title="Every rotation and translation",
            relations=("spatial_decisions",),
            shown=("architecture_label", "pretraining_label", "translation"),
            pivot=Pivot("rotation_bin", "accuracy", ("model",)),
            reads=("none", "spatial"),
            needs=("spatial",),
        ),
    ),
    charts=(
        Chart(
            "spatial_heatmap",
            title="Every turn and shift",
            tables=("spatial_grid", "models"),
            drawn=("accuracy",),
            empty="No model was tested on random rotations and translations.",
            draw="perturb.experiments.spatial.charts:spatial_heatmap",
            needs=("spatial",),
        ),
    ),
)
