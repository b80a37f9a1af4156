"""Perturbation patterns: what adversarial perturbations look like."""

from perturb.experiments.declaration import Chart, Experiment, Table, TestSet

EXPERIMENT = Experiment(
    title="Perturbation patterns",
    figure="5",
    test_sets=(TestSet("patterns", "Perturbation patterns", 11),),
    tables=(
        Table(
            "perturbation_patterns",
            title="What the perturbations look like",
            relations=("image_patterns",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "patch_px",
                "is_own_patch",
                "border_ratio",
                "foreground_ratio",
                "num_images",
            ),
            sources=("models", "patterns"),
            needs=("patterns",),
        ),
    ),
    charts=(
        Chart(
            "pattern_alignment",
            title="Where the perturbations are",
            tables=("perturbation_patterns", "models"),
            drawn=("border_ratio", "foreground_ratio"),
            empty="No perturbation has a ratio: none changes an image, or no patches have a "
            "border.",
            draw="perturb.experiments.perturbation_patterns.charts:pattern_alignment",
            note="perturb.charts.notes:images",
            needs=("patterns",),
        ),
    ),
    has_picture=True,
)
