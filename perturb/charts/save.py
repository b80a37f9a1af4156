"""A chart as files that need no network: interactive HTML, SVG, and PNG for slides."""

from pathlib import Path

import altair as alt
import vl_convert

from perturb.files import replacing

PNG_SCALE = 2.0


def save_chart(chart: alt.TopLevelMixin, *, html: Path, svg: Path, png: Path) -> None:
    """Write a chart as HTML with its libraries inside, as SVG, and as PNG at twice its size."""
    # Once for all: of charts with many parts, the specification takes longer than the drawing.
    spec = chart.to_dict()
    picture = vl_convert.vegalite_to_svg(spec)
    with replacing(html) as temporary:
        page = vl_convert.vegalite_to_html(spec, bundle=True)
        temporary.write_text(page, encoding="utf-8")
    with replacing(svg) as temporary:
        temporary.write_text(picture, encoding="utf-8")
    with replacing(png) as temporary:
        temporary.write_bytes(vl_convert.svg_to_png(picture, scale=PNG_SCALE))
