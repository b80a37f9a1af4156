"""ViTs whose patches see less of each other, and ViTs that see fewer patches."""

from perturb.tables.entries.table import CHANGES, DECISIONS, SAMPLES, WILSON, Pivot, Table

_LABELS = ("architecture_label", "pretraining_label")

TABLES = {
    "restricted_attention": Table(
        title="Attention within a distance",
        caption="Accuracy in percent when patches attend to each other only up to a horizontal or "
        "vertical distance, in patches (columns), and when as many pairs at random do not, drawn "
        "for each layer (the paper's Figure 9, left). The class token attends and is attended to "
        f"without limit. {SAMPLES}",
        sources=DECISIONS,
        relations=CHANGES,
        shown=(*_LABELS, "control_label", "baseline_accuracy"),
        pivot=Pivot("distance", "accuracy", ("model",)),
        needs=("attention_distance",),
        reads=("none", "attention_distance"),
    ),
    "patch_cls": Table(
        title="Patches apart",
        caption="Accuracy in percent without attention between different patches in the first or "
        "in the last blocks, by their number (columns; the paper's Figure 9, right). A patch still "
        f"attends to itself and to the class token. {WILSON}",
        sources=DECISIONS,
        relations=CHANGES,
        shown=(*_LABELS, "place_label"),
        pivot=Pivot("num_blocks_restricted", "accuracy", ("model",)),
        needs=("patch_cls",),
        reads=("none", "patch_cls"),
    ),
    "tokens": Table(
        title="Fewer tokens",
        caption="Accuracy in percent when a share of the patch tokens leaves the model early, at "
        "random or those that the class token attends to least, and what is left of the forward "
        f"pass's operations. {SAMPLES}",
        sources=DECISIONS,
        relations=CHANGES,
        shown=(*_LABELS, "method_label", "dropped_label", "flops_kept", "accuracy", "num_images"),
        needs=("tokens",),
        reads=("none", "tokens"),
    ),
}
