"""Which tables there are, what each is made from, and what readers are told about it.

The SQL of a table is the file of its name. `columns.csv` names every column once for all tables:
its label, its unit and its meaning.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent

# How the intervals of two kinds come about; captions repeat it so that each table stands alone.
_WILSON = "Brackets: 95 % interval, Wilson's."
_CLUSTERED = (
    "Brackets: 95 % interval; Wilson's where an image is decided once, clustered by image where "
    "the same image is decided under many corruptions and severities."
)
_IMAGES = "It covers the sampling of test images; the models are taken as they are."
_DECISIONS = ("decisions", "models", "datasets")
_OUTCOMES = ("benchmark_models", "test_sets", "image_outcomes")


@dataclass(frozen=True)
class Pivot:
    """A long table shown wide: a column of values for each entry of `names`."""

    names: str
    values: str
    keys: tuple[str, ...] = ()  # what tells rows apart beside the columns shown


@dataclass(frozen=True)
class Table:
    """One table: its words, its inputs, and the columns that readers see."""

    title: str
    caption: str
    sources: tuple[str, ...]
    relations: tuple[str, ...]
    shown: tuple[str, ...]
    pivot: Pivot | None = None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """What a column is called, measured in, and means."""

    label: str
    unit: str
    description: str


TABLES: Mapping[str, Table] = {
    "models": Table(
        title="Models",
        caption="The models, with their number of parameters and what they were pre-trained on.",
        sources=("models",),
        relations=("benchmark_models",),
        shown=(
            "architecture_label",
            "pretraining_label",
            "pretraining_images",
            "num_parameters",
            "is_reference",
        ),
    ),
    "accuracy": Table(
        title="Robustness benchmarks",
        caption="Accuracy of every model on every test set, in percent (the paper's Figure 2). "
        f"Corruptions: the mean over the benchmark's corruptions and severities. {_CLUSTERED}",
        sources=_DECISIONS,
        relations=_OUTCOMES,
        shown=("architecture_label", "pretraining_label", "num_parameters"),
        pivot=Pivot("test_set_label", "accuracy", ("model",)),
    ),
    "corruption_accuracy": Table(
        title="Accuracy under every corruption and severity",
        caption=f"Accuracy in percent, corruption by corruption, severity 1 to 5. {_WILSON}",
        sources=_DECISIONS,
        relations=("benchmark_models",),
        shown=("architecture_label", "pretraining_label", "corruption"),
        pivot=Pivot("severity", "accuracy", ("model", "dataset")),
    ),
    "corruption_means": Table(
        title="Every corruption, averaged over severities",
        caption="Accuracy and corruption error (CE: errors over the reference network's errors) "
        f"in percent, means over the severities. {_CLUSTERED} The reference's errors are taken "
        "as given.",
        sources=(*_DECISIONS, "reference_errors"),
        relations=("benchmark_models", "corruption_outcomes", "reference_sums"),
        shown=("architecture_label", "pretraining_label", "corruption", "accuracy", "ce"),
    ),
    "corruption_error": Table(
        title="Mean accuracy, mCE and relative mCE",
        caption="Three summaries of the benchmark's corruptions, in percent. mCE divides a "
        "model's errors by the reference network's, corruption by corruption; relative mCE does "
        "so with the errors added to those on clean images. Lower is better for both; neither "
        "exists unless all 15 corruptions were run at all five severities. "
        "Brackets: 95 % interval, clustered by image, the reference's errors taken as given.",
        sources=(*_DECISIONS, "reference_errors"),
        relations=(*_OUTCOMES, "corruption_outcomes", "reference_sums"),
        shown=(
            "architecture_label",
            "pretraining_label",
            "clean_error",
            "mean_accuracy",
            "mce",
            "relative_mce",
            "num_images",
        ),
    ),
    "reference_errors": Table(
        title="Errors of the reference network",
        caption="Error in percent of the reference network, which is no part of the benchmark: "
        f"the denominators of the corruption errors. Severity 0: clean images. {_WILSON}",
        sources=_DECISIONS,
        relations=(),
        shown=("corruption",),
        pivot=Pivot("severity", "error"),
    ),
    "scaling": Table(
        title="How error falls with model size",
        caption="Slope of log10(error) over log10(parameters), a straight line per family and "
        "test set at the largest pre-training set (the paper's Figure 4). More negative is "
        f"steeper. Brackets: 95 % interval, delta method, paired by image. {_IMAGES}",
        sources=_DECISIONS,
        relations=(*_OUTCOMES, "series", "matched", "contrasts"),
        shown=("test_set_label", "family_label", "slope", "num_models", "num_images", "models"),
    ),
    "scaling_models": Table(
        title="The points behind the slopes",
        caption="Error in percent of the models at the largest pre-training set, and of the "
        f"fitted line. Models of another patch size than their family's series are not fitted. "
        f"{_CLUSTERED}",
        sources=_DECISIONS,
        relations=(*_OUTCOMES, "series", "matched", "contrasts"),
        shown=(
            "test_set_label",
            "architecture_label",
            "num_parameters",
            "error",
            "is_fitted",
            "fitted_error",
        ),
    ),
    "matched_pairs": Table(
        title="ViTs against ResNets of matched size",
        caption="Accuracy of each ViT less that of its ResNet of matched size, in percentage "
        "points: the same size name, or else the nearest in parameters within a factor of three. "
        f"Brackets: 95 % interval, paired by image. {_IMAGES}",
        sources=_DECISIONS,
        relations=(*_OUTCOMES, "series", "matched", "contrasts"),
        shown=("pretraining_label", "vit_label", "resnet_label", "parameter_ratio"),
        pivot=Pivot("test_set_label", "difference", ("vit",)),
    ),
    "claims": Table(
        title="The paper's claims",
        caption="Each claim as a statistic. Supported: the whole 95 % interval lies on the "
        "claimed side of the threshold; contradicted: on the other side; else undecided. "
        f"Brackets: 95 % interval. {_IMAGES}",
        sources=(*_DECISIONS, "claim_rules"),
        relations=(*_OUTCOMES, "series", "matched", "contrasts", "rank_correlations"),
        shown=(
            "claim",
            "test_set_label",
            "statistic",
            "estimate",
            "threshold",
            "verdict",
            "num_models",
            "num_images",
            "paper",
        ),
        parameters=("num_resamples", "seed"),
    ),
    "runs": Table(
        title="What was run",
        caption="Cells (model x data set x severity), decisions and time. Not reproducible byte "
        "for byte, unlike the other tables.",
        sources=("inventory",),
        relations=(),
        shown=(
            "perturbation",
            "dataset",
            "num_cells",
            "num_models",
            "num_images",
            "num_decisions",
            "seconds",
            "images_per_second",
        ),
    ),
}


@cache
def columns() -> Mapping[str, Column]:
    """Return the description of every column of every table, by name."""
    with (FOLDER / "columns.csv").open(newline="", encoding="utf-8") as file:
        return {
            row["column"]: Column(row["label"], row["unit"], row["description"])
            for row in csv.DictReader(file)
        }


def code_of(name: str) -> tuple[str, ...]:
    """Return the files that a table's bytes depend on, below the repository's root."""
    table = table_named(name)
    relations = [relation for relation in table.relations if relation != "rank_correlations"]
    modules = ["catalogue.py", "columns.csv", "display.py", "run.py", "write.py"]
    if "image_outcomes" in relations:
        relations.append("checks")
    own = [f"{name}.sql", "macros.sql", *(f"relations/{relation}.sql" for relation in relations)]
    files = [f"perturb/tables/{file}" for file in own + modules]
    if "rank_correlations" in table.relations:
        files += ["perturb/tables/correlations.py", "perturb/statistics.py"]
    return tuple(files)


def table_named(name: str) -> Table:
    """Return the entry of a table.

    Raises
    ------
    ValueError
        if there is no such table.
    """
    if name not in TABLES:
        raise ValueError(f"table is {name!r}; allowed: {', '.join(TABLES)}")
    return TABLES[name]
