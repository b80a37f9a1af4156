"""What several training runs of the same models show in a run."""

from collections.abc import Sequence
from statistics import median

from perturb.experiments.sentences import Row, Tables, known, rows_of, within
from perturb.formatting import formatted


def spread_between_runs(found: Tables) -> str:
    """Return the test sets on which runs of a model differ least and most."""
    rows = known(rows_of(found, "training_runs"), "run_deviation")
    sets: dict[str, list[Row]] = {}
    for row in rows:
        sets.setdefault(row["test_set"], []).append(row)
    if not sets:
        return ""
    least, most = (choose(sets.values(), key=_deviation) for choose in (min, max))
    num_models = max(len(of) for of in sets.values())
    over = f", in the median over {num_models:,} models," if num_models > 1 else ""
    span = _spoken(least) if least is most else f"from {_spoken(least)} to {_spoken(most)}"
    return f"The standard deviation between runs of a model is{over} {span}."


def _deviation(rows: Sequence[Row]) -> float:
    return float(median(row["run_deviation"] for row in rows))


def _spoken(rows: Sequence[Row]) -> str:
    value = formatted(_deviation(rows), "percent")
    return f"{value} points ({within(rows[0]['test_set_label'])})"
