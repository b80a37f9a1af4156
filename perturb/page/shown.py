"""Charts, tables and pictures for the page's templates, embedded in the file."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.charts.notes import of_runs
from perturb.experiments import registry
from perturb.experiments.captions import chart_caption, table_caption
from perturb.experiments.declaration import Chart, Experiment
from perturb.experiments.emptiness import why_empty
from perturb.tables.display import Grid, grid
from perturb.tables.write import csv_text

Tables = Mapping[str, pa.Table]
# The caption and the PNG of an experiment's picture.
Pictures = Mapping[str, tuple[str, Path]]
# The specification and the SVG of each chart, as `perturb.charts.save` writes them.
Drawn = Mapping[str, tuple[Path, Path]]

# A chart shrinks to this fraction of its size on narrow screens, and scrolls on narrower ones.
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
    has_choice: bool  # a legend that selects models
    least_width_px: int
    spec: Mapping[str, Any]
    picture: str  # data: URI


@dataclass(frozen=True)
class ShownSection:
    """An experiment's part of the findings, introduced by the `page.html` of its folder."""

    id: str
    title: str
    lead: str  # sentence of the page's first paragraph
    warnings: list[str]  # models with invalid numbers
    charts: list[ShownChart]
    pictures: dict[str, str]  # data: URI by caption
    tables: list[ShownTable]

    @property
    def has_something(self) -> bool:
        """Whether there is a chart, a picture or a row of a table."""
        has_rows = any(table.grid.rows for table in self.tables)
        return bool(self.charts or self.pictures or has_rows)


def shown_table(name: str, table: pa.Table) -> ShownTable:
    """Return the layout for readers of a table made by `make_table`."""
    entry = registry.table(name)
    uri = data_uri("text/csv;charset=utf-8", csv_text(table).encode())
    caption = table_caption(name)
    said = caption if table.num_rows else f"{caption} {entry.empty}"
    return ShownTable(name, entry.title, said, grid(table, name), uri)


def shown_sections(
    found: Tables, shown: Mapping[str, ShownTable], drawn: Drawn, pictures: Pictures
) -> list[ShownSection]:
    """Return the sections that have content, in the order of the experiments.

    A chart without values is left out, and a section without any chart, picture or row, such as one
    of a perturbation of ViTs in a study of ResNets. See `left_out`.

    Parameters
    ----------
    found : the tables of the study.
    shown : their layouts for readers.
    drawn : the files of the charts.
    pictures : of perturbations, by experiment.
    """
    charts = _shown_charts(found, drawn)
    sections = [
        ShownSection(
            id=id,
            title=experiment.title,
            lead=experiment.lead,
            warnings=_warnings(experiment, found),
            charts=[charts[chart.name] for chart in experiment.charts if chart.name in charts],
            pictures=shown_pictures(dict([pictures[id]]) if id in pictures else {}),
            # Tables without a chart of the experiment.
            tables=[
                shown[table.name]
                for table in experiment.tables
                if table.on_page and table.name in shown
            ],
        )
        for id, experiment in registry.experiments().items()
    ]
    return [part for part in sections if part.has_something]


def _shown_charts(found: Tables, drawn: Drawn) -> dict[str, ShownChart]:
    reasons = _reasons(found)
    return {
        name: _shown_chart(name, *drawn[name], note_beside(name, found))
        for name, reason in reasons.items()
        if not reason
    }


def _reasons(found: Tables) -> dict[str, str]:
    """Return the reason why each chart is empty, an empty text for those that are not."""
    return {
        name: why_empty(
            name, {column: found[chart.tables[0]][column].to_pylist() for column in chart.drawn}
        )
        for name, chart in charts_from(found).items()
    }


def page_template(name: str) -> str:
    """Return the template that introduces an experiment, from the folder of all experiments.

    Raises
    ------
    ValueError
        if it has none.
    """
    file = registry.FOLDER / name / "page.html"
    if not file.is_file():
        raise ValueError(f"{name}: there is no {file}")
    return f"{name}/page.html"


def _warnings(experiment: Experiment, found: Tables) -> list[str]:
    if experiment.warnings is None:
        return []
    return list(registry.entry_point(experiment.warnings)(found))


def note_beside(name: str, found: Tables) -> str:
    """Return the study's addition to a chart's caption, or nothing."""
    chart = registry.chart(name)
    notes = [] if chart.is_of_runs else [of_runs(found["models"])]
    if chart.note is not None:
        note = registry.entry_point(chart.note)
        notes.insert(0, str(note(*(found[table] for table in chart.tables))))
    return " ".join(filter(None, notes))


def left_out(found: Tables) -> list[tuple[str, str]]:
    """Return the title of each chart without values in this study, and the reason."""
    return [
        (registry.chart(name).title, reason) for name, reason in _reasons(found).items() if reason
    ]


def charts_from(tables: Mapping[str, object]) -> dict[str, Chart]:
    """Return the charts of every study, and those whose own table, the first, exists."""
    return {
        name: chart
        for name, (_, chart) in registry.charts().items()
        if not registry.needs_of(chart) or chart.tables[0] in tables
    }


def shown_pictures(pictures: Mapping[str, Path]) -> dict[str, str]:
    """Return PNG files as data: URIs, by caption."""
    return {
        caption: data_uri("image/png", Path(file).read_bytes())
        for caption, file in pictures.items()
    }


def data_uri(media_type: str, content: bytes) -> str:
    """Return content as a data: URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _shown_chart(name: str, specification: Path, svg: Path, note: str) -> ShownChart:
    title, caption = registry.chart(name).title, chart_caption(name)
    spec = {
        **json.loads(specification.read_text(encoding="utf-8")),
        "description": f"{title}. {caption}",
        "background": "transparent",  # the page's own
    }
    picture = svg.read_text(encoding="utf-8")
    width = float(picture.split('width="', 1)[1].split('"', 1)[0])
    return ShownChart(
        id=name,
        title=title,
        caption=caption,
        note=note,
        has_choice=any(parameter.get("bind") == "legend" for parameter in spec.get("params", [])),
        least_width_px=round(_LEAST_SCALE * width),
        spec=spec,
        picture=data_uri("image/svg+xml", picture.encode()),
    )
