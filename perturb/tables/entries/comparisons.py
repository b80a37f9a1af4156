"""Models against one another: size, matched pairs, patches, and the paper's claims."""

from perturb.tables.entries.table import (
    ATTACKS,
    CLEAN,
    CLUSTERED,
    CONTRASTS,
    DECISIONS,
    IMAGES,
    OUTCOMES,
    SAME_IMAGES,
    Pivot,
    Table,
)

_SHAPES = ("cue_outcomes", "shape_values")
_PATTERNS = ("image_patterns", "pattern_values")
_CHANGES = ("model_outcomes", "layer_pairs", "model_contrasts")
_SAME_DIFFERENCE = SAME_IMAGES.replace("the accuracy", "the difference")

TABLES = {
    "scaling": Table(
        title="How error falls with model size",
        caption="Slope of log10(error) over log10(parameters), a straight line per family and "
        "test set at the largest pre-training set (the paper's Figure 4). More negative is "
        f"steeper. Brackets: 95 % interval, delta method, paired by image. {IMAGES}",
        sources=DECISIONS,
        relations=(*OUTCOMES, "image_values", *CONTRASTS),
        shown=("test_set_label", "family_label", "slope", "num_models", "num_images", "models"),
        reads=("none", "corruptions"),
        empty="No row: no family has two sizes at the largest pre-training set.",
    ),
    "scaling_models": Table(
        title="The points behind the slopes",
        caption="Error in percent of the models at the largest pre-training set, and of the "
        "fitted line. Models of another patch size than their family's series are not fitted. "
        "Clean error: that on the same images without corruption; none for sets of other images. "
        f"{CLUSTERED}",
        sources=DECISIONS,
        relations=(*OUTCOMES, CLEAN, "image_values", *CONTRASTS),
        shown=(
            "test_set_label",
            "architecture_label",
            "num_parameters",
            "clean_error",
            "error",
            "is_fitted",
            "fitted_error",
            "num_images",
        ),
        reads=("none", "corruptions"),
    ),
    "matched_pairs": Table(
        title="ViTs against ResNets of matched size",
        caption="Accuracy of each ViT less that of its ResNet of matched size, in percentage "
        "points: the same size name, or else the nearest in parameters within a factor of three. "
        f"{_SAME_DIFFERENCE} Brackets: 95 % interval, paired by image. {IMAGES}",
        sources=DECISIONS,
        relations=(*ATTACKS, CLEAN, "image_values", *CONTRASTS),
        shown=("pretraining_label", "vit_label", "resnet_label", "parameter_ratio"),
        pivot=Pivot("test_set_label", "difference", ("vit",), beside="clean_difference"),
        parameters=("headline_epsilon",),
        empty="No row: no ViT has a ResNet of matched size with the same pre-training set.",
    ),
    "patch_pairs": Table(
        title="Large patches against small ones",
        caption="Accuracy of the ViT with the largest patches less that of the one with the "
        "smallest, of one size and pre-training set, in percentage points; for cue-conflict "
        f"stimuli shape bias in its place. {_SAME_DIFFERENCE} Brackets: 95 % interval, paired by "
        f"image. {IMAGES}",
        sources=(*DECISIONS, "stimuli"),
        relations=(*ATTACKS, CLEAN, "image_values", *_SHAPES, *CONTRASTS),
        shown=("pretraining_label", "large_label", "small_label"),
        pivot=Pivot(
            "test_set_label", "patch_difference", ("large",), beside="clean_patch_difference"
        ),
        optional=("stimuli",),
        parameters=("headline_epsilon",),
        empty="No row: no two ViTs of one size and pre-training set differ in their patches.",
    ),
    "claims": Table(
        title="The paper's claims",
        caption="Each claim as a statistic. Supported: the whole 95 % interval lies on the "
        "claimed side of the threshold; contradicted: on the other side; else undecided. "
        f"Brackets: 95 % interval. {IMAGES}",
        sources=(*DECISIONS, "claim_rules", "stimuli", "patterns", "representations"),
        relations=(
            *ATTACKS,
            "image_values",
            *_SHAPES,
            *_PATTERNS,
            *CONTRASTS,
            *_CHANGES,
            "rank_correlations",
        ),
        shown=(
            "claim",
            "test_set_label",
            "statistic",
            "estimate",
            "threshold",
            "verdict",
            "num_models",
            "num_images",
            "paper",
        ),
        optional=("stimuli", "patterns", "representations"),
        parameters=("num_resamples", "seed", "headline_epsilon"),
    ),
    "runs": Table(
        title="What was run",
        caption="Cells (model x data set x severity), decisions and time. Not reproducible byte "
        "for byte, unlike the other tables.",
        sources=("inventory",),
        relations=(),
        shown=(
            "perturbation",
            "dataset",
            "num_cells",
            "num_models",
            "num_images",
            "num_decisions",
            "seconds",
            "images_per_second",
        ),
    ),
}
