"""Attacks that follow the gradient, on the model itself and on others, and what they look like."""

from perturb.tables.entries.table import ATTACKS, DECISIONS, SAME_IMAGES, WILSON, Pivot, Table

_EPSILON = "Epsilon is the most that a pixel may change, in gray levels of 255."
_LABELS = ("architecture_label", "pretraining_label")

TABLES = {
    "attacks": Table(
        title="Accuracy under attack",
        caption="Accuracy in percent on the same images before and after each attack (the "
        "paper's Figure 3), FGSM, PGD and the ensemble at the one epsilon that models are "
        "compared at. Every attack is computed against the very model that decides. Where "
        "attacks differ in how many images they were tried on, the smaller sets lie within the "
        f"larger, and Clean is the accuracy on the largest. {SAME_IMAGES} {WILSON}",
        sources=DECISIONS,
        relations=ATTACKS,
        shown=(*_LABELS, "num_parameters"),
        pivot=Pivot("test_set_label", "accuracy", ("model",), beside="clean_accuracy"),
        parameters=("headline_epsilon",),
        needs=("pgd",),
        reads=("none", "fgsm", "pgd", "ensemble", "spatial"),
    ),
    "adversarial_accuracy": Table(
        title="Accuracy over epsilon",
        caption="Accuracy in percent under each attack, and on the same images before it (Clean). "
        f"{_EPSILON} The ensemble's attacks come one after another, each on the images that "
        "withstood those before it: Square's row is the ensemble's verdict. "
        f"{WILSON}",
        sources=DECISIONS,
        relations=ATTACKS,
        shown=(*_LABELS, "attack_label", "condition_label", "num_images", "clean_accuracy"),
        pivot=Pivot("epsilon_label", "accuracy", ("model",)),
        parameters=("headline_epsilon",),
        needs=("pgd",),
        reads=("none", "fgsm", "pgd", "ensemble"),
    ),
    "transfer": Table(
        title="Attacks on another model",
        caption="Accuracy in percent of each target (row) on the images that PGD computed "
        "against each source (column). All images are attacked, also those that the source gets "
        f"wrong. {WILSON}",
        sources=DECISIONS,
        relations=(*ATTACKS, "transfer_decisions"),
        shown=("target_label", "epsilon_label", "clean_accuracy"),
        pivot=Pivot("source_label", "accuracy", ("target",)),
        parameters=("headline_epsilon",),
        needs=("transfer",),
        reads=("none", "transfer"),
    ),
    "transfer_means": Table(
        title="Do attacks transfer within a family?",
        caption="Accuracy in percent on images computed against another model, and what it "
        "lost against the same clean images: means over all pairs of a source and a target, ViTs "
        "and ResNets. "
        "Brackets: 95 % interval, clustered by image: every image is decided once a pair.",
        sources=DECISIONS,
        relations=(*ATTACKS, "transfer_decisions"),
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
        parameters=("headline_epsilon",),
        needs=("transfer",),
        reads=("none", "transfer"),
    ),
    "perturbation_patterns": Table(
        title="What the perturbations look like",
        caption="PGD's perturbations (the paper's Figure 5) in two ratios, means over images. "
        "Borders: the energy of the change from pixel to pixel across patch borders over that "
        "inside patches, on the grid of each patch size that a ViT has here. Object: the "
        "perturbation's strength on the object over that elsewhere. 1: no preference. "
        "Brackets: 95 % interval over images.",
        sources=("models", "patterns"),
        relations=("benchmark_models", "image_patterns"),
        shown=(
            *_LABELS,
            "patch_px",
            "is_own_patch",
            "border_ratio",
            "foreground_ratio",
            "num_images",
        ),
        needs=("patterns",),
    ),
}
