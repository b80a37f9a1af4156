"""What the transfer of adversarial images shows in a run."""

from perturb.experiments.sentences import Row, Tables, interval_of, lost_points, rows_of
from perturb.formatting import listed

_FAMILIES = {"resnet": "ResNet", "vit": "ViT"}


def within_and_between(found: Tables) -> str:
    """Return what adversarial images of a family cost other models, at the largest epsilon."""
    rows = [row for row in rows_of(found, "transfer_means") if row["relation"] != "itself"]
    if not rows:
        return ""
    epsilon = max(row["epsilon"] for row in rows)
    costs = []
    for id, family in _FAMILIES.items():
        of = [row for row in rows if row["source_family"] == id and row["epsilon"] == epsilon]
        if of:
            targets = listed(
                [f"{_targets(row)} {lost_points(interval_of(row, 'accuracy_lost'))}" for row in of]
            )
            costs.append(f"those against a {family} cost {targets}")
    text = "; ".join(costs).replace("those against", "adversarial images against", 1)
    label = next(row["epsilon_label"] for row in rows if row["epsilon"] == epsilon)
    return f"At epsilon {label} {text}."


def _targets(row: Row) -> str:
    other = "other " if row["relation"] == "same family" else ""
    return f"{other}{_FAMILIES[row['target_family']]}s"
