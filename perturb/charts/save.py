"""A chart as files that need no network: interactive HTML, SVG, and PNG for slides."""

from pathlib import Path

import altair as alt

from perturb.files import replacing

PNG_SCALE = 2.0


def save_chart(chart: alt.TopLevelMixin, *, html: Path, svg: Path, png: Path) -> None:
    """Write a chart as HTML with its libraries inside, as SVG, and as PNG at twice its size."""
    with replacing(html) as temporary:
        chart.save(str(temporary), format="html", inline=True)
    with replacing(svg) as temporary:
        chart.save(str(temporary), format="svg")
    with replacing(png) as temporary:
        chart.save(str(temporary), format="png", scale_factor=PNG_SCALE)
