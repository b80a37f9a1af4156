"""Declaration of an experiment: its perturbations, tables and charts, as data without torch.

Each folder of this package has one `EXPERIMENT`, and `ORDER` lists the folders. Everything else
(configuration, planning, cost, tables, charts, page) reads the declarations through
`perturb.experiments.registry`: a new perturbation needs no other code. Code that needs torch,
DuckDB or Altair is named as an entry point, ``"package.module:function"``, and imported when it is
called.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from perturb.records import Architecture, Config, PerturbationEntry

# An incomplete entry, the configuration's entry, the configuration's datasets -> the entry.
Configured = Callable[[PerturbationEntry, Mapping[str, Any], Mapping[str, Any]], PerturbationEntry]

# The sources of most tables: shards, and the facts that they are joined with.
PREDICTIONS = ("predictions", "models", "datasets")


@dataclass(frozen=True)
class Passes:
    """Passes of one image through its network.

    predictions : forward passes without a gradient.
    gradients : forward passes followed by a backward pass to the pixels, weights frozen.
    corruptions : corrupted images computed, which cost time but are no passes.
    """

    predictions: float = 0.0
    gradients: float = 0.0
    corruptions: float = 0.0

    def __add__(self, other: "Passes") -> "Passes":
        return Passes(
            self.predictions + other.predictions,
            self.gradients + other.gradients,
            self.corruptions + other.corruptions,
        )

    def times(self, count: float) -> "Passes":
        """Return the passes of `count` images."""
        return Passes(self.predictions * count, self.gradients * count, self.corruptions * count)

    @property
    def forward(self) -> float:
        """All forward passes."""
        return self.predictions + self.gradients

    @property
    def backward(self) -> float:
        """All backward passes."""
        return self.gradients


def one_prediction(_: object) -> Passes:
    """Return one forward pass per image."""
    return Passes(predictions=1)


@dataclass(frozen=True)
class Asked:
    """One cell, as passed to the functions of a perturbation: entry, severity, network and seed.

    severity : the natural value.
    is_source : whether the cell's model is the source of its adversarial images.
    """

    entry: PerturbationEntry
    severity: float
    architecture: Architecture
    seed: int
    is_source: bool = True

    def option(self, name: str) -> int:
        """Return an option that is a count; the configuration has filled in its default."""
        return int(self.entry.options[name])


@dataclass(frozen=True)
class TestSet:
    """A test set on which an accuracy, or another value of a model, is measured.

    position : its position among all test sets in tables and charts.
    measure : name of the value, None for accuracy.
    """

    id: str
    label: str
    position: int
    measure: str | None = None


@dataclass(frozen=True)
class Measure:
    """A number of each model by which models stand side by side.

    Its values are the accuracies on a test set, or those that a relation adds to `measure_values`
    under its id. Its label is that of the test set if there is only one to choose from.

    position : its position among all measures.
    unit : fraction, number, count, flops or images_per_second.
    is_better_high : None for facts that rank no model.
    test_sets : of which the first that the study has is the measure; empty: a relation adds its
        values. All but the unchanged images are parts of the mean under perturbation.
    at_epsilon : whether the label says the epsilon at which models are compared.
    phrase : what it is measured on, within a sentence; by default its label.
    """

    id: str
    label: str
    position: int
    unit: str = "fraction"
    is_better_high: bool | None = True
    test_sets: tuple[str, ...] = ()
    at_epsilon: bool = False
    phrase: str = ""


@dataclass(frozen=True)
class Source:
    """Files that tables read in addition to shards and facts.

    types : DuckDB's types of columns that cannot be read off a CSV file.
    filled : columns that files may lack, with their types; a missing column is empty.
    refusing : function of the files that raises a ValueError for faulty ones, before they are read.
    """

    name: str
    types: Mapping[str, str] = field(default_factory=dict)
    filled: Mapping[str, str] = field(default_factory=dict)
    refusing: str | None = None


@dataclass(frozen=True)
class Pivot:
    """A long table shown wide: a column of values for each entry of `names`.

    keys : columns that identify a row in addition to those shown.
    beside : a column with the value on the same images without the change. It precedes the values
        of an entry unless another column shows the same.
    """

    names: str
    values: str
    keys: tuple[str, ...] = ()
    beside: str | None = None


@dataclass(frozen=True)
class Table:
    """A table: the query `<name>.sql` and the caption `<name>.rst` of its experiment's folder.

    relations : the relations that the query reads, in order; their own dependencies come first.
    shown : the displayed columns.
    sources : the files from which the relations are made.
    pivot : the wide form in which a long table is displayed.
    empty : the text in place of the rows if there are none.
    on_page : whether it is unfolded in its experiment's section of the page, for lack of a chart of
        the same values. All other tables are folded there, and every table under "All numbers".
    is_data : whether it is data for programs and for the page's interactive parts: it is shown in
        no part of the page as it is.
    optional : the sources that may have no file.
    reads : the perturbations whose shards it reads; empty: all.
    parameters : values that the queries read by `getvariable`.
    needs : requirements of a study for the table to exist: perturbations, and names of
        `perturb.plan.products.studies`. Empty: every study has it.
    """

    name: str
    title: str
    relations: tuple[str, ...]
    shown: tuple[str, ...]
    sources: tuple[str, ...] = PREDICTIONS
    pivot: Pivot | None = None
    optional: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    on_page: bool = False
    is_data: bool = False
    empty: str = "No row: no model of this study has such a number."


@dataclass(frozen=True)
class Chart:
    """A chart: the function `<name>` of its experiment's `charts.py`, and `<name>.chart.rst`.

    The function takes the tables as data frames, in order. A study that has all of the tables has
    the chart. The file is its caption.

    tables : the tables that it shows, in order. The page shows the chart if the first table exists.
    drawn : columns of the first table. A row without any of their values is not drawn.
    empty : the reason shown if no row is drawn.
    note : entry point; takes the same tables as Arrow tables and returns a note on the chart.
    is_logarithmic : whether values of 0 are not drawn either.
    is_of_runs : whether it takes its tables as they are, with a row for each training run or one
        for all runs, and not the mean over the rows of a model's runs.
    is_first : whether it stands on the page's first screen instead of its experiment's section.
    """

    name: str
    title: str
    tables: tuple[str, ...]
    empty: str
    drawn: tuple[str, ...] = ("accuracy",)
    note: str | None = "perturb.charts.notes:images"
    is_logarithmic: bool = False
    is_of_runs: bool = False
    is_first: bool = False


@dataclass(frozen=True)
class Perturbation:
    """A perturbation of images or of a network, with its properties for planning.

    id : in paths and shards.
    protocol : incremented when its numbers change, so that earlier shards are recomputed and never
        mixed with new ones; a golden test fails if numbers change without it.
    evaluator : entry point of its `perturb.evaluation.outcome.Evaluator`; None if another job
        evaluates its cells, as for transfer.
    severities : the option that lists the severities, or the only severity.
    passes : the passes per image of a cell; by default a prediction per condition and sample.
    label : in sentences, "removed layers".
    condition_labels : labels of conditions, of those whose id with blanks is none.
    severity_label : the label of a severity in the form of `printf`, with its natural value times
        `severity_scale`; a cell of the only severity has none.
    key : in the configuration, the id by default. Several ids may share a key: `configured` selects
        one.
    conditions : the variants inside each cell; a cell may have fewer, see `conditions_of`.
    changes : ``input`` or ``model``.
    unchanged : for a changed model, the severity of the unchanged model, at which series over the
        severity start. None if every severity is a change.
    families : families of networks to which it applies; empty: all.
    is_on_clean_set : whether it is evaluated only on the clean dataset.
    is_independent_of_model : whether the images that networks see do not depend on the network:
        models with the same decoded dataset can share them.
    repeated : conditions with several samples, and the option with their number. The numbers of
        other conditions do not depend on this option.
    by_condition : options that hold a value for each condition. The numbers of a condition depend
        on its own value alone.
    is_random : whether its numbers depend on the seed. On a subset of the images they always do.
    uses : other perturbations whose code its numbers depend on: their protocols count as its own.
    are_conditions_independent : whether the numbers of a condition do not depend on the other
        conditions of its cell. If so, a job evaluates only those that a shard lacks.
    lacks : reason why it does not apply to a network, None if it does.
    why_not : reason why a cell does not exist for a network to which it applies.
    partly : excluded conditions of a network to which it applies, and the reason.
    samples : the sample numbers of each condition of a cell; by default those of `repeated`, else
        only 0.
    conditions_of : the conditions of a cell for a network; by default those of the entry.
    options_of : the options that a cell's numbers depend on; by default all of the entry.
    configured : completes the entry, given the configuration's entry and datasets.
    references : keys of `resources/references.bib` that a study with it cites.
    condition_references : keys that a study with one of its conditions cites, by condition.
    gallery : entry point; takes a `perturb.experiments.gallery.Scene` and yields its pictures for
        the page. A perturbation of images whose evaluator is an `InputEvaluator` needs none: the
        gallery shows its pixels.
    """

    id: str
    protocol: int
    evaluator: str | None
    severities: str | float
    passes: Callable[["Asked"], Passes] | None = None
    label: str = ""
    condition_labels: Mapping[str, str] = field(default_factory=dict)
    severity_label: str = "%g"
    severity_scale: float = 1.0
    key: str = ""
    conditions: tuple[str, ...] = ()
    changes: str = "input"
    unchanged: float | None = None
    families: tuple[str, ...] = ()
    is_on_clean_set: bool = False
    is_independent_of_model: bool = False
    repeated: Mapping[str, str] = field(default_factory=dict)
    by_condition: tuple[str, ...] = ()
    is_random: bool = True
    uses: tuple[str, ...] = ()
    are_conditions_independent: bool = True
    lacks: Callable[[Architecture], str | None] | None = None
    why_not: Callable[["Asked"], str | None] | None = None
    partly: Callable[[Architecture], tuple[str, str] | None] | None = None
    samples: Callable[["Asked"], Mapping[str, tuple[int, ...]]] | None = None
    conditions_of: Callable[[PerturbationEntry, Architecture], tuple[str, ...]] | None = None
    options_of: Callable[["Asked"], Mapping[str, Any]] | None = None
    configured: Configured | None = None
    gallery: str | None = None
    references: tuple[str, ...] = ()
    condition_references: Mapping[str, str] = field(default_factory=dict)

    def condition_label(self, condition: str) -> str:
        """Return the label of a condition: the declared one, else its id with blanks."""
        spoken = condition.replace("_", " ")
        return self.condition_labels.get(condition, spoken[:1].upper() + spoken[1:])


@dataclass(frozen=True)
class Measurement:
    """A measurement of one model other than predictions, such as its layer correlations.

    id : in the configuration's `analyses`.
    protocol, uses : as of a `Perturbation`.
    measure : entry point; takes a subject, the decoded dataset, the model's id, the settings and a
        batch size, and returns the table of the measurement.
    label : in sentences.
    passes : the passes per image, from the options; by default one prediction.
    lacks : reason why it does not apply to a network, None if it does.
    references : keys of `resources/references.bib` that a study with it cites.
    """

    id: str
    protocol: int
    measure: str
    label: str
    passes: Callable[[Mapping[str, Any]], Passes] = one_prediction
    lacks: Callable[[Architecture], str | None] | None = None
    uses: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """An experiment: one figure of the paper, or an addition to it.

    title : of its section of the page.
    figure : the paper's, as ``"9"``; None if the paper has none.
    kind : of the experiments whose cells share a job with ``jobs_by: kind``, and the name of this
        job: ``network``, or the name of a folder, by default its own.
    checks : yields a message for each mistake of a study that concerns the experiment.
    adapted : returns the study adapted to its models, after all checks.
    relations : relations made in Python, with their entry points: functions of a query function
        (SQL -> Arrow table) and the table's parameters. SQL relations of the folder are found by
        file name.
    test_sets : its additions to the test sets on which models are compared.
    measures : its additions to the measures by which models stand side by side.
    sources : properties of files that its tables, or those of other experiments, read.
    phrases : sentences on comparisons of its conditions, by the comparison's name in
        `resources/claims.csv`. ``{difference}`` is a placeholder for, say, "2.0 percentage points
        more".
    warnings : entry point; takes all tables of the study by name and returns a sentence for each
        model with uninformative numbers. `page.html` shows them.
    lead : a sentence of the page's first paragraph, if the study has this experiment.
    shows : entry point; takes all tables of the study by name and returns one sentence of what the
        experiment shows in this run, an empty text without its numbers.
    references : keys of `resources/references.bib` that a study with a row in one of its tables
        cites.
    has_picture : whether a separate job draws a picture for the page, with the caption
        `picture.rst`.
    """

    title: str
    figure: str | None = None
    kind: str = ""
    perturbations: tuple[Perturbation, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    checks: Callable[[Config], Iterator[str]] | None = None
    adapted: Callable[[Config], Config] | None = None
    test_sets: tuple[TestSet, ...] = ()
    measures: tuple[Measure, ...] = ()
    sources: tuple[Source, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    relations: Mapping[str, str] = field(default_factory=dict)
    phrases: Mapping[str, str] = field(default_factory=dict)
    warnings: str | None = None
    lead: str = ""
    shows: str | None = None
    references: tuple[str, ...] = ()
    has_picture: bool = False
