"""Two conventions of counting, and our numbers beside those that others published."""

from perturb.tables.entries.table import ATTACKS, CLEAN, DECISIONS, OUTCOMES, WILSON, Table

_LABELS = ("architecture_label", "pretraining_label")
_WITHIN = (
    "Brackets of the difference: 95 % interval of the sampling of images; where both are of all "
    "images of a set there is none."
)

TABLES = {
    "class_subsets": Table(
        title="All classes or the set's own",
        caption="Top-1 in percent on sets that have images of some classes only, by two "
        "conventions: the best of all classes that the models know, and the best of the set's "
        "own classes. Beside it, both for the clean images of the set's classes. Numbers of one "
        f"convention cannot be compared with those of the other. {WILSON}",
        sources=DECISIONS,
        relations=("benchmark_models", "cells", "subset_outcomes"),
        shown=(
            *_LABELS,
            "dataset_label",
            "num_all_classes",
            "num_subset_classes",
            "top1_all_classes",
            "top1_subset",
            "clean_top1_all_classes",
            "clean_top1_subset",
            "num_images",
            "num_clean_images",
        ),
        needs=("class_subset",),
        reads=("none", "class_subset"),
    ),
    "paper_comparison": Table(
        title="Beside the paper",
        caption="Our numbers beside those read off the paper's figures, in percent, for models "
        "whose architecture and pre-training set are the paper's. Within: the difference is no "
        "larger than the reading's tolerance and the sampling of images explain, of removed "
        "layers and random masks also the draws. The paper does not say all of its settings, so "
        "that a difference may be one of these. At most: below the axis of the figure. Clean: ours "
        "on the same images unchanged; none for sets of other images. "
        f"{_WITHIN}",
        sources=(*DECISIONS, "stimuli", "paper_figures"),
        relations=(*ATTACKS, CLEAN, "cue_outcomes", "model_outcomes", "paper_outcomes"),
        shown=(
            *_LABELS,
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
        optional=("stimuli",),
        needs=("paper",),
        reads=(
            "none",
            "corruptions",
            "fgsm",
            "pgd",
            "spatial",
            "lesions",
            "attention_distance",
            "patch_cls",
        ),
        parameters=("headline_epsilon",),
    ),
    "published_comparison": Table(
        title="Beside timm's published results",
        caption="Our top-1 beside that published for the same weights by timm, in percent. "
        "ImageNet-R and -A are decided among their 200 classes there, and so are the clean images "
        "of these classes. Side, crop and interpolation are those of the published run. Within: "
        "the difference is no larger than the tolerance and the sampling of images explain. "
        f"{_WITHIN}",
        sources=(*DECISIONS, "published_top1"),
        relations=(*OUTCOMES, "subset_outcomes"),
        shown=(
            *_LABELS,
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
        needs=("published",),
        reads=("none", "class_subset"),
    ),
}
