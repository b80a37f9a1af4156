"""Published numbers: comparison with the paper and with timm."""

from perturb.experiments.declaration import (
    PREDICTIONS,
    Chart,
    Experiment,
    Source,
    Table,
)

EXPERIMENT = Experiment(
    title="Comparison with published numbers",
    references=("newcombe1998interval",),
    sources=(
        Source(
            "paper_figures",
            types={
                "condition": "VARCHAR",
                "level": "INTEGER",
                "grid_side": "INTEGER",
                "value": "DOUBLE",
                "tolerance": "DOUBLE",
                "num_samples": "INTEGER",
            },
        ),
        Source(
            "published_top1", types={"crop": "DOUBLE", "value": "DOUBLE", "tolerance": "DOUBLE"}
        ),
    ),
    tables=(
        Table(
            "paper_comparison",
            title="Comparison with the paper",
            relations=("corruption_images", "paper_outcomes"),
            shown=(
                "architecture_label",
                "pretraining_label",
                "quantity_label",
                "setting",
                "clean_accuracy",
                "ours",
                "paper_value",
                "is_upper_bound",
                "tolerance",
                "paper_difference",
                "is_within",
                "num_images",
            ),
            sources=(*PREDICTIONS, "stimuli", "paper_figures"),
            optional=("stimuli",),
            reads=(
                "none",
                "corruptions",
                "fgsm",
                "pgd",
                "spatial",
                "lesions",
                "restricted_attention",
                "patch_attention",
            ),
            parameters=("headline_epsilon",),
            needs=("paper",),
        ),
        Table(
            "published_comparison",
            title="Comparison with timm's published results",
            relations=("image_outcomes", "subset_outcomes"),
            shown=(
                "architecture_label",
                "pretraining_label",
                "timm_tag",
                "benchmark_label",
                "image_side",
                "crop",
                "interpolation",
                "ours",
                "published_value",
                "tolerance",
                "published_difference",
                "is_within",
                "num_images",
            ),
            sources=(*PREDICTIONS, "published_top1"),
            reads=("none", "class_subset"),
            needs=("published",),
            on_page=True,
        ),
    ),
    charts=(
        Chart(
            "paper_comparison",
            title="Comparison with the paper",
            tables=("paper_comparison", "models"),
            drawn=("ours",),
            empty="No model of this study has a number in the paper's figures.",
            note="perturb.experiments.published.notes:share_within",
        ),
    ),
    shows="perturb.experiments.published.shows:within_reach",
)
