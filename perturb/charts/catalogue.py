"""Which charts there are, which tables each is drawn from, and its words. No heavy imports."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

# The parts of the report that charts stand in, in their order.
SECTIONS: Mapping[str, str] = {
    "benchmarks": "Benchmarks",
    "adversarial": "Adversarial attacks",
    "spatial": "Rotation and translation",
    "texture": "Texture or shape",
    "model": "Perturbations of the model",
}

_MARKS = (
    "ResNets left of the tick, ViTs right, networks of neither family right of these. Colour: "
    "family and size; shape: patch size; area: parameters. Bars: 95 % intervals."
)
_SAME = (
    "a change of some of the clean images alone stands after the clean accuracy on the same images."
)
_WHOLE = "Dashed, level: the unchanged model."


@dataclass(frozen=True)
class Chart:
    """A chart of the report: its words, and the tables that it is drawn from, in order.

    section : one of `SECTIONS`.
    drawn : columns of the first table. A row without any of their values makes no mark.
    empty : why there is nothing to draw if no row makes a mark.
    is_logarithmic : values of 0 make no mark either.
    needs : what must all be in a study for the chart to exist: perturbations, `cue_conflict` (a
        data set of that role), `patterns`, `correlations`, `paper`. Empty: every study has it.
    """

    title: str
    caption: str
    tables: tuple[str, ...]
    section: str
    drawn: tuple[str, ...]
    empty: str
    is_logarithmic: bool = False
    needs: tuple[str, ...] = ()


CHARTS: Mapping[str, Chart] = {
    "robustness_benchmarks": Chart(
        title="Robustness benchmarks",
        caption="Accuracy of every model on clean images and on the perturbed sets, by what it "
        f"was pre-trained on; {_SAME} {_MARKS} The form is that of Figure 2 of the paper.",
        tables=("accuracy", "models"),
        section="benchmarks",
        drawn=("accuracy",),
        empty="No model under test has decided on any image.",
    ),
    "model_size": Chart(
        title="Error and model size",
        caption="Error against the number of parameters, both axes logarithmic, for the models "
        "pre-trained on the largest set, with a straight-line fit for each family and test set. "
        "Hollow: models in no fit, of another patch size than their family's series, of a family "
        "with one size alone or of neither family; and clean errors on the images of a set that "
        "has a part of the clean ones. Bars: 95 % intervals. The form is that of Figure 4 of the "
        "paper.",
        tables=("scaling_models", "models"),
        section="benchmarks",
        drawn=("error",),
        empty="No model errs on any of these test sets: log error cannot be drawn.",
        is_logarithmic=True,
    ),
    "corruption_heatmap": Chart(
        title="Every corruption",
        caption="Accuracy in percent of every model under every corruption, averaged over the "
        "severities. The extra corruptions are in no mean. Clean images: those that are corrupted, "
        "which may be a part of all.",
        tables=("corruption_means", "accuracy", "models"),
        section="benchmarks",
        drawn=("accuracy",),
        empty="No model was tested on corrupted images of the clean set.",
        needs=("corruptions",),
    ),
    "paper_comparison": Chart(
        title="Beside the paper",
        caption="Our numbers over those read off the paper's figures, for models whose "
        "architecture and pre-training set are the paper's. Dashed: both are the same. Bars: "
        "across, how exactly the figure can be read, from 0 where it gives an upper bound; "
        "upwards, 95 % intervals of ours. Hollow: the two differ by more than the reading and the "
        "sampling explain.",
        tables=("paper_comparison", "models"),
        section="benchmarks",
        drawn=("ours",),
        empty="No model of this study has a number in the paper's figures.",
        needs=("paper",),
    ),
    "adversarial": Chart(
        title="Accuracy under attack",
        caption="Accuracy before and after each attack, by what a model was "
        f"pre-trained on; {_SAME} {_MARKS} Every attack is computed against the very model that "
        "it is shown to. The form is that of Figure 3 of the paper, which has no attack ensemble.",
        tables=("attacks", "models"),
        section="adversarial",
        drawn=("accuracy",),
        empty="No model was attacked at the epsilon that models are compared at.",
        needs=("pgd",),
    ),
    "robust_accuracy": Chart(
        title="The stronger the attack",
        caption="Accuracy over epsilon, the most that an attack may change a pixel, on an axis "
        "that is logarithmic but for its start at 0, the clean images. Upright: the epsilon that "
        "all models are compared at. Dashed: smaller patches than others of the size. Bars: 95 % "
        "intervals; marks stand a little aside of their epsilon so that bars can be told apart.",
        tables=("adversarial_accuracy", "models"),
        section="adversarial",
        drawn=("accuracy",),
        empty="No model was attacked.",
        needs=("pgd",),
    ),
    "transfer_heatmap": Chart(
        title="One model's attack, another model's eyes",
        caption="Accuracy in percent of the target (column) on images that PGD computed against "
        "the source (row). Framed: a model on images made against itself. Thick lines part the "
        "families, thin ones the pre-training sets; within, models grow to the right and "
        "downwards.",
        tables=("transfer",),
        section="adversarial",
        drawn=("accuracy",),
        empty="No model was shown images that were computed against a model.",
        needs=("transfer",),
    ),
    "pattern_alignment": Chart(
        title="Where the perturbations are",
        caption="Borders of patches: how much a perturbation changes from pixel to pixel across "
        "them, over how much it does inside the patches. ViTs stand on the grid of their own "
        "patches; networks without patches on every grid, for comparison. On the object, drawn "
        "where images have a mask of it: the perturbation's strength there over that elsewhere. "
        "Dashed: no difference, 1. Bars: 95 % intervals.",
        tables=("perturbation_patterns", "models"),
        section="adversarial",
        drawn=("border_ratio", "foreground_ratio"),
        empty="No perturbation has a ratio: none changes an image, or no patches have a border.",
        needs=("patterns",),
    ),
    "spatial_heatmap": Chart(
        title="Every turn and shift",
        caption="Accuracy in percent under rotations (across) and translations (upwards, as a "
        "share of the largest; none counts with the smallest), a panel a model, over transforms "
        "drawn at random from the grid that the worst case is searched on.",
        tables=("spatial_grid", "models"),
        section="spatial",
        drawn=("accuracy",),
        empty="No model was tested on random rotations and translations.",
        needs=("spatial",),
    ),
    "shape_bias": Chart(
        title="Shape against texture",
        caption="Left: among the answers that name the shape or the texture, the share that "
        "names the shape. Middle and right: the share of all images for which either is named; "
        f"the rest are answers that name neither. {_MARKS} The form is that of Figure 6 of the "
        "paper.",
        tables=("shape_bias", "models"),
        section="texture",
        drawn=("shape_bias", "shape_rate", "texture_rate"),
        empty="No stimulus has the shape of one class and the texture of another.",
        needs=("cue_conflict",),
    ),
    "lesions_single": Chart(
        title="One block less",
        caption="Accuracy after one block is removed, or its MLP or its attention alone, by the "
        f"place of the block (0 is the first). {_WHOLE} Of ResNets, only blocks that keep the "
        "shape of their input can be removed. Bars: 95 % intervals. The form is that of Figure 8 "
        "of the paper, top.",
        tables=("lesions_single", "models"),
        section="model",
        drawn=("accuracy",),
        empty="No model of this study has a block that can be removed.",
        needs=("lesions",),
    ),
    "lesions": Chart(
        title="Several blocks less",
        caption="Accuracy after random blocks are removed, or as many MLPs or attentions; the "
        "first block always stays. Lines: mean over random sets of blocks; bars: its standard "
        f"error; shaded: from the worst set to the best. {_WHOLE} The form is that of Figure 8 of "
        "the paper, bottom.",
        tables=("lesions", "models"),
        section="model",
        drawn=("accuracy",),
        empty="No model of this study has a block that can be removed.",
        needs=("lesions",),
    ),
    "heads": Chart(
        title="One attention head less",
        caption="Accuracy that is lost, in percentage points, when a single attention head is "
        "silenced, by its block and its number within the block. Brown: the model gains without "
        "the head.",
        tables=("heads", "models"),
        section="model",
        drawn=("drop",),
        empty="No model of this study has attention heads.",
        needs=("heads",),
    ),
    "restricted_attention": Chart(
        title="Looking only nearby",
        caption="Accuracy when patches attend only to patches within a distance, and when as many "
        "pairs of patches are masked at random. The further right, the less is left. Shaded: from "
        f"the worst to the best of the random draws; bars: 95 % intervals. {_WHOLE} The form is "
        "that of Figure 9 of the paper, left.",
        tables=("restricted_attention", "models"),
        section="model",
        drawn=("accuracy",),
        empty="No model of this study has attention between patches.",
        needs=("attention_distance",),
    ),
    "patch_cls": Chart(
        title="No talk between patches",
        caption="Accuracy when, in the first or in the last blocks, a patch attends to no other "
        f"patch, only to itself and to CLS. Bars: 95 % intervals. {_WHOLE} The form is that of "
        "Figure 9 of the paper, right.",
        tables=("patch_cls", "models"),
        section="model",
        drawn=("accuracy",),
        empty="No model of this study has attention between patches.",
        needs=("patch_cls",),
    ),
    "tokens": Chart(
        title="Fewer patches, less work",
        caption="Accuracy over the computations that are left when a share of the patches is "
        "dropped on the way, at random or those first that CLS attends to least. The further "
        f"right, the less is left. Bars: 95 % intervals. {_WHOLE}",
        tables=("tokens", "models"),
        section="model",
        drawn=("accuracy",),
        empty="No model of this study has patch tokens that can be dropped.",
        needs=("tokens",),
    ),
    "layer_correlations": Chart(
        title="How alike the layers are",
        caption="Similarity of the outputs of every two blocks, mean over the images: over all "
        "tokens (all), and over the CLS token alone (CLS). A block is always like itself: the "
        "diagonal is 1. A large dark square: blocks that change little. Empty: ResNet blocks of "
        "different shapes, which have no correlation. The form is that of Figure 7 of the paper, "
        "which has no CKA.",
        tables=("layer_correlations", "models"),
        section="model",
        drawn=("value",),
        empty="No two blocks of any model of this study can be compared.",
        needs=("correlations",),
    ),
    "correlation_profile": Chart(
        title="How like the others each layer is",
        caption="The mean similarity of a block to all the others, over its depth in the network: "
        "the rows of the squares above as lines. Pearson lines of ResNets take in blocks of one "
        "shape only and lie higher for it. Dashed: smaller patches than others of the size.",
        tables=("correlation_profile", "models"),
        section="model",
        drawn=("value",),
        empty="No two blocks of any model of this study can be compared.",
        needs=("correlations",),
    ),
}


def charts_of(available: Collection[str]) -> dict[str, Chart]:
    """Return the charts that a study has, in their order.

    Parameters
    ----------
    available : what is in the study: perturbations, `cue_conflict`, `patterns`,
        `correlations`, `paper`.
    """
    return {name: chart for name, chart in CHARTS.items() if set(chart.needs) <= set(available)}
