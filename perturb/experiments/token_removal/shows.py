"""What the removal of tokens shows in a run."""

from perturb.experiments.sentences import Tables, accuracy_of, mean, plain_percent, rows_of
from perturb.formatting import listed

_WAYS = {"random": "at random", "low_attention": "by least attention"}


def most_removed(found: Tables) -> str:
    """Return mean accuracies with most patches removed, in each way, and the FLOPs that remain."""
    rows = rows_of(found, "token_removal")
    if not rows:
        return ""
    rate = max(row["drop_rate"] for row in rows)
    removed = [row for row in rows if row["drop_rate"] == rate]
    means = []
    for method, way in _WAYS.items():
        of = [row for row in removed if row["method"] == method]
        if of:
            means.append(f"{plain_percent(mean(of, 'accuracy'))} with patches removed {way}")
    return (
        f"With {removed[0]['drop_rate_label']} of the patches removed and "
        f"{plain_percent(mean(removed, 'flops_kept'))} of the FLOPs, "
        f"{accuracy_of(removed)} is {listed(means)}, against "
        f"{plain_percent(mean(removed, 'baseline_accuracy'))} with all patches."
    )
