"""What the correlations of layers show in a run."""

from perturb.experiments.sentences import Interval, Row, Tables, grouped, known, mean, rows_of, span
from perturb.formatting import formatted


def similar_layers(found: Tables) -> str:
    """Return which network's blocks are most alike, and which least.

    By CKA over all tokens if it is measured: it is defined for all pairs of blocks of all networks.
    """
    rows = known(rows_of(found, "correlation_profile"), "value")
    if not rows:
        return ""
    measures = [row["measure"] for row in rows]
    measure = "cka_all" if "cka_all" in measures else measures[0]
    models = grouped([row for row in rows if row["measure"] == measure], "model")
    means = [_mean_of(of) for of in models.values()]
    by = means[0]["measure_label"]
    return f"The mean similarity of a block to the others is {span(means, 'mean', _said)}, by {by}."


def _mean_of(rows: list[Row]) -> Row:
    value = mean(rows, "value")
    return {**rows[0], "mean": value, "mean_low": value, "mean_high": value}


def _said(value: Interval) -> str:
    return formatted(value.value, "ratio")
