"""Which charts there are, which tables each is drawn from, and its words. No heavy imports."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

# The parts of the report that charts stand in, in their order.
SECTIONS: Mapping[str, str] = {
    "benchmarks": "Benchmarks",
    "adversarial": "Adversarial attacks",
    "spatial": "Rotation and translation",
    "texture": "Texture or shape",
}

_MARKS = (
    "ResNets left of the tick, ViTs right. Colour: family and size; shape: patch size; area: "
    "parameters. Bars: 95 % intervals."
)


@dataclass(frozen=True)
class Chart:
    """A chart of the report: its words, and the tables that it is drawn from, in order.

    section : one of `SECTIONS`.
    needs : what must all be in a study for the chart to exist: perturbations, `cue_conflict` (a
        data set of that role), `patterns`. Empty: every study has it.
    """

    title: str
    caption: str
    tables: tuple[str, ...]
    section: str
    needs: tuple[str, ...] = ()


CHARTS: Mapping[str, Chart] = {
    "robustness_benchmarks": Chart(
        title="Robustness benchmarks",
        caption="Accuracy of every model on clean images and on the perturbed sets, by what it "
        f"was pre-trained on; {_MARKS} The form is that of Figure 2 of the paper.",
        tables=("accuracy", "models"),
        section="benchmarks",
    ),
    "model_size": Chart(
        title="Error and model size",
        caption="Error against the number of parameters, both axes logarithmic, for the models "
        "pre-trained on the largest set, with a straight-line fit for each family and test set. "
        "Hollow: models of another patch size than their family's series, not in the fit. "
        "Bars: 95 % intervals. The form is that of Figure 4 of the paper.",
        tables=("scaling_models", "models"),
        section="benchmarks",
    ),
    "corruption_heatmap": Chart(
        title="Every corruption",
        caption="Accuracy in percent of every model under every corruption, averaged over the "
        "severities. The extra corruptions are in no mean.",
        tables=("corruption_means", "accuracy", "models"),
        section="benchmarks",
        needs=("corruptions",),
    ),
    "adversarial": Chart(
        title="Accuracy under attack",
        caption="Accuracy on the same images before and after each attack, by what a model was "
        f"pre-trained on; {_MARKS} Every attack is computed against the very model that it is "
        "shown to. The form is that of Figure 3 of the paper, which has no attack ensemble.",
        tables=("attacks", "models"),
        section="adversarial",
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
        needs=("transfer",),
    ),
    "pattern_alignment": Chart(
        title="Where the perturbations are",
        caption="Left: how much a perturbation changes from pixel to pixel across the borders "
        "of patches, over how much it does inside them. ViTs stand on the grid of their own "
        "patches; ResNets, which have none, on every grid, for comparison. Right: the "
        "perturbation's strength on the object over that elsewhere. Dashed: no difference, 1. "
        "Bars: 95 % intervals.",
        tables=("perturbation_patterns", "models"),
        section="adversarial",
        needs=("patterns",),
    ),
    "spatial_heatmap": Chart(
        title="Every turn and shift",
        caption="Accuracy in percent under rotations (across) and translations (upwards, as a "
        "share of the largest), a panel a model, over transforms drawn at random from the grid "
        "that the worst case is searched on.",
        tables=("spatial_grid", "models"),
        section="spatial",
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
        needs=("cue_conflict",),
    ),
}


def charts_of(available: Collection[str]) -> dict[str, Chart]:
    """Return the charts that a study has, in their order.

    Parameters
    ----------
    available : what is in the study: perturbations, `cue_conflict`, `patterns`.
    """
    return {name: chart for name, chart in CHARTS.items() if set(chart.needs) <= set(available)}
