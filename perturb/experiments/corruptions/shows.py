"""What the corruptions show in a run."""

from perturb.experiments import registry
from perturb.experiments.sentences import Tables, accuracy_of, grouped, known, mean, rows_of, within
from perturb.formatting import formatted


def most_and_least_costly(found: Tables) -> str:
    """Return the corruptions that cost most and least accuracy, means over models."""
    rows = known(rows_of(found, "corruption_means"), "clean_accuracy")
    costs = {
        corruption: mean([{"cost": row["clean_accuracy"] - row["accuracy"]} for row in of], "cost")
        for corruption, of in grouped(rows, "corruption").items()
    }
    if not costs:
        return ""
    most, least = (choose(costs, key=lambda name: costs[name]) for choose in (max, min))
    whose = accuracy_of(rows)
    if costs[most] == costs[least]:
        which = _label(most) if len(costs) == 1 else f"Each of {len(costs):,} corruptions"
        return f"{which} changes {whose} by {_points(-costs[most])} points."
    return (
        f"Of {len(costs):,} corruptions {within(_label(most))} is the hardest and "
        f"{within(_label(least))} the easiest: they change {whose} by {_points(-costs[most])} and "
        f"{_points(-costs[least])} points."
    )


def _label(corruption: str) -> str:
    return registry.perturbations()["corruptions"].condition_label(corruption)


def _points(value: float) -> str:
    return formatted(value, "points")
