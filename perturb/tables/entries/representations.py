"""How alike what leaves a model's blocks is."""

from perturb.tables.entries.table import Pivot, Table

_SOURCES = ("models", "representations")
_RELATIONS = ("benchmark_models", "layer_pairs")
_WHAT = (
    "Pearson: correlation over the features of an image, mean over images, between layers of one "
    "shape. CKA: unbiased linear CKA over the sample of images."
)

TABLES = {
    "layer_correlations": Table(
        title="How alike layers are",
        caption="How alike what leaves any two blocks is (the paper's Figure 7), over all tokens "
        f"and for the class token alone. {_WHAT} Brackets: 95 % interval of the mean over images; "
        "CKA has none.",
        sources=_SOURCES,
        relations=_RELATIONS,
        shown=("architecture_label", "pretraining_label", "measure_label", "layer_a"),
        pivot=Pivot("layer_b", "value", ("model",)),
        needs=("correlations",),
    ),
    "correlation_profile": Table(
        title="How alike a layer is to the others",
        caption="Means over all other blocks' outputs, by block (columns); of ResNets, over those "
        f"of the same shape. {_WHAT}",
        sources=_SOURCES,
        relations=_RELATIONS,
        shown=("architecture_label", "pretraining_label", "measure_label"),
        pivot=Pivot("layer", "value", ("model",)),
        needs=("correlations",),
    ),
}
