"""Rotated and shifted images: the worst case over a grid, and what lies within the grid."""

from perturb.tables.entries.table import ATTACKS, DECISIONS, WILSON, Pivot, Table

TABLES = {
    "spatial_accuracy": Table(
        title="Rotation and translation",
        caption="Accuracy in percent on the same images: unchanged, under the worst of all "
        "points of a grid of rotations and translations (the paper's Figure 3), under the worst "
        f"of ten random points, and on average over random points. {WILSON} The average's is "
        "clustered by image.",
        sources=DECISIONS,
        relations=(*ATTACKS, "spatial_decisions"),
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
        parameters=("headline_epsilon",),
        needs=("spatial",),
        reads=("none", "spatial"),
    ),
    "spatial_grid": Table(
        title="Every rotation and translation",
        caption="Accuracy in percent by angle (columns, degrees) and by translation, its longer "
        "side as a fraction of the longest, over random points of the grid. No translation counts "
        "with the smallest. "
        "Brackets: 95 % interval, clustered by image.",
        sources=DECISIONS,
        relations=(*ATTACKS, "spatial_decisions"),
        shown=("architecture_label", "pretraining_label", "translation"),
        pivot=Pivot("rotation_bin", "accuracy", ("model",)),
        parameters=("headline_epsilon",),
        needs=("spatial",),
        reads=("none", "spatial"),
    ),
}
