"""Charts, tables and pictures as the page's templates show them: everything inside the file."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import pyarrow as pa
import vl_convert
from markupsafe import Markup

from perturb.charts.catalogue import CHARTS, SECTIONS
from perturb.charts.draw import draw
from perturb.charts.sentences import why_empty
from perturb.page.notes import note_beside, warnings_of
from perturb.tables.catalogue import TABLES
from perturb.tables.display import Grid, grid
from perturb.tables.write import csv_text

Tables = Mapping[str, pa.Table]

# Tables that answer what no chart of their section does.
_TABLES_IN: Mapping[str, tuple[str, ...]] = {
    "benchmarks": ("class_subsets", "published_comparison"),
    "adversarial": ("transfer_means",),
    "spatial": ("spatial_accuracy",),
}
_PICTURES_IN = "adversarial"
# A chart shrinks to this share of its size on narrow screens, and is scrolled on narrower ones.
_LEAST_SCALE = 0.75


@dataclass(frozen=True)
class ShownTable:
    """A table on the page, with its file to download."""

    id: str
    title: str
    caption: str
    grid: Grid
    csv: str  # data: URI


@dataclass(frozen=True)
class ShownChart:
    """A chart on the page: its specification, and a picture for readers without scripts."""

    id: str
    title: str
    caption: str
    note: str
    has_choice: bool  # a legend that singles models out
    least_width_px: int
    spec: Markup
    picture: str  # data: URI


@dataclass(frozen=True)
class ShownSection:
    """A part of the findings: a subject, introduced in the template of its id."""

    id: str
    title: str
    warnings: list[str]  # models of which a part of the numbers says nothing
    charts: list[ShownChart]
    pictures: dict[str, str]  # data: URI by caption
    tables: list[ShownTable]


def shown_table(name: str, table: pa.Table) -> ShownTable:
    """Return a table made by `make_table` as readers see it."""
    entry = TABLES[name]
    uri = data_uri("text/csv;charset=utf-8", csv_text(table).encode())
    caption = entry.caption if table.num_rows else f"{entry.caption} {entry.empty}"
    return ShownTable(name, entry.title, caption, grid(table, name), uri)


def shown_sections(
    found: Tables, shown: Mapping[str, ShownTable], pictures: Mapping[str, Path]
) -> list[ShownSection]:
    """Return the sections that have something to show, in their order.

    A chart without anything to draw is left out, and a section without any chart or picture: no
    ViT of the study has heads that could be silenced, say. See `left_out`.

    Parameters
    ----------
    found : the tables of the study.
    shown : the same as readers see them.
    pictures : a PNG for each caption: perturbations made visible.
    """
    frames = {name: table.to_pandas() for name, table in found.items()}
    charts = {
        name: _shown_chart(name, draw(name, frames), note_beside(name, found))
        for name in charts_from(found)
        if not why_empty(name, frames)
    }
    sections = [
        ShownSection(
            id=id,
            title=title,
            warnings=warnings_of(found) if id == "adversarial" else [],
            charts=[chart for name, chart in charts.items() if CHARTS[name].section == id],
            pictures=shown_pictures(pictures if id == _PICTURES_IN else {}),
            tables=[shown[name] for name in _TABLES_IN.get(id, ()) if name in shown],
        )
        for id, title in SECTIONS.items()
    ]
    return [section for section in sections if section.charts or section.pictures]


def left_out(found: Tables) -> list[tuple[str, str]]:
    """Return the title of each chart that has nothing to draw in this study, and why."""
    frames = {name: table.to_pandas() for name, table in found.items()}
    reasons = {name: why_empty(name, frames) for name in charts_from(found)}
    return [(CHARTS[name].title, reason) for name, reason in reasons.items() if reason]


def charts_from(tables: Mapping[str, object]) -> list[str]:
    """Return the charts that every study has, and those whose own table, the first, is here."""
    return [name for name, chart in CHARTS.items() if not chart.needs or chart.tables[0] in tables]


def shown_pictures(pictures: Mapping[str, Path]) -> dict[str, str]:
    """Return PNG files as data: URIs, by caption."""
    return {
        caption: data_uri("image/png", Path(file).read_bytes())
        for caption, file in pictures.items()
    }


def data_uri(media_type: str, content: bytes) -> str:
    """Return content as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _shown_chart(name: str, chart: alt.TopLevelMixin, note: str) -> ShownChart:
    words = CHARTS[name]
    spec = {
        **chart.to_dict(validate=False),
        "description": f"{words.title}. {words.caption}",
        "background": "transparent",  # the page's own
    }
    # Inside a script element, `<` could end it: JSON has another spelling for it.
    text = json.dumps(spec, allow_nan=False).replace("<", "\\u003c")
    picture = vl_convert.vegalite_to_svg({**spec, "background": "white"})
    width = float(picture.split('width="', 1)[1].split('"', 1)[0])
    return ShownChart(
        id=name,
        title=words.title,
        caption=words.caption,
        note=note,
        has_choice=any(parameter.get("bind") == "legend" for parameter in spec.get("params", [])),
        least_width_px=round(_LEAST_SCALE * width),
        spec=Markup(text),
        picture=data_uri("image/svg+xml", picture.encode()),
    )
