"""What several training runs of the same models show in a run."""

from collections.abc import Sequence
from statistics import median

from perturb.experiments.sentences import Row, Tables, grouped, known, phrase, rows_of
from perturb.formatting import formatted


def spread_between_runs(found: Tables) -> str:
    """Return the test sets on which runs of a model differ least and most."""
    sets = grouped(known(rows_of(found, "training_runs"), "run_deviation"), "test_set")
    if not sets:
        return ""
    least, most = (choose(sets.values(), key=_deviation) for choose in (min, max))
    num_models = max(len(of) for of in sets.values())
    over = f", in the median over {num_models:,} models," if num_models > 1 else ""
    span = f"from {_spoken(least)} to {_spoken(most)}"
    if _deviation(least) == _deviation(most):
        span = _spoken(least) if len(sets) == 1 else f"{_points(least)} on each test set"
    return f"The standard deviation between runs of a model is{over} {span}."


def _deviation(rows: Sequence[Row]) -> float:
    return float(median(row["run_deviation"] for row in rows))


def _spoken(rows: Sequence[Row]) -> str:
    return f"{_points(rows)} ({phrase(rows[0]['test_set'], rows[0]['test_set_label'])})"


def _points(rows: Sequence[Row]) -> str:
    return f"{formatted(_deviation(rows), 'percent')} points"
