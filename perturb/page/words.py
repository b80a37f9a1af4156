"""The words of the page that its numbers make: the answer, the first rows, the summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from perturb.experiments.comparison.means import CLEAN
from perturb.experiments.sentences import Interval
from perturb.formatting import MISSING, formatted
from perturb.page.answer import answer
from perturb.page.pairing import Summary, paired_summary
from perturb.page.shown import ShownChart
from perturb.page.standings import Standings, standings

_NUM_FIRST_ROWS = 5


@dataclass(frozen=True)
class FirstRows:
    """The first rows of the leaderboard, the most robust models first.

    heads : of the columns after the model's name.
    rows : a model's name, and text and interval of each column.
    """

    num_models: int
    heads: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True)
class Words:
    """What the page says first.

    answer : sentences; none for a study without predictions.
    first_rows : None if no model has an accuracy under perturbation.
    summary : of a study of a few models.
    overview : the chart of all models; None if no model has both accuracies.
    """

    answer: list[str]
    first_rows: FirstRows | None
    summary: Summary | None
    overview: ShownChart | None


def words(found: Mapping[str, pa.Table], overview: ShownChart | None = None) -> Words:
    """Return the words of a study from its tables.

    overview : the chart of all models.
    """
    compared = standings(found)
    models = found["models"].to_pylist()
    at_chance = {row["model"] for row in models if row["warning"]}
    sentences = answer(compared, at_chance)
    has_marks = not compared.means.keys().isdisjoint(compared.values(CLEAN))
    return Words(
        sentences,
        first_rows(compared),
        paired_summary(compared),
        _in_words(overview, sentences) if overview and has_marks else None,
    )


def _in_words(chart: ShownChart, sentences: Sequence[str]) -> ShownChart:
    """Return the chart with what it shows as its text for readers who do not see it."""
    in_words = " ".join([f"{chart.title}.", chart.caption, *sentences])
    return replace(chart, in_words=in_words, spec={**chart.spec, "description": in_words})


def first_rows(found: Standings) -> FirstRows | None:
    """Return the first rows of the leaderboard: the mean under perturbation, and its parts."""
    means = found.means
    if not means:
        return None
    measures = [CLEAN, *found.averaged]
    values = {measure: found.values(measure) for measure in measures}
    rows = [
        (
            found.names[model],
            [_cell(mean), *(_cell(values[measure].get(model)) for measure in measures)],
        )
        for model, mean in list(means.items())[:_NUM_FIRST_ROWS]
    ]
    heads = [found.label(found.mean or CLEAN), *(found.label(measure) for measure in measures)]
    # Of one test set the mean is that test set's value.
    if len(found.averaged) == 1:
        heads, rows = heads[1:], [(name, cells[1:]) for name, cells in rows]
    return FirstRows(len(means), heads, rows)


def _cell(value: Interval | None) -> tuple[str, str]:
    if value is None:
        return MISSING, ""
    low, high = (formatted(end, "percent") for end in (value.low, value.high))
    return formatted(value.value, "percent"), f"{low}, {high}"
