"""The paper's Figure 8: accuracy without blocks or parts of them, and without single heads."""

import altair as alt
import pandas as pd

from perturb.charts.channels import indices
from perturb.charts.curves import Curves, curves
from perturb.charts.panels import Panel, Size, panels
from perturb.charts.shading import FINE, signed
from perturb.charts.style import SERIES, style_of
from perturb.charts.tooltips import BASELINE, IMAGES, MODEL, count, interval, number, text

_PARTS = dict(zip(("block", "mlp", "attention"), SERIES, strict=True))
_HEADS_SIZE = Size(widest=260, least=130, height=120, axis=20)
_HEADS_TOOLTIP = [
    *MODEL,
    count("block", "Block"),
    count("head", "Head"),
    *interval("drop", "Lost"),
    number("accuracy", "Accuracy without the head", ".1%"),
    BASELINE,
    IMAGES,
]


def lesions_single(single: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy by the index of the block that is removed, entirely or in part."""
    tooltip = [
        *MODEL,
        text("part_label", "Removed"),
        count("block", "Index of the block"),
        *interval("accuracy", "Accuracy"),
        BASELINE,
        # Titles must differ: of two tooltip lines with one title, only the second is shown.
        number("drop", "Lost", ".1%"),
        number("drop_low", "Lost, 95 % low", ".1%"),
        number("drop_high", "Lost, 95 % high", ".1%"),
        IMAGES,
    ]
    what = Curves("block", "Index of the removed block", way="part", ways=_PARTS)
    return curves(single, models, what, tooltip)


def lesions(removed: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy by the number of removed blocks or parts of blocks.

    Bars are the standard error over random sets of that number.
    """
    ends = {
        "error_low": removed["accuracy"] - removed["accuracy_se"],
        "error_high": removed["accuracy"] + removed["accuracy_se"],
    }
    tooltip = [
        *MODEL,
        text("part_label", "Removed"),
        count("num_removed", "How many"),
        number("removed_share", "Fraction of the blocks", ".0%"),
        *interval("accuracy", "Accuracy, mean"),
        number("accuracy_se", "Standard error", ".2%"),
        number("accuracy_min", "Least", ".1%"),
        number("accuracy_max", "Most", ".1%"),
        BASELINE,
        count("num_samples", "Sets of blocks"),
        IMAGES,
    ]
    what = Curves(
        "num_removed",
        "Number of removed blocks",
        way="part",
        ways=_PARTS,
        bars=("error_low", "error_high"),
        spread=("accuracy_min", "accuracy_max"),
    )
    return curves(removed.assign(**ends), models, what, tooltip)


def heads(lost: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return blocks x heads, one panel per model: the accuracy lost without each head."""
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
            tooltip=_HEADS_TOOLTIP,
        )
        width, height = panel.width / blocks, panel.height / each
        is_fine = min(width, height) < FINE
        return [shades.boxes(base, is_fine=is_fine), *shades.numbers(base, width, height)]

    return panels(lost, style_of(models).labels, layers, size=_HEADS_SIZE)
