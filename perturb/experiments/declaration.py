"""What an experiment declares: its perturbations, tables and charts, as data and without torch.

Each folder of this package has one `EXPERIMENT`, and `ORDER` lists the folders. Everything else
(configuration, planning, cost, tables, charts, page) reads the declarations through
`perturb.experiments.registry` and knows no experiment by name. Code that needs torch, DuckDB or
Altair is named as an entry point, ``"package.module:function"``, and imported when it is called.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from perturb.records import Architecture, Config, PerturbationEntry

# An entry so far, the configuration's own entry, the configuration's datasets -> the entry.
Configured = Callable[[PerturbationEntry, Mapping[str, Any], Mapping[str, Any]], PerturbationEntry]

# The files that most tables are queries over: shards, and the facts that they are joined with.
PREDICTIONS = ("predictions", "models", "datasets")


@dataclass(frozen=True)
class Passes:
    """Passes of one image through its network.

    predictions : forward passes without a gradient.
    gradients : forward passes followed by a backward pass to the pixels, weights frozen.
    corruptions : corrupted images that are computed; no pass, but work.
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
        """Return the passes of this many images."""
        return Passes(self.predictions * count, self.gradients * count, self.corruptions * count)

    @property
    def forward(self) -> float:
        """All forward passes."""
        return self.predictions + self.gradients

    @property
    def backward(self) -> float:
        """All backward passes."""
        return self.gradients


@dataclass(frozen=True)
class Asked:
    """One cell as its perturbation's functions see it: an entry, a severity, a network, the seed.

    severity : the natural value.
    is_source : whether the model of the cell is the one that its images are attacked on.
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
    """What an accuracy, or another value of a model, is measured on.

    position : its place among all test sets in tables and charts.
    measure : what is measured on it, None for accuracy.
    """

    id: str
    label: str
    position: int
    measure: str | None = None


@dataclass(frozen=True)
class Source:
    """Files that tables read beside shards and facts.

    types : DuckDB's types of columns that cannot be read off a CSV file.
    filled : columns that files may lack, with their types: what lacks is empty.
    """

    name: str
    types: Mapping[str, str] = field(default_factory=dict)
    filled: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pivot:
    """A long table shown wide: a column of values for each entry of `names`.

    keys : what identifies a row beside the columns shown.
    beside : a column with the value on the same images without the change. It stands before the
        values of an entry unless another column shows the same already.
    """

    names: str
    values: str
    keys: tuple[str, ...] = ()
    beside: str | None = None


@dataclass(frozen=True)
class Table:
    """A table: the query `<name>.sql` and the caption `<name>.rst` of its experiment's folder.

    relations : what the query reads, in order; what these read themselves comes before them.
    shown : the columns that readers see.
    sources : the files that the relations are made from.
    pivot : how readers see a long table.
    empty : what stands in the place of the rows if there are none.
    on_page : whether it stands in its experiment's section of the page, as no chart answers the
        same. All others stand under "All numbers".
    optional : the sources that may have no file.
    reads : the perturbations whose shards it is made from; empty: all.
    parameters : values that the queries read by `getvariable`.
    needs : what a study must have for the table to exist: perturbations, and what
        `perturb.plan.products.studies` names. Empty: every study has it.
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
    empty: str = "No row: no model of this study has such a number."


@dataclass(frozen=True)
class Chart:
    """A chart: drawn by an entry point, with the caption `<name>.chart.rst`.

    tables : what it is drawn from, in order. The page shows the chart where the first is there.
    drawn : columns of the first table. A row without any of their values makes no mark.
    empty : why there is nothing to draw if no row makes a mark.
    draw : entry point; takes the tables as data frames, in order.
    note : entry point; takes the same tables as Arrow tables and returns a sentence beside the
        caption.
    is_logarithmic : values of 0 make no mark either.
    needs : as of a `Table`.
    """

    name: str
    title: str
    tables: tuple[str, ...]
    drawn: tuple[str, ...]
    empty: str
    draw: str
    note: str | None = None
    is_logarithmic: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Perturbation:
    """A perturbation of images or of a network, and all that planning must know of it.

    id : in paths and shards.
    protocol : raised by one when its numbers change, so that shards made before are made again and
        never mixed with new ones; a golden test fails when numbers change without it.
    evaluator : entry point of its `perturb.evaluate.outcome.Evaluator`; None if cells of it are
        evaluated by another job than most, as those of transfer.
    passes : what an image of a cell costs.
    severities : the option that lists the severities, or the only severity there is.
    label : in sentences, "removed layers".
    key : in the configuration, the id by default. Several ids may share one: `configured` chooses.
    conditions : the variants inside each cell; those of a cell may be fewer, see `conditions_of`.
    changes : ``input`` or ``model``.
    unchanged : of a changed model, the severity at which it is the model itself: series of
        accuracies over the severity start there. None if every severity is a change.
    families : of the networks that it is about; empty: all.
    is_on_clean_set : whether it is evaluated on the clean dataset alone.
    repeated : conditions with several samples, and the option that says how many. The numbers of
        other conditions do not depend on this option.
    are_conditions_independent : whether the numbers of a condition are the same whatever other
        conditions its cell has. If so a job evaluates those alone that a shard lacks.
    lacks : what a network lacks for it altogether, None if nothing.
    why_not : what a network lacks for one cell, asked if it lacks nothing altogether.
    partly : what is left out on a network that it can change, and why.
    samples : the sample numbers of each condition of a cell; by default those of `repeated`, else
        0 alone.
    conditions_of : the conditions of a cell of a network; by default those of the entry.
    configured : completes the entry, given the configuration's own and its datasets.
    """

    id: str
    protocol: int
    evaluator: str | None
    passes: Callable[["Asked"], Passes]
    severities: str | float
    label: str = ""
    key: str = ""
    conditions: tuple[str, ...] = ()
    changes: str = "input"
    unchanged: float | None = None
    families: tuple[str, ...] = ()
    is_on_clean_set: bool = False
    repeated: Mapping[str, str] = field(default_factory=dict)
    are_conditions_independent: bool = True
    lacks: Callable[[Architecture], str | None] | None = None
    why_not: Callable[["Asked"], str | None] | None = None
    partly: Callable[[Architecture], tuple[str, str] | None] | None = None
    samples: Callable[["Asked"], Mapping[str, tuple[int, ...]]] | None = None
    conditions_of: Callable[[PerturbationEntry, Architecture], tuple[str, ...]] | None = None
    configured: Configured | None = None


@dataclass(frozen=True)
class Measurement:
    """A measurement of one model that is no prediction, such as the similarity of its layers.

    id : in the configuration's `analyses`.
    protocol : as of a `Perturbation`.
    measure : entry point; takes a subject, the decoded dataset, the model's id, what is asked and a
        batch size, and returns the table of the measurement.
    passes : what an image costs, from the options.
    label : in sentences.
    lacks : what a network lacks for it, None if nothing.
    """

    id: str
    protocol: int
    measure: str
    passes: Callable[[Mapping[str, Any]], Passes]
    label: str
    lacks: Callable[[Architecture], str | None] | None = None


@dataclass(frozen=True)
class Experiment:
    """What stands behind one figure of the paper, or one question beyond it.

    title : of its section of the page.
    figure : the paper's, as ``"9"``; None if the paper has none.
    checks : yields a message for each mistake of a study that concerns the experiment.
    adapted : returns the study as it can be run, once it is free of mistakes.
    relations : SQL files of the folder that several tables read come by their names; those made
        in Python are here, with their entry points: functions of a query's result (SQL in, Arrow
        table out) and the table's parameters.
    test_sets : what it adds to the test sets that models are compared on.
    sources : what is to be known of files that its tables read, and perhaps those of others.
    phrases : what claims say of comparisons of its conditions, by the comparison's name in
        `resources/claims.csv`. ``{difference}`` stands for, say, "2.0 percentage points more".
    warnings : entry point; takes all tables of the study by name and returns a sentence for each
        model that a part of the numbers says nothing of. `page.html` shows them.
    lead : a sentence of the page's first paragraph, where the study has this experiment.
    has_picture : whether a job of its own draws a picture for the page, with the caption
        `picture.rst`.
    """

    title: str
    figure: str | None = None
    perturbations: tuple[Perturbation, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    checks: Callable[[Config], Iterator[str]] | None = None
    adapted: Callable[[Config], Config] | None = None
    test_sets: tuple[TestSet, ...] = ()
    sources: tuple[Source, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    relations: Mapping[str, str] = field(default_factory=dict)
    phrases: Mapping[str, str] = field(default_factory=dict)
    warnings: str | None = None
    lead: str = ""
    has_picture: bool = False
