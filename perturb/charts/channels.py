"""What charts of single models share: how a model looks, its choice in the legend, percent axes."""

from typing import Any

import altair as alt

from perturb.charts.style import Look


def choice() -> alt.Parameter:
    """Return the selection of architectures in the legend, which singles them out."""
    return alt.selection_point(fields=["architecture_label"], bind="legend", name="chosen")


def identity(looks: Look) -> dict[str, Any]:
    """Return the encodings that tell architectures apart, with one legend for all."""
    legend = legend_of(looks)
    return {
        "color": alt.Color(
            "architecture_label:N",
            title=None,
            scale=alt.Scale(domain=looks.labels, range=looks.colours),
            legend=legend,
        ),
        "shape": alt.Shape(
            "architecture_label:N",
            title=None,
            scale=alt.Scale(domain=looks.labels, range=looks.shapes),
            legend=legend,
        ),
        "size": alt.Size(
            "architecture_label:O",
            title=None,
            # An ordinal scale takes each area as it is; the default would interpolate them.
            scale=alt.Scale(type="ordinal", domain=looks.labels, range=looks.areas),
            legend=legend,
        ),
    }


def legend_of(looks: Look) -> alt.Legend:
    """Return the legend of the architectures, below the chart."""
    count = len(looks.labels)
    columns = count if count <= 8 else -(-count // 2)
    return alt.Legend(orient="bottom", columns=columns, symbolOpacity=1, columnPadding=18)


def percent_axis(column: str, title: str) -> alt.Y:
    """Return the y axis of a fraction, from 0 to 100 %."""
    return alt.Y(
        f"{column}:Q",
        title=title,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(
            labelExpr="format(datum.value * 100, '.0f')", values=[0, 0.2, 0.4, 0.6, 0.8, 1]
        ),
    )
