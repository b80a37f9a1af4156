"""Mean accuracy of a model over the test sets that perturb images, and differences of such means.

The mean weighs every test set alike. The ends of its interval are the means of the ends of the test
sets' intervals: test sets may share images, and the standard error of a mean is at most the mean of
the standard errors, however the test sets depend on each other. The interval covers at least as
often as theirs do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]

# Fractions that are no accuracy on perturbed images, though larger is better.
_NOT_OF_PERTURBED_IMAGES = ("clean", "shape_bias", "lesion_half_life")


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


def is_perturbed_accuracy(row: Row) -> bool:
    """Return whether a row of the table `leaderboard` is an accuracy on perturbed images."""
    is_accuracy = row["unit"] == "fraction" and row["is_better_high"]
    return bool(is_accuracy and row["measure"] not in _NOT_OF_PERTURBED_IMAGES)


def averaged_measures(rows: Sequence[Row]) -> list[str]:
    """Return the measures, in order, that a mean over perturbed images consists of.

    They are those that every model has; if there is none, those of the most models.

    Parameters
    ----------
    rows : of the table `leaderboard`.
    """
    models: dict[str, set[str]] = {}
    for row in rows:
        if is_perturbed_accuracy(row) and row["value"] is not None:
            models.setdefault(row["measure"], set()).add(row["model"])
    most = max(map(len, models.values()), default=0)
    return [measure for measure, found in models.items() if len(found) == most]


def perturbed_means(rows: Sequence[Row]) -> dict[str, Interval]:
    """Return the mean accuracy under perturbation of every model that has all of its measures."""
    measures = averaged_measures(rows)
    parts: dict[str, list[Interval]] = {}
    for row in rows:
        if row["measure"] in measures and row["value"] is not None:
            found = Interval(row["value"], *_ends(row, "value"))
            parts.setdefault(row["model"], []).append(found)
    return {model: _mean(found) for model, found in parts.items() if len(found) == len(measures)}


def differences(pairs: Iterable[Row], measures: Sequence[str]) -> dict[tuple[str, str], Interval]:
    """Return the paired difference of the means over measures, by pair of models in both orders.

    Parameters
    ----------
    pairs : rows of the table `model_pairs`.
    measures : a pair that lacks one of them has no difference.
    """
    parts: dict[tuple[str, str], list[Interval]] = {}
    for row in pairs:
        if row["measure"] in measures and row["difference"] is not None:
            low, high = _ends(row, "difference")
            value, first, second = row["difference"], row["model_a"], row["model_b"]
            parts.setdefault((first, second), []).append(Interval(value, low, high))
            parts.setdefault((second, first), []).append(Interval(-value, -high, -low))
    return {pair: _mean(found) for pair, found in parts.items() if len(found) == len(measures)}


def _ends(row: Row, column: str) -> tuple[float, float]:
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    return (row[column] if low is None else low), (row[column] if high is None else high)


def _mean(parts: Sequence[Interval]) -> Interval:
    count = len(parts)
    return Interval(
        sum(part.value for part in parts) / count,
        sum(part.low for part in parts) / count,
        sum(part.high for part in parts) / count,
    )
