"""Which charts there are, which tables each is drawn from, and its words. No heavy imports."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """A chart of the report: its words, and the tables that it is drawn from, in order."""

    title: str
    caption: str
    tables: tuple[str, ...]


CHARTS: Mapping[str, Chart] = {
    "robustness_benchmarks": Chart(
        title="Robustness benchmarks",
        caption="Accuracy of every model on clean images and on the perturbed sets, by what it "
        "was pre-trained on; ResNets left of the tick, ViTs right. Colour: family and size; "
        "shape: patch size; area: parameters. Bars: 95 % intervals. The form is that of "
        "Figure 2 of the paper.",
        tables=("accuracy", "models"),
    ),
    "model_size": Chart(
        title="Error and model size",
        caption="Error against the number of parameters, both axes logarithmic, for the models "
        "pre-trained on the largest set, with a straight-line fit for each family and test set. "
        "Hollow: models of another patch size than their family's series, not in the fit. "
        "Bars: 95 % intervals. The form is that of Figure 4 of the paper.",
        tables=("scaling_models", "models"),
    ),
    "corruption_heatmap": Chart(
        title="Every corruption",
        caption="Accuracy in percent of every model under every corruption, averaged over the "
        "severities. The extra corruptions are in no mean.",
        tables=("corruption_means", "accuracy", "models"),
    ),
}
