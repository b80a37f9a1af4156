"""Model size: error as a power of the number of parameters, and models of matched size."""

from perturb.experiments.declaration import PREDICTIONS, Chart, Experiment, Pivot, Table

EXPERIMENT = Experiment(
    title="Model size",
    figure="4",
    tables=(
        Table(
            "scaling",
            title="Error over model size",
            relations=("corruption_images", "contrasts"),
            shown=("test_set_label", "family_label", "slope", "num_models", "num_images", "models"),
            reads=("none", "corruptions"),
            empty="No row: no family has two sizes at the largest pre-training set.",
        ),
        Table(
            "scaling_models",
            title="Errors and fitted lines",
            relations=("corruption_images", "clean_outcomes", "contrasts"),
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
        Table(
            "matched_pairs",
            title="ViTs and ResNets of matched size",
            relations=(
                "corruption_images",
                "attack_outcomes",
                "spatial_outcomes",
                "clean_differences",
                "contrasts",
            ),
            shown=("pretraining_label", "vit_label", "resnet_label", "parameter_ratio"),
            pivot=Pivot("test_set_label", "difference", ("vit",), beside="clean_difference"),
            parameters=("headline_epsilon",),
            empty="No row: no ViT has a ResNet of matched size with the same pre-training set.",
        ),
        Table(
            "patch_pairs",
            title="Large and small patches",
            relations=(
                "corruption_images",
                "attack_outcomes",
                "spatial_outcomes",
                "clean_differences",
                "shape_values",
                "contrasts",
            ),
            shown=("pretraining_label", "large_label", "small_label"),
            sources=(*PREDICTIONS, "stimuli"),
            pivot=Pivot(
                "test_set_label", "patch_difference", ("large",), beside="clean_patch_difference"
            ),
            optional=("stimuli",),
            parameters=("headline_epsilon",),
            empty="No row: no two ViTs of one size and pre-training set differ in their patches.",
        ),
    ),
    charts=(
        Chart(
            "model_size",
            title="Error over model size",
            tables=("scaling_models", "models"),
            drawn=("error",),
            empty="No model errs on any of these test sets: log error cannot be drawn.",
            note="perturb.experiments.model_size.notes:missing_marks",
            is_logarithmic=True,
        ),
    ),
    shows="perturb.experiments.model_size.shows:falling_errors",
)
