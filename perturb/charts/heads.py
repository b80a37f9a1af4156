"""Which attention heads a model needs: what it loses without each, one at a time."""

import altair as alt
import pandas as pd

from perturb.charts.panels import Panel, Size, panels
from perturb.charts.shading import FINE, signed
from perturb.charts.style import look
from perturb.charts.tooltips import IMAGES, MODEL, count, interval, number

_SIZE = Size(widest=260, least=130, height=120, axis=20)
_TICK = 24  # least distance of two numbers on an axis, in px
_TOOLTIP = [
    *MODEL,
    count("block", "Block"),
    count("head", "Head"),
    *interval("drop", "Lost"),
    number("accuracy", "Accuracy without the head", ".1%"),
    number("baseline_accuracy", "Accuracy of the whole model", ".1%"),
    IMAGES,
]


def heads(lost: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return blocks x heads, a panel a model: the accuracy that goes with each head.

    Parameters
    ----------
    lost : the table `heads`.
    models : the table `models`.
    """
    shades = signed("drop", lost["drop"], "Accuracy lost (percentage points)")

    def layers(rows: pd.DataFrame, panel: Panel) -> list[alt.Chart]:
        blocks, each = int(rows["block"].max()) + 1, int(rows["head"].max()) + 1
        base = alt.Chart().encode(
            x=alt.X("block:O", title="Block", axis=indices(blocks, panel.width)),
            y=alt.Y(
                "head:O",
                title="Head" if panel.is_first else None,
                axis=indices(each, panel.height),
            ),
            tooltip=_TOOLTIP,
        )
        width, height = panel.width / blocks, panel.height / each
        is_fine = min(width, height) < FINE
        return [shades.boxes(base, is_fine=is_fine), *shades.numbers(base, width, height)]

    return panels(lost, look(models).labels, layers, size=_SIZE)


def indices(count: int, length: float) -> alt.Axis:
    """Return the axis of indices from 0, as many of them named as fit into the length, in px."""
    step = -(-count * _TICK // int(length))
    values = list(range(0, count, step))
    return alt.Axis(values=values, labelAngle=0, ticks=False, domain=False)
