"""Models without some of their blocks, MLPs, attention layers or heads."""

from perturb.tables.entries.table import (
    CHANGES,
    DECISIONS,
    PAIRED,
    SAMPLES,
    WILSON,
    Pivot,
    Table,
)

_LABELS = ("architecture_label", "pretraining_label")
_WHAT = (
    "The skip connection stays. Of ResNets, residual blocks whose output has their input's shape."
)

TABLES = {
    "lesions_single": Table(
        title="Without one layer",
        caption="What the model's accuracy loses, in percentage points, without one block, or only "
        "its MLP or its attention (the paper's Figure 8, top), by the block's index (columns). "
        f"{_WHAT} Baseline: the whole model on the same images. {PAIRED}",
        sources=DECISIONS,
        relations=CHANGES,
        shown=(*_LABELS, "part_label", "baseline_accuracy"),
        pivot=Pivot("block", "drop", ("model",)),
        needs=("lesions",),
        reads=("none", "lesions"),
    ),
    "lesions": Table(
        title="Without several layers",
        caption="Accuracy in percent without random blocks, or only their MLPs or their attention "
        "(the paper's Figure 8, bottom), by their number (columns): means over random sets that "
        f"never hold the first block, and for one layer over all but the first. {_WHAT} {SAMPLES} "
        "The sets are taken as drawn.",
        sources=DECISIONS,
        relations=CHANGES,
        shown=(*_LABELS, "part_label"),
        pivot=Pivot("num_removed", "accuracy", ("model",)),
        needs=("lesions",),
        reads=("none", "lesions"),
    ),
    "heads": Table(
        title="Without one attention head",
        caption="What the model's accuracy loses, in percentage points, without one head, by its "
        f"block (rows) and its number (columns). Baseline: the whole model. {PAIRED} "
        f"The baseline's: {WILSON.removeprefix('Brackets: ')}",
        sources=DECISIONS,
        relations=CHANGES,
        shown=(*_LABELS, "baseline_accuracy", "block"),
        pivot=Pivot("head", "drop", ("model",)),
        needs=("heads",),
        reads=("none", "heads"),
    ),
}
