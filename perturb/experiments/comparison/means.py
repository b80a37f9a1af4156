"""Mean accuracy of a model over the test sets that perturb images, and differences of such means.

The mean weighs every test set alike. The ends of its interval are the means of the ends of the test
sets' intervals: test sets may share images, and the standard error of a mean is at most the mean of
the standard errors, however the test sets depend on each other. The interval covers at least as
often as theirs do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perturb.experiments import registry

Row = Mapping[str, Any]

CLEAN = "clean"
# Of test sets that no experiment declares; `relations/measure_values.sql` makes these ids.
_OF_A_DATASET = "dataset:"


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


def is_perturbed_accuracy(measure: str) -> bool:
    """Return whether a measure is the accuracy on a test set other than the unchanged images."""
    declared = registry.measures().get(measure)
    is_accuracy = bool(declared.test_sets) if declared else measure.startswith(_OF_A_DATASET)
    return is_accuracy and measure != CLEAN


def averaged_measures(rows: Sequence[Row]) -> list[str]:
    """Return the measures, in order, that a mean over perturbed images consists of.

    They are those that every model has; if there is none, those of the most models.

    Parameters
    ----------
    rows : of the table `leaderboard`.
    """
    models: dict[str, set[str]] = {}
    for row in rows:
        if is_perturbed_accuracy(row["measure"]) and row["value"] is not None:
            models.setdefault(row["measure"], set()).add(row["model"])
    most = max(map(len, models.values()), default=0)
    return [measure for measure, found in models.items() if len(found) == most]


def perturbed_means(rows: Sequence[Row]) -> dict[str, Interval]:
    """Return the mean accuracy under perturbation of every model that has all of its measures."""
    measures = averaged_measures(rows)
    parts: dict[str, list[Interval]] = {}
    for row in rows:
        if row["measure"] in measures and row["value"] is not None:
            found = Interval(row["value"], row["value_low"], row["value_high"])
            parts.setdefault(row["model"], []).append(found)
    return {model: _mean(found) for model, found in parts.items() if len(found) == len(measures)}


def differences(pairs: Iterable[Row], measures: Sequence[str]) -> dict[tuple[str, str], Interval]:
    """Return the paired difference of the means over measures, by pair of models in both orders.

    Parameters
    ----------
    pairs : rows of the table `model_pairs`.
    measures : a pair that lacks an interval of one of them has no difference.
    """
    parts: dict[tuple[str, str], list[Interval]] = {}
    for row in pairs:
        low, high = row["difference_low"], row["difference_high"]
        if row["measure"] in measures and low is not None:
            value, first, second = row["difference"], row["model_a"], row["model_b"]
            parts.setdefault((first, second), []).append(Interval(value, low, high))
            parts.setdefault((second, first), []).append(Interval(-value, -high, -low))
    return {pair: _mean(found) for pair, found in parts.items() if len(found) == len(measures)}


def of_entries(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows with one for all runs of a training, under its first run: their mean.

    The ends of its interval are the means of the ends of the runs, by the argument above.

    Parameters
    ----------
    rows : of the table `leaderboard`.
    """
    of_entry: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        of_entry.setdefault((row["measure"], row.get("entry") or row["model"]), []).append(row)
    return [_mean_row(runs) for runs in of_entry.values()]


def _mean_row(runs: Sequence[Row]) -> dict[str, Any]:
    values = {}
    for column in ("value", "value_low", "value_high"):
        known = [run[column] for run in runs if run[column] is not None]
        values[column] = sum(known) / len(known) if len(known) == len(runs) else None
    first = min(runs, key=_run)
    return {**first, **values}


def _run(row: Row) -> int:
    return int(row.get("run") or 1)


def _mean(parts: Sequence[Interval]) -> Interval:
    count = len(parts)
    return Interval(
        sum(part.value for part in parts) / count,
        sum(part.low for part in parts) / count,
        sum(part.high for part in parts) / count,
    )
