"""One offline page that explains the study to someone who has not read the paper.

Everything is inside the file: styles, scripts, data, and the Vega libraries once for all charts.
What users typed (labels, ids, the configuration) is escaped by the template engine, and the
page's own policy forbids it any request to the network.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
import vl_convert
from markupsafe import Markup

from perturb.charts.catalogue import CHARTS
from perturb.charts.draw import draw
from perturb.charts.model_size import FAMILY_NAMES
from perturb.files import replacing
from perturb.page.findings import VERDICTS, claims, summary
from perturb.tables.catalogue import TABLES
from perturb.tables.display import Grid, formatted, grid
from perturb.tables.write import csv_text

_TEMPLATES = Path(__file__).parent / "templates"
# Where a table stands on the page; the rest follow under "All numbers".
_IN_THE_TEXT = ("models", "runs")


@dataclass(frozen=True)
class Words:
    """What the page says that no table holds."""

    title: str
    configuration: str  # the configuration file, as text
    command: str = "snakemake --cores"


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
    spec: Markup
    picture: str  # data: URI


def write_page(
    path: Path,
    words: Words,
    *,
    tables: Mapping[str, Path],
    datasets: Path,
    contact_sheets: Mapping[str, Path] | None = None,
) -> None:
    """Write the report page.

    Parameters
    ----------
    path : of the page.
    words : title and configuration.
    tables : the Parquet file of every table of `perturb.tables.catalogue.TABLES`.
    datasets : facts about the data sets: dataset, label, role, num_images, num_classes.
    contact_sheets : a PNG of sample images for each caption.

    Raises
    ------
    ValueError
        if a table is missing.
    """
    missing = [name for name in TABLES if name not in tables]
    if missing:
        raise ValueError(f"tables {missing} are missing; needed: {list(TABLES)}")
    found = {name: pq.read_table(tables[name]) for name in TABLES}
    shown = {name: _shown_table(name, table) for name, table in found.items()}
    all_claims = claims(found["claims"].to_pylist())
    html = (
        _environment()
        .get_template("index.html")
        .render(
            words=words,
            style=_asset("style.css"),
            script=_asset("page.js"),
            vega=Markup(_closed(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))),
            charts=_shown_charts(found),
            shown=shown,
            others=[table for name, table in shown.items() if name not in _IN_THE_TEXT],
            claims=all_claims,
            summary=summary(all_claims),
            verdicts=VERDICTS,
            key_numbers=_key_numbers(found),
            best=_best(found["accuracy"].to_pylist()),
            datasets=pq.read_table(datasets).to_pylist(),
            runs=_run_facts(found["runs"].to_pylist()),
            contact_sheets={
                caption: _data_uri("image/png", Path(file).read_bytes())
                for caption, file in (contact_sheets or {}).items()
            },
        )
    )
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["formatted"] = formatted
    return environment


def _shown_table(name: str, table: pa.Table) -> ShownTable:
    entry = TABLES[name]
    uri = _data_uri("text/csv;charset=utf-8", csv_text(table).encode())
    return ShownTable(name, entry.title, entry.caption, grid(table, name), uri)


def _shown_charts(found: Mapping[str, pa.Table]) -> list[ShownChart]:
    frames = {name: found[name].to_pandas() for chart in CHARTS.values() for name in chart.tables}
    notes = {"model_size": _families_without_line(found)}
    return [_shown_chart(name, draw(name, frames), notes.get(name, "")) for name in CHARTS]


def _families_without_line(found: Mapping[str, pa.Table]) -> str:
    """Return a sentence about the families that have too few sizes for a slope, or nothing."""
    points = found["scaling_models"].to_pylist()
    fitted = {row["family"] for row in points if row["is_fitted"]}
    families = {row["family"] for row in points}
    lacking = [FAMILY_NAMES[family] for family in sorted(families - fitted)]
    if not lacking:
        return ""
    return f"No line for {' and '.join(lacking)}: fewer than two sizes at this pre-training set."


def _shown_chart(name: str, chart: alt.TopLevelMixin, note: str) -> ShownChart:
    words = CHARTS[name]
    spec = {
        **chart.to_dict(),
        "description": f"{words.title}. {words.caption}",
        "background": "transparent",  # the page's own
    }
    # Inside a script element, `<` could end it: JSON has another spelling for it.
    text = json.dumps(spec, allow_nan=False).replace("<", "\\u003c")
    picture = vl_convert.vegalite_to_svg({**spec, "background": "white"})
    return ShownChart(
        id=name,
        title=words.title,
        caption=words.caption,
        note=note,
        has_choice="params" in spec,
        spec=Markup(text),
        picture=_data_uri("image/svg+xml", picture.encode()),
    )


def _key_numbers(found: Mapping[str, pa.Table]) -> list[tuple[str, str]]:
    accuracy = found["accuracy"].to_pylist()
    decisions = sum(row["num_decisions"] or 0 for row in found["runs"].to_pylist())
    return [
        (str(len({row["model"] for row in accuracy})), "models"),
        (str(len({row["test_set"] for row in accuracy})), "test sets"),
        (
            formatted(max(row["num_images"] for row in accuracy), "count"),
            "images in the largest set",
        ),
        (formatted(decisions, "parameters"), "decisions recorded"),
    ]


def _best(accuracy: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the row of the most accurate model on every test set."""
    best: dict[str, Mapping[str, Any]] = {}
    for row in accuracy:
        kept = best.setdefault(row["test_set"], row)
        if row["accuracy"] > kept["accuracy"]:
            best[row["test_set"]] = row
    return list(best.values())


def _run_facts(runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what all evaluations share: device, versions, commit, time."""
    seconds = sum(row["seconds"] for row in runs)
    return {
        "Device": ", ".join(sorted({row["devices"] for row in runs})),
        "Versions": ", ".join(sorted({row["versions"] for row in runs})),
        "Commit": ", ".join(sorted({row["commits"] for row in runs})),
        "Evaluation time": f"{formatted(seconds, 'seconds')} seconds, one cell after another",
    }


def _asset(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))


def _closed(script: str) -> str:
    return script.replace("</script", "<\\/script")


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
