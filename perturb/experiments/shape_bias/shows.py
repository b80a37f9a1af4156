"""What images with conflicting shape and texture show in a run."""

from perturb.experiments.sentences import (
    Tables,
    interval_of,
    known,
    part,
    rows_of,
    span,
)


def shape_or_texture(found: Tables) -> str:
    """Return how many models prefer the shape, how many the texture, and the range of the bias."""
    rows = known(rows_of(found, "shape_bias"), "shape_bias")
    if not rows:
        return ""
    values = [interval_of(row, "shape_bias") for row in rows]
    shape, texture = (
        sum(value.low > 0.5 for value in values),
        sum(value.high < 0.5 for value in values),
    )
    who, others = (part(count, len(rows), "models") for count in (shape, texture))
    return (
        f"The interval of shape bias lies above one half, for the shape, for {who}, and below, for "
        f"the texture, for {others}: it is {span(rows, 'shape_bias')}."
    )
