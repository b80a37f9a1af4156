"""Sections of experiments for the page's templates: charts, pictures and tables."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perturb.charts.notes import of_runs
from perturb.experiments import registry
from perturb.experiments.captions import chart_caption
from perturb.experiments.declaration import Chart, Experiment
from perturb.experiments.emptiness import why_empty
from perturb.experiments.sentences import Tables
from perturb.page.alternatives import chart_in_words
from perturb.page.images import ShownPicture, shown_picture
from perturb.page.shown_tables import ShownTable

# The caption and the PNG of an experiment's picture.
Pictures = Mapping[str, tuple[str, Path]]
# The specification and the SVG of each chart, as `perturb.charts.save` writes them.
Drawn = Mapping[str, tuple[Path, Path]]

# A chart shrinks to this fraction of its size on narrow screens, and scrolls on narrower ones.
_LEAST_SCALE = 0.75
# Significant digits of fractions in a chart's data: its tooltips show up to four.
_DIGITS = 6
# Characters of an SVG within which its size is named.
_HEAD = 1000


@dataclass(frozen=True)
class ShownChart:
    """A chart on the page: its specification, its size before it is drawn, itself in words."""

    id: str
    title: str
    caption: str
    note: str
    in_words: str
    has_choice: bool  # a legend that selects models
    width_px: float
    height_px: float
    spec: Mapping[str, Any]
    tables: tuple[str, ...]  # whose files stand beside it

    @property
    def least_width_px(self) -> int:
        """The width below which the chart scrolls."""
        return round(_LEAST_SCALE * self.width_px)


@dataclass(frozen=True)
class ShownSection:
    """An experiment's part of the findings, introduced by the `page.html` of its folder."""

    id: str
    title: str
    lead: str  # sentence of the page's first paragraph
    shows: str  # sentence of what it shows in this run
    warnings: list[str]  # models with invalid numbers
    charts: list[ShownChart]
    pictures: dict[str, ShownPicture]  # by caption
    tables: list[ShownTable]

    @property
    def has_something(self) -> bool:
        """Whether there is a chart, a picture or a row of a table."""
        has_rows = any(table.grid.rows for table in self.tables if table.is_open)
        return bool(self.charts or self.pictures or has_rows)


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
            shows=_shows(experiment, found),
            warnings=_warnings(experiment, found),
            charts=[
                charts[chart.name]
                for chart in experiment.charts
                if chart.name in charts and not chart.is_first
            ],
            pictures={
                caption: shown_picture(file)
                for caption, file in ([pictures[id]] if id in pictures else [])
            },
            tables=[shown[table.name] for table in experiment.tables if table.name in shown],
        )
        for id, experiment in registry.experiments().items()
    ]
    return [part for part in sections if part.has_something]


def first_chart(found: Tables, drawn: Drawn) -> ShownChart | None:
    """Return the chart of the first screen; None if it has no values in this study."""
    charts = _shown_charts(found, {name: drawn[name] for name in drawn if is_first(name)})
    return next(iter(charts.values()), None)


def is_first(name: str) -> bool:
    """Return whether a chart stands on the first screen, and in no section."""
    return registry.chart(name).is_first


def _shown_charts(found: Tables, drawn: Drawn) -> dict[str, ShownChart]:
    reasons = _reasons(found)
    return {
        name: _shown_chart(name, drawn[name], found)
        for name, reason in reasons.items()
        if not reason and name in drawn
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


def _shows(experiment: Experiment, found: Tables) -> str:
    return "" if experiment.shows is None else str(registry.entry_point(experiment.shows)(found))


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


def _shown_chart(name: str, files: tuple[Path, Path], found: Tables) -> ShownChart:
    specification, svg = files
    chart, note = registry.chart(name), note_beside(name, found)
    in_words = chart_in_words(name, found[chart.tables[0]], note)
    spec = json.loads(specification.read_text(encoding="utf-8"))
    width_px, height_px = _size(svg)
    return ShownChart(
        id=name,
        title=chart.title,
        caption=chart_caption(name),
        note=note,
        in_words=in_words,
        has_choice=any(parameter.get("bind") == "legend" for parameter in spec.get("params", [])),
        width_px=width_px,
        height_px=height_px,
        spec=_rounded(spec) | {"description": in_words},
        tables=tuple(table for table in chart.tables if table != "models"),
    )


def _rounded(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification whose data have no more digits than a picture can show."""
    datasets = {
        name: [
            {
                key: _shortened(value) if type(value) is float else value
                for key, value in row.items()
            }
            for row in rows
        ]
        for name, rows in spec.get("datasets", {}).items()
    }
    return {**spec, **({"datasets": datasets} if datasets else {})}


def _shortened(value: float) -> float:
    # Whole numbers are counts, whose tooltips show all digits.
    return value if value.is_integer() else float(f"{value:.{_DIGITS}g}")


def _size(svg: Path) -> tuple[float, float]:
    """Return width and height of a drawn chart, from the head of its file."""
    with svg.open(encoding="utf-8") as file:
        head = file.read(_HEAD)
    found = [re.search(rf'\b{name}="([0-9.]+)"', head) for name in ("width", "height")]
    if not all(found):
        raise ValueError(f"{svg}: names no width and height; allowed: an SVG with both")
    width, height = (float(one[1]) for one in found if one)
    return width, height
