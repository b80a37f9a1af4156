"""What rotations and translations show in a run."""

from perturb.experiments.sentences import Tables, accuracies, rows_of


def worst_and_mean(found: Tables) -> str:
    """Return the accuracies under the worst rotation and translation, and under a random one."""
    rows = rows_of(found, "spatial_accuracy")
    if not rows:
        return ""
    return (
        f"The worst rotation and translation of the grid leaves "
        f"{accuracies(rows, 'worst_of_grid')}; a random one, {accuracies(rows, 'grid_mean')}."
    )
