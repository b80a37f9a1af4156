"""The paper's Figure 9: attention among fewer patches."""

import altair as alt
import pandas as pd

from perturb.charts.curves import Curves, curves
from perturb.charts.style import CONTROL, SERIES
from perturb.charts.tooltips import IMAGES, MODEL, count, interval, number, text

_BASELINE = number("baseline_accuracy", "Accuracy of the unchanged model", ".1%")


def restricted_attention(restricted: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy over how far patches may attend, and with as many pairs masked at random.

    Parameters
    ----------
    restricted : the table `restricted_attention`.
    models : the table `models`.
    """
    tooltip = [
        *MODEL,
        text("control_label", "Attention"),
        count("distance", "Largest distance (patches)"),
        number("distance_fraction", "Share of the grid", ".0%"),
        *interval("accuracy", "Accuracy"),
        number("accuracy_min", "Least of the seeds", ".1%"),
        number("accuracy_max", "Most of the seeds", ".1%"),
        _BASELINE,
        count("num_seeds", "Seeds"),
        IMAGES,
    ]
    what = Curves(
        "distance_fraction",
        "Reach of attention (% of the grid)",
        way="control",
        ways={"window": SERIES[2], "permuted": CONTROL},
        is_fraction=True,
        is_falling=True,
        spread=("accuracy_min", "accuracy_max"),
    )
    return curves(restricted, models, what, tooltip)


def patch_attention(isolated: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy over the number of blocks in which patches attend to no other patch.

    Parameters
    ----------
    isolated : the table `patch_attention`.
    models : the table `models`.
    """
    tooltip = [
        *MODEL,
        text("place_label", "Restricted"),
        count("num_blocks_restricted", "Blocks"),
        *interval("accuracy", "Accuracy"),
        _BASELINE,
        IMAGES,
    ]
    what = Curves(
        "num_blocks_restricted",
        "Number of restricted blocks",
        way="place",
        ways={"first": SERIES[1], "last": SERIES[2]},
    )
    return curves(_with_none(isolated), models, what, tooltip)


def _with_none(isolated: pd.DataFrame) -> pd.DataFrame:
    """Return the curves with their start: no block restricted, which is the unchanged model."""
    starts = isolated[isolated["num_blocks_restricted"] > 0].drop_duplicates(["model", "place"])
    ends = {f"accuracy{end}": starts[f"baseline_accuracy{end}"] for end in ("", "_low", "_high")}
    starts = starts.assign(num_blocks_restricted=0, **ends)
    known = isolated.loc[isolated["num_blocks_restricted"] == 0, ["model", "place"]]
    is_known = pd.MultiIndex.from_frame(starts[["model", "place"]]).isin(
        pd.MultiIndex.from_frame(known)
    )
    return pd.concat([starts[~is_known], isolated], ignore_index=True)
