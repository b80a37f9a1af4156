"""The paper's Figure 4: error against model size, with a straight line per family and test set."""

import math

import altair as alt
import pandas as pd

from perturb.charts.channels import faded
from perturb.charts.style import between, config, nice_log_ticks, style_of

FAMILY_NAMES = {"resnet": "ResNet", "vit": "ViT", "other": "other"}
# ResNets light, ViTs dark, other networks between; one hue per test set, similar to the paper.
_PAIRS = {
    "natural_adversarial": ("#f2b134", "#c2571a"),
    "renditions": ("#e06fc3", "#7b3fa8"),
    "corruptions": ("#4cc38a", "#0f7a78"),
    "clean": ("#b9a08c", "#6b3a3f"),
    "clean_part": ("#8f7a66", "#a0686d"),
}
_OTHER_PAIRS = [("#7aa6e8", "#2a4d9b"), ("#a9b0ba", "#4a515c")]
_GREY = "#8a919c"
_TOOLTIP = [
    alt.Tooltip("architecture_label:N", title="Model"),
    alt.Tooltip("pretraining_label:N", title="Pre-training"),
    alt.Tooltip("test_set_label:N", title="Test set"),
    alt.Tooltip("num_parameters:Q", title="Parameters", format=","),
    alt.Tooltip("error:Q", title="Error", format=".1%"),
    alt.Tooltip("error_low:Q", title="95 % low", format=".1%"),
    alt.Tooltip("error_high:Q", title="95 % high", format=".1%"),
    alt.Tooltip("fitted_error:Q", title="Error of the line", format=".1%"),
    alt.Tooltip("num_images:Q", title="Images", format=","),
]


def model_size(points: pd.DataFrame, models: pd.DataFrame) -> alt.LayerChart:
    """Return error over parameters, log-log, with the fitted lines."""
    points = _with_clean_part(points)
    # A logarithmic axis cannot show an error of zero.
    points = points[points["error"] > 0].assign(
        family_label=lambda frame: frame["family"].map(FAMILY_NAMES).fillna(frame["family"]),
        series=lambda frame: frame["test_set_label"] + " " + frame["family_label"],
        shape_label=_shape_labels,
        error_floor=lambda frame: frame["error_low"].clip(lower=frame["error"] / 10),
    )
    colours = _series_colours(points)
    shapes = _shape_scale(points, models)
    chosen = alt.selection_point(fields=["series"], bind="legend", name="chosen")
    base = alt.Chart(points).encode(
        x=_x(points),
        color=alt.Color(
            "series:N",
            title=None,
            scale=alt.Scale(domain=list(colours), range=list(colours.values())),
            legend=alt.Legend(symbolType="circle", symbolOpacity=1, symbolSize=90, labelLimit=320),
        ),
        opacity=faded(chosen, 0.95, 0.1),
    )
    lines = (
        base.transform_filter("datum.is_fitted && isValid(datum.fitted_error)")
        .mark_line(strokeWidth=2.2)
        .encode(y=_y(points, "fitted_error"))
    )
    bars = base.mark_rule(strokeWidth=1.3).encode(
        y=_y(points, "error_floor"), y2=alt.Y2("error_high:Q")
    )
    marks = base.encode(
        y=_y(points),
        shape=alt.Shape(
            "shape_label:N",
            title=None,
            scale=alt.Scale(domain=list(shapes), range=list(shapes.values())),
            legend=alt.Legend(symbolFillColor=_GREY, symbolStrokeColor=_GREY, symbolSize=90),
        ),
        size=alt.SizeValue(75),
        tooltip=_TOOLTIP,
    )
    fitted = marks.transform_filter("datum.is_fitted").mark_point(filled=True)
    hollow = marks.transform_filter("!datum.is_fitted").mark_point(strokeWidth=1.6)
    chart: alt.LayerChart = (
        alt.layer(bars, lines, fitted.add_params(chosen), hollow)
        .properties(width=600, height=430)
        .configure(**config())
    )
    return chart


def _with_clean_part(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points with the clean errors on the images of partial clean sets.

    No line is fitted through these; they are compared with the test set's own points.
    """
    whole = set(points.loc[points["test_set"] == "clean", "num_images"])
    part = points[points["clean_error"].notna() & ~points["num_images"].isin(whole)]
    part = part.drop_duplicates(["model", "num_images"])
    labels = [f"Clean, same {size:,} images" for size in part["num_images"]]
    ends = {f"error{end}": part[f"clean_error{end}"] for end in ("", "_low", "_high")}
    part = part.assign(test_set="clean_part", test_set_label=labels, **ends)
    part = part.assign(is_fitted=False, fitted_error=math.nan)
    return pd.concat([points, part], ignore_index=True) if len(part) else points


def _x(points: pd.DataFrame) -> alt.X:
    low, high = points["num_parameters"].min() / 1.25, points["num_parameters"].max() * 1.25
    return alt.X(
        "num_parameters:Q",
        title="Model size (parameters)",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=nice_log_ticks(low, high), format="~s"),
    )


def _y(points: pd.DataFrame, field: str = "error") -> alt.Y:
    low, high = points["error_floor"].min() / 1.1, min(1.0, points["error_high"].max() * 1.1)
    return alt.Y(
        f"{field}:Q",
        title="Error (%)",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=_error_ticks(low, high), labelExpr="format(datum.value * 100, '~g')"),
    )


def _error_ticks(low: float, high: float) -> list[float]:
    """Return ticks at every tenth where errors are large, at 1, 2, 5 times powers of ten below."""
    small = [tick for tick in nice_log_ticks(low, high) if tick < 0.1]
    return small + [tenth / 10 for tenth in range(1, 11) if low <= tenth / 10 <= high]


def _series_colours(points: pd.DataFrame) -> dict[str, str]:
    """Return the colour of every series, from the hardest test set to the easiest."""
    spare = list(_OTHER_PAIRS)
    colours = {}
    for test_set in reversed(list(dict.fromkeys(points["test_set"]))):
        rows = points[points["test_set"] == test_set]
        pair = _PAIRS.get(test_set) or (spare.pop(0) if len(spare) > 1 else spare[0])
        colours_of = {"resnet": pair[0], "vit": pair[1], "other": between(pair, 0.5)}
        for family, colour in colours_of.items():
            labels = rows.loc[rows["family"] == family, "series"]
            colours.update(dict.fromkeys(labels.unique(), colour))
    return colours


def _shape_labels(points: pd.DataFrame) -> pd.Series:
    patch = points["patch_size"].map(lambda size: "" if pd.isna(size) else f", patch {size:.0f}")
    return points["family_label"] + patch


def _shape_scale(points: pd.DataFrame, models: pd.DataFrame) -> dict[str, str]:
    """Return the shape of every family and patch size in the chart."""
    looks = style_of(models)
    shape_of = dict(zip(looks.labels, looks.shapes, strict=True))
    rows = points.sort_values(["family", "patch_size"], ascending=[True, False])
    return {
        label: shape_of[architecture]
        for label, architecture in zip(rows["shape_label"], rows["architecture_label"], strict=True)
    }
