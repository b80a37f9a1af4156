"""What the correlations of layers show in a run."""

from collections.abc import Sequence

from perturb.experiments.sentences import Row, Tables, known, mean, rows_of
from perturb.formatting import formatted, named


def similar_layers(found: Tables) -> str:
    """Return which network's blocks are most alike, and which least.

    By CKA over all tokens if it is measured: it is defined for all pairs of blocks of all networks.
    """
    rows = known(rows_of(found, "correlation_profile"), "value")
    if not rows:
        return ""
    measures = [row["measure"] for row in rows]
    measure = "cka_all" if "cka_all" in measures else measures[0]
    of = [row for row in rows if row["measure"] == measure]
    return (
        f"The mean similarity of a block to the others is {_span(of)}, by {of[0]['measure_label']}."
    )


def _span(rows: Sequence[Row]) -> str:
    models: dict[str, list[Row]] = {}
    for row in rows:
        models.setdefault(row["model"], []).append(row)
    values = {model: mean(of, "value") for model, of in models.items()}
    low, high = (choose(values, key=lambda model: values[model]) for choose in (min, max))
    ends = [
        f"{formatted(values[model], 'ratio')} ({named(models[model][0])})" for model in (low, high)
    ]
    return ends[0] if low == high else f"from {ends[0]} to {ends[1]}"
