"""A chart as files that need no network: interactive HTML, SVG, PNG, PDF, specification.

The specification is Vega-Lite's JSON, from which the report page shows the chart.
"""

from collections.abc import Mapping
from json import dumps, loads
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from perturb.files import replacing

PNG_SCALE = 2.0
# Replaces `<` where it would be read as a tag; a private character that no text uses.
_LESS_THAN = "\uf8ff"


def save_chart(
    chart: alt.TopLevelMixin, *, json: Path, html: Path, svg: Path, png: Path, pdf: Path
) -> None:
    """Write a chart's specification, HTML with its libraries, SVG, PNG at twice its size, PDF."""
    # Made once: for charts with many parts the specification takes longer than the drawing.
    # Without validation, which takes a third of the time: the tests validate.
    spec = chart.to_dict(validate=False)
    picture = vl_convert.vegalite_to_svg(spec)
    with replacing(json) as temporary:
        temporary.write_text(dumps(spec, allow_nan=False), encoding="utf-8")
    with replacing(html) as temporary:
        temporary.write_text(_page(spec), encoding="utf-8")
    with replacing(svg) as temporary:
        temporary.write_text(picture, encoding="utf-8")
    with replacing(png) as temporary:
        temporary.write_bytes(vl_convert.svg_to_png(picture, scale=PNG_SCALE))
    with replacing(pdf) as temporary:
        temporary.write_bytes(vl_convert.svg_to_pdf(picture))


def _page(spec: Mapping[str, Any]) -> str:
    """Return a chart as HTML; no text in it can end the script element."""
    hidden = loads(dumps(spec).replace("<", _LESS_THAN))
    page: str = vl_convert.vegalite_to_html(hidden, bundle=True)
    return page.replace(_LESS_THAN, "\\u003c")
