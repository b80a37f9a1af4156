"""Amount of pre-training data: accuracy over its images, and where ViTs reach ResNets."""

from perturb.experiments.declaration import Chart, Experiment, Table

_NEEDED = "two pre-training sets of known and different numbers of images"
_NO_PAIR = f"No row: no ViT and ResNet of matched size share {_NEEDED}."
_OUTCOMES = ("corruption_images", "attack_outcomes", "spatial_outcomes")
_OF_PAIRS = (*_OUTCOMES, "data_differences")
_READ = ("none", "corruptions", "fgsm", "pgd", "attack_ensemble", "spatial")

EXPERIMENT = Experiment(
    title="Pre-training data",
    references=("fieller1954problems",),
    tables=(
        Table(
            "data_scaling",
            title="Accuracy over pre-training images",
            relations=(*_OUTCOMES, "scaled_entries"),
            shown=(
                "test_set_label",
                "architecture_label",
                "num_parameters",
                "pretraining_label",
                "pretraining_images",
                "num_trainings",
                "accuracy",
                "num_images",
            ),
            reads=_READ,
            parameters=("headline_epsilon",),
            empty=f"No row: this study does not have {_NEEDED}.",
        ),
        Table(
            "data_gaps",
            title="ViTs minus ResNets over pre-training images",
            relations=_OF_PAIRS,
            shown=(
                "test_set_label",
                "vit_label",
                "resnet_label",
                "parameter_ratio",
                "pretraining_images",
                "difference",
                "num_images",
            ),
            reads=_READ,
            parameters=("headline_epsilon",),
            empty=_NO_PAIR,
        ),
        Table(
            "crossing_points",
            title="Where ViTs reach ResNets",
            relations=_OF_PAIRS,
            shown=(
                "test_set_label",
                "vit_label",
                "resnet_label",
                "parameter_ratio",
                "num_sets",
                "smallest_difference",
                "largest_difference",
                "crossing",
                "crossing_interval",
                "num_images",
            ),
            reads=_READ,
            parameters=("headline_epsilon",),
            on_page=True,
            empty=_NO_PAIR,
        ),
    ),
    charts=(
        Chart(
            "data_scaling",
            title="Accuracy over pre-training images",
            tables=("data_scaling", "models"),
            empty=f"This study does not have {_NEEDED}.",
            is_of_runs=True,
        ),
        Chart(
            "data_gaps",
            title="ViTs minus ResNets over pre-training images",
            tables=("data_gaps", "models"),
            drawn=("difference",),
            empty=f"No ViT and ResNet of matched size share {_NEEDED}.",
            is_of_runs=True,
        ),
    ),
    shows="perturb.experiments.data_scaling.shows:ahead_and_behind",
)
