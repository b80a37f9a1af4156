"""What the robustness benchmarks show in a run."""

from perturb.experiments.sentences import (
    Tables,
    accuracy_of,
    capitalised,
    mean,
    phrase,
    plain_percent,
    rows_of,
)
from perturb.formatting import listed


def mean_accuracies(found: Tables) -> str:
    """Return the mean accuracy of the models on each test set."""
    rows = rows_of(found, "accuracy")
    sets = dict.fromkeys((row["test_set"], row["test_set_label"]) for row in rows)
    if not sets:
        return ""
    means = listed(
        [
            f"{plain_percent(mean([row for row in rows if row['test_set'] == id], 'accuracy'))} on "
            f"{phrase(id, label)}"
            for id, label in sets
        ]
    )
    return f"{capitalised(accuracy_of(rows))} is {means}."
