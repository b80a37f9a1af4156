"""Rows of the tables `leaderboard` and `model_pairs`, as the page and its first chart read them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perturb.experiments import registry
from perturb.experiments.sentences import Interval

Row = Mapping[str, Any]

CLEAN = "clean"
# The mean accuracy over test sets of perturbed images; `relations/perturbed_means.sql` makes it.
MEAN = "perturbed"


def is_accuracy(measure: str) -> bool:
    """Return whether a measure is the accuracy on a test set."""
    declared = registry.measures().get(measure)
    # Datasets without a role are not declared.
    return declared is None or bool(declared.test_sets)


def averaged_measures(rows: Sequence[Row]) -> list[str]:
    """Return the measures, in order, that the mean under perturbation consists of.

    Parameters
    ----------
    rows : of the table `leaderboard`.
    """
    return list(dict.fromkeys(row["measure"] for row in rows if row["is_averaged"]))


def mean_measure(rows: Sequence[Row]) -> str | None:
    """Return the mean under perturbation, or its only part; None without either."""
    parts = averaged_measures(rows)
    return MEAN if len(parts) > 1 else next(iter(parts), None)


def values_of(rows: Sequence[Row], measure: str | None) -> dict[str, Interval]:
    """Return the values of a measure by model, of those that have one."""
    return {
        row["model"]: Interval(row["value"], row["value_low"], row["value_high"])
        for row in rows
        if row["measure"] == measure and row["value"] is not None
    }


def differences(pairs: Iterable[Row], measure: str | None) -> dict[tuple[str, str], Interval]:
    """Return the differences of a measure, by pair of models in both orders.

    Parameters
    ----------
    pairs : rows of the table `model_pairs`; one without an interval has no difference.
    """
    found = {}
    for row in pairs:
        low, high = row["difference_low"], row["difference_high"]
        if row["measure"] == measure and low is not None:
            value, first, second = row["difference"], row["model_a"], row["model_b"]
            found[first, second] = Interval(value, low, high)
            found[second, first] = Interval(-value, -high, -low)
    return found


def of_entries(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows with one for all runs of a training, under its first run: their mean.

    Parameters
    ----------
    rows : of the table `leaderboard`.
    """
    firsts: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: int(row["run"] or 1)):
        firsts.setdefault((row["measure"], row["entry"] or row["model"]), row)
    kept = {id(row) for row in firsts.values()}
    ends = ("value", "value_low", "value_high")
    return [
        {**row, **{end: row[f"entry_{end}"] for end in ends}} for row in rows if id(row) in kept
    ]
