"""The paper's Figure 8: accuracy without one block or part of it, and without several."""

import altair as alt
import pandas as pd

from perturb.charts.curves import Curves, curves
from perturb.charts.style import SERIES
from perturb.charts.tooltips import IMAGES, MODEL, count, interval, number, text

_PARTS = dict(zip(("block", "mlp", "attention"), SERIES, strict=True))
_BASELINE = number("baseline_accuracy", "Accuracy of the whole model", ".1%")


def lesions_single(single: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy by the index of the one block that is removed, or whose part is.

    Parameters
    ----------
    single : the table `lesions_single`.
    models : the table `models`.
    """
    tooltip = [
        *MODEL,
        text("part_label", "Removed"),
        count("block", "Index of the block"),
        *interval("accuracy", "Accuracy"),
        _BASELINE,
        # Titles must differ: of two lines of one title, readers see the second alone.
        number("drop", "Lost", ".1%"),
        number("drop_low", "Lost, 95 % low", ".1%"),
        number("drop_high", "Lost, 95 % high", ".1%"),
        IMAGES,
    ]
    what = Curves("block", "Index of the removed block", way="part", ways=_PARTS)
    return curves(single, models, what, tooltip)


def lesions(removed: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy by the number of blocks, or parts of blocks, that are removed at once.

    Parameters
    ----------
    removed : the table `lesions`; bars are the standard error over random sets of that number.
    models : the table `models`.
    """
    ends = {
        "error_low": removed["accuracy"] - removed["accuracy_se"],
        "error_high": removed["accuracy"] + removed["accuracy_se"],
    }
    tooltip = [
        *MODEL,
        text("part_label", "Removed"),
        count("num_removed", "How many"),
        number("removed_share", "Share of the blocks", ".0%"),
        *interval("accuracy", "Accuracy, mean"),
        number("accuracy_se", "Standard error", ".2%"),
        number("accuracy_min", "Least", ".1%"),
        number("accuracy_max", "Most", ".1%"),
        _BASELINE,
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
