"""The one style of all charts: colour = family and size, shape = patch size, area = parameters.

With growing size, ResNets go from blue to green and ViTs from red to yellow, as in the paper; other
networks, which are not in the paper, are purple. The ramps are distinct for readers with
protanopia, deuteranopia or tritanopia (a test simulates them); the families also differ in shape
and position. Every chart takes its scales from the table of models, so that a model has the same
style everywhere.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

# From the smallest to the largest model of a family.
RAMPS = {
    "resnet": ("#26419c", "#2b70c0", "#2596bf", "#25ad9a", "#6dd28e"),
    "vit": ("#9c1a2b", "#cf3f2b", "#e9752b", "#f2a02f", "#f1cf48"),
    "other": ("#3a1636", "#881c7c", "#d0a1cb"),
}
# The order of families in legends and beside a tick.
FAMILIES = tuple(RAMPS)
# Colours of different changes of one model; a control is grey.
SERIES = ("#37415a", "#d9771f", "#149487")
CONTROL = "#8a919c"
# Width of a chart with its axes on the page, in px.
CHART_WIDTH = 1100
# ResNets have no patches; ViTs from the largest patch to the smallest.
RESNET_SHAPE = "circle"
OTHER_SHAPE = "triangle-left"
VIT_SHAPES = ("square", "diamond", "triangle-up", "cross", "triangle-down")
_AREAS = (45.0, 210.0)

FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
HEADER_SIZE = 13.5
INK = "#22262d"
_INK = {"text": INK, "quiet": "#5b6370", "grid": "#e4e6ea", "axis": "#9aa1ad"}


@dataclass(frozen=True)
class Style:
    """The styles of a study's architectures: parallel sequences, in legend order."""

    labels: list[str]
    families: list[str]
    colours: list[str]
    shapes: list[str]
    areas: list[float]

    def only(self, labels: Collection[str]) -> "Style":
        """Return the style of these architectures alone, unchanged."""
        kept = [at for at, label in enumerate(self.labels) if label in labels]
        return Style(**{name: [values[at] for at in kept] for name, values in vars(self).items()})


def style_of(models: pd.DataFrame) -> Style:
    """Return the style of every architecture in the table of models, without the reference.

    Parameters
    ----------
    models : the table `models`: architecture_label, family, size, patch_size, num_parameters,
        is_reference.
    """
    under_test = models[~models["is_reference"].astype(bool)]
    architectures = (
        under_test.groupby("architecture_label", sort=True)
        .agg({"family": "first", "size": "first", "patch_size": "first", "num_parameters": "max"})
        .reset_index()
        .assign(place=lambda frame: frame["family"].map(FAMILIES.index))
        .sort_values(["place", "num_parameters", "architecture_label"])
    )
    return Style(
        labels=architectures["architecture_label"].tolist(),
        families=architectures["family"].tolist(),
        colours=_colours(architectures),
        shapes=_shapes(architectures),
        areas=_areas_of(architectures["num_parameters"].tolist()),
    )


def ramp(family: str, count: int) -> list[str]:
    """Return `count` colours of a family, evenly spaced from its smallest to its largest model."""
    stops = RAMPS[family]
    if count == 1:
        return [stops[1]]
    return [between(stops, place / (count - 1)) for place in range(count)]


def nice_log_ticks(low: float, high: float) -> list[float]:
    """Return ticks at 1, 2 and 5 times powers of ten within [low, high]."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    within = [float(f"{tick:.6g}") for tick in ticks if low <= tick <= high]
    # A narrow range may lie between two of these ticks.
    return within or [float(f"{math.sqrt(low * high):.3g}")]


def config() -> dict[str, Any]:
    """Return the Vega-Lite configuration that all charts share."""
    quiet = {"labelColor": _INK["quiet"], "titleColor": _INK["text"]}
    return {
        "background": "white",
        "font": FONT,
        "view": {"stroke": _INK["axis"], "strokeWidth": 0.75},
        "axis": {
            **quiet,
            "gridColor": _INK["grid"],
            "domainColor": _INK["axis"],
            "tickColor": _INK["axis"],
            "labelFontSize": 12,
            "titleFontSize": 12.5,
            "titleFontWeight": "normal",
            "titlePadding": 8,
        },
        "legend": {**quiet, "labelFontSize": 12, "titleFontSize": 12, "symbolStrokeWidth": 0},
        "header": {
            "labelColor": _INK["text"],
            "labelFontSize": HEADER_SIZE,
            "labelFontWeight": 600,
            "labelPadding": 6,
        },
        "title": {"color": _INK["text"], "fontSize": 13.5, "fontWeight": 600},
    }


def _colours(architectures: pd.DataFrame) -> list[str]:
    """Return one colour per family and size, which the patch sizes share.

    Models of one network that differ in nothing else have a colour each.
    """
    alike = architectures.fillna({"patch_size": 0}).groupby(["family", "size", "patch_size"])
    keys = list(zip(architectures["family"], architectures["size"], alike.cumcount(), strict=True))
    colour_of: dict[tuple[str, str, int], str] = {}
    for family in FAMILIES:
        of_family = [key for key in dict.fromkeys(keys) if key[0] == family]
        colour_of |= zip(of_family, ramp(family, len(of_family)), strict=True)
    return [colour_of[key] for key in keys]


def _shapes(architectures: pd.DataFrame) -> list[str]:
    patches = sorted(architectures["patch_size"].dropna().unique(), reverse=True)
    shape_of = {patch: _at(VIT_SHAPES, place) for place, patch in enumerate(patches)}
    unpatched = {"other": OTHER_SHAPE}
    return [
        shape_of.get(patch, unpatched.get(family, RESNET_SHAPE))
        for family, patch in zip(architectures["family"], architectures["patch_size"], strict=True)
    ]


def _areas_of(num_parameters: Sequence[float]) -> list[float]:
    """Return areas that grow with the logarithm of the number of parameters."""
    low, high = math.log(min(num_parameters)), math.log(max(num_parameters))
    scale = (_AREAS[1] - _AREAS[0]) / (high - low) if high > low else 0.0
    return [round(_AREAS[0] + scale * (math.log(count) - low), 1) for count in num_parameters]


def _at(values: Sequence[str], place: int) -> str:
    return values[min(place, len(values) - 1)]


def between(stops: Sequence[str], place: float) -> str:
    """Return the colour at `place` in [0, 1] of a ramp through `stops`."""
    position = place * (len(stops) - 1)
    left = min(int(position), len(stops) - 2)
    pairs = zip(_rgb(stops[left]), _rgb(stops[left + 1]), strict=True)
    return _hex(a + (b - a) * (position - left) for a, b in pairs)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))


def _hex(channels: Iterable[float]) -> str:
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)
