"""Words of the sentences that say what an experiment shows in a run, made from its tables.

Each experiment's folder may have a `shows.py`: its function takes all tables of the study by name
and returns one sentence, nothing if the study lacks the numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from perturb.experiments import registry
from perturb.formatting import formatted, named

Row = Mapping[str, Any]
Tables = Mapping[str, pa.Table]

# Words at the start of labels that keep their capital within a sentence.
_NAMES = {"Gaussian"}


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 if the interval lies above zero, -1 if below, 0 if zero is within."""
        return (self.low > 0) - (self.high < 0)


def interval_of(row: Row, column: str) -> Interval:
    """Return a value of a row with its interval."""
    return Interval(row[column], row[f"{column}_low"], row[f"{column}_high"])


def percent(value: Interval) -> str:
    """Return a fraction as text, with its interval."""
    return _with_interval(value, "percent", "\N{NO-BREAK SPACE}%")


def points(value: Interval) -> str:
    """Return a difference of accuracies as text, with its interval."""
    return _with_interval(value, "points", " points")


def lost_points(loss: Interval) -> str:
    """Return a loss of accuracy as text, with its interval; a negative one is gained."""
    return points(loss).replace("+", "")


def number(value: Interval) -> str:
    """Return a number as text, with its interval."""
    return _with_interval(value, "number", "")


def ratio(value: Interval) -> str:
    """Return a number of about 1 as text, with its interval."""
    return _with_interval(value, "ratio", "")


def _with_interval(value: Interval, unit: str, sign: str) -> str:
    low, high = (formatted(end, unit) for end in (value.low, value.high))
    return f"{formatted(value.value, unit)}{sign} [{low}, {high}]"


def plain_percent(value: float) -> str:
    """Return a fraction as text, such as a mean over models, which has no interval."""
    return f"{formatted(value, 'percent')}\N{NO-BREAK SPACE}%"


def rows_of(found: Tables, table: str, **values: object) -> list[dict[str, Any]]:
    """Return the rows of a table with these values in its columns; none if the study lacks it."""
    if table not in found:
        return []
    rows: list[dict[str, Any]] = found[table].to_pylist()
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def known(rows: Sequence[Row], column: str) -> list[Row]:
    """Return the rows that have a value in a column."""
    return [row for row in rows if row[column] is not None]


def grouped(rows: Sequence[Row], column: str) -> dict[Any, list[Row]]:
    """Return the rows by the value of a column, in the order of their first rows."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def span(
    rows: Sequence[Row],
    column: str,
    said: Callable[[Interval], str] = percent,
    name: Callable[[Row], str] = named,
    noun: str = "models",
) -> str:
    """Return the least and the greatest value of a column, and whose they are: "from 1 % to 2 %".

    Parameters
    ----------
    rows : one or more, with a value in the column.
    said : the words for a value.
    name : the name of what a row is about.
    noun : for several of it.
    """
    low, high = (choose(rows, key=lambda row: row[column]) for choose in (min, max))
    if len(rows) == 1:
        return f"{said(interval_of(low, column))} ({name(low)})"
    if low[column] == high[column]:
        return f"{said(interval_of(low, column))} for {part(len(rows), len(rows), noun)}"
    ends = [f"{said(interval_of(row, column))} ({name(row)})" for row in (low, high)]
    return f"from {ends[0]} to {ends[1]}"


def mean(rows: Sequence[Row], column: str) -> float:
    """Return the mean of a column."""
    return float(sum(row[column] for row in rows) / len(rows))


def accuracies(rows: Sequence[Row], column: str) -> str:
    """Return the accuracies in a column, as text: that of one model, or the range of several."""
    values = span(rows, column)
    return f"accuracies {values}" if values.startswith("from ") else f"an accuracy of {values}"


def accuracy_of(rows: Sequence[Row]) -> str:
    """Return the words for the mean over rows: of the only model, or of how many."""
    models = {row["model"]: row for row in rows}
    if len(models) == 1:
        return f"the accuracy of {named(next(iter(models.values())))}"
    return f"the mean accuracy of the {len(models):,} models"


def part(count: int, whole: int, noun: str) -> str:
    """Return how many of a whole, as text: "2 of 15 models", "both models", "none of 3 models".

    Parameters
    ----------
    noun : in the plural, formed with -s.
    """
    if count == 0:
        return f"no {noun[:-1]}" if whole == 1 else f"none of the {whole:,} {noun}"
    if count == whole:
        return {1: f"the {noun[:-1]}", 2: f"both {noun}"}.get(whole, f"all {whole:,} {noun}")
    return f"{count:,} of {whole:,} {noun}"


def agreeing(count: int, singular: str, plural: str) -> str:
    """Return the form of a verb whose subject is `part(count, ...)`."""
    return plural if count > 1 else singular


def capitalised(text: str) -> str:
    """Return a text that starts a sentence."""
    return text[:1].upper() + text[1:]


def within(label: str) -> str:
    """Return a label as it stands within a sentence: in lower case, but not FGSM or Gaussian."""
    first = label.split(" ", 1)[0]
    if first in _NAMES or not first[1:].islower():
        return label
    return label[:1].lower() + label[1:]


def phrase(measure: str, label: str) -> str:
    """Return what a measure is measured on, as it stands within a sentence.

    Parameters
    ----------
    measure : an id, or that of a test set; that of a dataset without a role is neither, and its
        label is the user's.
    """
    declared = registry.measures().get(measure)
    if declared is None:
        return within(label) if measure in registry.test_sets() else label
    return declared.phrase or within(label)
