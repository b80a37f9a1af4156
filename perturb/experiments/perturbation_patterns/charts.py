"""Figure 5 as numbers: perturbations at the borders of patches and on the object.

Each patch grid shows the ViTs of this patch size, and the ResNets, which have no patches: their
ratio on the grid is the effect of the images alone.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from perturb.charts.by_pretraining import SPACING, Y_AXIS, Value, by_pretraining
from perturb.charts.channels import choice
from perturb.charts.style import CHART_WIDTH, config
from perturb.charts.tooltips import IMAGES, MODEL, PARAMETERS, interval, text

_EMPTY = "No perturbation has a ratio here."
_BETWEEN = 24  # distance between the panels of the two measures, in px
_TOOLTIP = [
    *MODEL,
    text("panel", "Measured on"),
    *interval("ratio", "Ratio", ".2f"),
    IMAGES,
    PARAMETERS,
]


def pattern_alignment(patterns: pd.DataFrame, models: pd.DataFrame) -> alt.HConcatChart:
    """Return the ratios at patch borders, one panel per patch size, and those on the object."""
    is_own = patterns["is_own_patch"].fillna(False).astype(bool)
    shown = patterns[is_own | patterns["patch_size"].isna()].sort_values("patch_px", kind="stable")
    borders = _panel(shown, "border_ratio").assign(
        panel=shown["patch_px"].map("Borders of {:.0f} px patches".format)
    )
    objects = _panel(shown.drop_duplicates("model"), "foreground_ratio").assign(
        panel="On the object"
    )
    # Images without an object mask do not count here.
    objects = objects.assign(num_images=objects["num_foregrounds"]).dropna(subset="ratio")
    shares = [
        (borders, "Change at borders over inside"),
        (objects, "Strength there over elsewhere"),
    ]
    shares = [(rows, title) for rows, title in shares if len(rows)] or shares[:1]
    parts = [
        by_pretraining(
            rows,
            models,
            Value("ratio", title, panel="panel", empty=_EMPTY, is_fraction=False, reference=1.0),
            tooltip=_TOOLTIP,
            width=width,
        )
        for (rows, title), width in zip(shares, _widths([rows for rows, _ in shares]), strict=True)
    ]
    parts[0] = parts[0].add_params(choice())
    chart: alt.HConcatChart = (
        alt.hconcat(*parts, spacing=_BETWEEN)
        # Positions next to a tick depend on the panel's width.
        .resolve_scale(xOffset="independent")
        .configure(**config())
    )
    return chart


def _widths(parts: Sequence[pd.DataFrame]) -> list[float]:
    """Return the width of each part, in px, for panels of equal width."""
    counts = [rows["panel"].nunique() for rows in parts]
    axes = len(parts) * (Y_AXIS - SPACING) + (len(parts) - 1) * _BETWEEN
    panel = (CHART_WIDTH - axes) / max(1, sum(counts)) - SPACING
    return [count * (panel + SPACING) - SPACING + Y_AXIS for count in counts]


def _panel(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows with one of the measures as the column `ratio`."""
    ends = ("", "_low", "_high")
    ratios = {f"ratio{end}": rows[f"{column}{end}"] for end in ends}
    others = [f"{other}{end}" for other in ("border_ratio", "foreground_ratio") for end in ends]
    return rows.drop(columns=others).assign(**ratios)
