"""Lines in heat maps of models: between families, and between pre-training sets."""

from collections.abc import Mapping
from itertools import pairwise

import altair as alt

from perturb.charts.style import INK

Groups = Mapping[str, tuple[str, int]]


def borders(rows: Groups, columns: Groups) -> list[alt.Chart]:
    """Return thick lines between families, and thin ones between pre-training sets.

    Parameters
    ----------
    rows, columns : family and rank of the pre-training set of each label, in the order of the
        heat map.
    """
    upright = [
        _line(width).encode(x=alt.XDatum(label, bandPosition=0))
        for label, width in _starts(columns)
    ]
    level = [
        _line(width).encode(y=alt.YDatum(label, bandPosition=0)) for label, width in _starts(rows)
    ]
    return upright + level


def _starts(groups: Groups) -> list[tuple[str, float]]:
    """Return the labels at which a new group begins, and the width of the line there."""
    return [
        (label, 3.0 if family != family_before else 1.0)
        for (_, (family_before, rank_before)), (label, (family, rank)) in pairwise(groups.items())
        if (family, rank) != (family_before, rank_before)
    ]


def _line(width: float) -> alt.Chart:
    line: alt.Chart = alt.Chart().mark_rule(color=INK, strokeWidth=width)
    return line
