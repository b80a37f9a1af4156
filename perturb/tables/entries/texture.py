"""Shape against texture, on stimuli where the two disagree."""

from perturb.tables.entries.table import DECISIONS, WILSON, Pivot, Table

_CAPTION = (
    "Images with the shape of one class and the texture of another; those where both are of one "
    "class are left out. Shape bias: of the decisions for either, the share for the shape."
)

TABLES = {
    "shape_bias": Table(
        title="Shape or texture",
        caption=f"{_CAPTION} In percent (the paper's Figure 6). The two rates are shares of all "
        f"images; the rest was taken for neither. {WILSON}",
        sources=(*DECISIONS, "stimuli"),
        relations=("benchmark_models", "cue_outcomes"),
        shown=(
            "architecture_label",
            "pretraining_label",
            "shape_bias",
            "shape_rate",
            "texture_rate",
            "num_shape",
            "num_texture",
            "num_images",
        ),
        needs=("cue_conflict",),
        reads=("none",),
    ),
    "shape_bias_classes": Table(
        title="Shape or texture, class by class",
        caption=f"{_CAPTION} In percent, by the class of the shape (columns). {WILSON}",
        sources=(*DECISIONS, "stimuli"),
        relations=("benchmark_models", "cue_outcomes"),
        shown=("architecture_label", "pretraining_label"),
        pivot=Pivot("shape_class_label", "shape_bias", ("model",)),
        needs=("cue_conflict",),
        reads=("none",),
    ),
}
