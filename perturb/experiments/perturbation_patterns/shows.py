"""What the patterns of adversarial perturbations show in a run."""

from perturb.experiments.sentences import (
    Tables,
    interval_of,
    known,
    part,
    ratio,
    rows_of,
    span,
)


def at_borders_of_patches(found: Tables) -> str:
    """Return for how many ViTs perturbations change more across borders of patches than inside."""
    rows = known(rows_of(found, "perturbation_patterns", is_own_patch=True), "border_ratio_low")
    if not rows:
        return ""
    higher = sum(interval_of(row, "border_ratio").low > 1 for row in rows)
    return (
        f"On the grid of a ViT's own patches perturbations change more across borders than inside, "
        f"by intervals that exclude 1, for {part(higher, len(rows), 'ViTs')}: the ratio is "
        f"{span(rows, 'border_ratio', ratio, noun='ViTs')}."
    )
