"""The paper's Figure 9: accuracy under restricted attention."""

import altair as alt
import pandas as pd

from perturb.charts.curves import Curves, curves
from perturb.charts.style import CONTROL, SERIES
from perturb.charts.tooltips import BASELINE, IMAGES, MODEL, count, interval, number, text


def restricted_attention(restricted: pd.DataFrame, models: pd.DataFrame) -> alt.ConcatChart:
    """Return accuracy over the distance of attention, and with as many pairs masked at random."""
    tooltip = [
        *MODEL,
        text("control_label", "Attention"),
        count("distance", "Largest distance (patches)"),
        number("distance_fraction", "Fraction of the grid", ".0%"),
        *interval("accuracy", "Accuracy"),
        number("accuracy_min", "Minimum over seeds", ".1%"),
        number("accuracy_max", "Maximum over seeds", ".1%"),
        BASELINE,
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
    """Return accuracy over the number of blocks without attention between different patches."""
    tooltip = [
        *MODEL,
        text("place_label", "Restricted"),
        count("num_blocks_restricted", "Blocks"),
        *interval("accuracy", "Accuracy"),
        BASELINE,
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
    """Return the rows with the unchanged model added at 0 restricted blocks."""
    starts = isolated[isolated["num_blocks_restricted"] > 0].drop_duplicates(["model", "place"])
    ends = {f"accuracy{end}": starts[f"baseline_accuracy{end}"] for end in ("", "_low", "_high")}
    starts = starts.assign(num_blocks_restricted=0, **ends)
    known = isolated.loc[isolated["num_blocks_restricted"] == 0, ["model", "place"]]
    is_known = pd.MultiIndex.from_frame(starts[["model", "place"]]).isin(
        pd.MultiIndex.from_frame(known)
    )
    return pd.concat([starts[~is_known], isolated], ignore_index=True)
