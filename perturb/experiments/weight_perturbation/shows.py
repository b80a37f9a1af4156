"""What changed weights show in a run."""

from collections.abc import Sequence

from perturb.experiments.sentences import (
    Row,
    Tables,
    accuracy_of,
    capitalised,
    mean,
    plain_percent,
    rows_of,
)
from perturb.formatting import listed


def largest_changes(found: Tables) -> str:
    """Return mean accuracies under the largest noise and the coarsest rounding of the weights."""
    noise, rounding = rows_of(found, "weight_noise"), rows_of(found, "weight_rounding")
    means = []
    if noise:
        scale = max(row["noise_scale"] for row in noise)
        of = [row for row in noise if row["noise_scale"] == scale]
        means.append(f"{_mean(of)} with noise of {of[0]['noise_scale_label']} on the weights")
    if rounding:
        bits = min(row["bits"] for row in rounding)
        of = [row for row in rounding if row["bits"] == bits]
        means.append(f"{_mean(of)} with weights rounded to {bits} bits")
    rows = noise or rounding
    if not rows:
        return ""
    unchanged = plain_percent(mean(rows, "baseline_accuracy"))
    return (
        f"{capitalised(accuracy_of(rows))} is {unchanged} with unchanged weights, {listed(means)}."
    )


def _mean(rows: Sequence[Row]) -> str:
    return plain_percent(mean(rows, "accuracy"))
