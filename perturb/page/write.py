"""One offline page that explains the study to readers who have not read the paper.

The file contains styles, scripts, data, and the Vega libraries once for all charts. The template
engine escapes the user's texts (labels, ids, the configuration), and the page's own policy
forbids any request to the network.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.experiments import registry
from perturb.experiments.claims.sentences import VERDICTS, claims, summary, testable, untested
from perturb.files import replacing
from perturb.formatting import formatted
from perturb.page.frame import environment, parts_of, scripts, styles
from perturb.page.images import shown_picture
from perturb.page.methods import methods_text
from perturb.page.notes import models_at_chance
from perturb.page.packing import pack, read_libraries
from perturb.page.references import references_of
from perturb.page.shown import (
    Drawn,
    Pictures,
    charts_from,
    first_chart,
    left_out,
    page_template,
    shown_sections,
)
from perturb.page.shown_tables import shown_table
from perturb.page.side_by_side import side_by_side
from perturb.page.words import words
from perturb.records import Config

# Tables for the page's own text.
_NEEDED = ("models", "accuracy", "claims", "runs")


@dataclass(frozen=True)
class PageText:
    """Texts of the page that are in no table."""

    title: str
    configuration: str  # the configuration file, as text
    command: str  # that repeats the study
    absent: tuple[str, ...] = ()  # models without published weights
    left_out: tuple[str, ...] = ()  # perturbations without some models, with the reason
    study: Config | None = None  # for the paragraph on methods and the publications


def write_page(
    path: Path,
    text: PageText,
    *,
    tables: Mapping[str, Path],
    datasets: Path,
    charts: Drawn,
    contact_sheets: Mapping[str, Path] | None = None,
    pictures: Pictures | None = None,
    examples: Mapping[str, Path] | None = None,
) -> None:
    """Write the report page.

    Parameters
    ----------
    path : of the page.
    text : title, configuration and command.
    tables : the Parquet file of each of the study's tables; a perturbation whose tables are not
        here has no place on the page.
    datasets : facts about the datasets: dataset, label, role, num_images, num_classes.
    charts : the specification and the SVG of each chart of these tables.
    contact_sheets : a PNG of sample images for each caption.
    pictures : a caption and a PNG of perturbations made visible, by experiment.
    examples : the files of the gallery and of the images on which models differ, by their names:
        `gallery.json`, `gallery.webp`, `disagreements.json`, `disagreements.webp`.

    Raises
    ------
    ValueError
        if a table is missing that every page has, or one of several that a chart is drawn from, or
        a chart.
    """
    of_charts = (table for chart in charts_from(tables).values() for table in chart.tables)
    needed = dict.fromkeys([*_NEEDED, *of_charts])
    for kind, names, given in (
        ("tables", needed, tables),
        ("charts", charts_from(tables), charts),
    ):
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(f"{kind} {missing} are missing; needed: {list(names)}")
    found = {name: pq.read_table(tables[name]) for name in registry.tables() if name in tables}
    shown = {
        name: shown_table(name, table)
        for name, table in found.items()
        if not registry.table(name).is_data
    }
    sections = shown_sections(found, shown, charts, pictures or {})
    about = pq.read_table(datasets).to_pylist()
    labels = {row["dataset"]: row["label"] for row in about}
    compared = side_by_side(found, examples, labels)
    all_claims = claims(found["claims"].to_pylist(), _chosen_by(found["accuracy"]))
    said = words(found, first_chart(found, charts))
    # The summary of a few models says which is best.
    best = [] if said.summary else _best(found["accuracy"].to_pylist())
    data = {
        "text": text,
        "sections": sections,
        "sure": _templates("sure.html", shown),
        "values": partial(_values, found),
        "shown": shown,
        "claims": all_claims,
        "tested": testable(all_claims),
        "untested": untested(all_claims),
        "summary": summary(all_claims),
        "words": said,
        "at_chance": models_at_chance(found["models"]),
        "verdicts": VERDICTS,
        "key_numbers": _key_numbers(found),
        "best": best,
        "has_others": "other" in found["models"]["family"].to_pylist(),
        "left_out": left_out(found),
        "datasets": about,
        "methods": methods_text(text.study, found, about) if text.study else "",
        "references": references_of(text.study, found) if text.study else None,
        "runs": _run_facts(found["runs"].to_pylist()),
        "contact_sheets": {
            caption: shown_picture(file) for caption, file in (contact_sheets or {}).items()
        },
    }
    data |= {"compared": compared, **compared.parts}
    data["has_findings"] = bool(data["summary"] or best or data["left_out"])
    html = _rendered(data)
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _rendered(data: Mapping[str, Any]) -> str:
    """Return the page made of its templates, styles, scripts and packed parts."""
    template = environment().get_template("index.html")
    return template.render(
        **data,
        parts=parts_of(data),
        style=styles(),
        script=scripts(),
        libraries=read_libraries(),
        pack=pack,
        page_template=page_template,
        is_new=_OnceEach(),
    )


def _chosen_by(accuracy: pa.Table) -> str | None:
    """Return the networks whose mistakes chose the natural adversarial images, None if unknown."""
    rows = accuracy.to_pylist()
    chosen = {row["chosen_by"] for row in rows if row["test_set"] == "natural_adversarial"}
    return "; ".join(sorted(chosen - {None})) or None


def _key_numbers(found: Mapping[str, pa.Table]) -> list[tuple[str, str]]:
    accuracy = found["accuracy"].to_pylist()
    predictions = sum(row["num_predictions"] or 0 for row in found["runs"].to_pylist())
    return [
        (str(len({row["model"] for row in accuracy})), "models"),
        (str(len({row["test_set"] for row in accuracy})), "test sets"),
        (
            formatted(max((row["num_images"] for row in accuracy), default=0), "count"),
            "images in the largest set",
        ),
        (formatted(predictions, "parameters"), "predictions recorded"),
    ]


def _best(accuracy: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the row of the most accurate model on every test set.

    `is_part` marks a subset of the clean images: the clean accuracy on all of them is not the
    reference for it.
    """
    best: dict[str, Mapping[str, Any]] = {}
    for row in accuracy:
        kept = best.setdefault(row["test_set"], row)
        if row["accuracy"] > kept["accuracy"]:
            best[row["test_set"]] = row
    whole = best["clean"]["num_images"] if "clean" in best else None
    return [
        {**row, "is_part": row["clean_accuracy"] is not None and row["num_images"] != whole}
        for row in best.values()
    ]


def _templates(file: str, shown: Collection[str]) -> list[str]:
    """Return this file of each experiment that has one, and a table of the study."""
    return [
        f"{name}/{file}"
        for name, experiment in registry.experiments().items()
        if (registry.FOLDER / name / file).is_file()
        and any(table.name in shown for table in experiment.tables)
    ]


def _values(found: Mapping[str, pa.Table], table: str, column: str) -> set[Any]:
    """Return the values in a column of a table, none if the study has no such table."""
    return set(found[table][column].to_pylist()) if table in found else set()


class _OnceEach:
    """A test whether a term is new: the page explains each term once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, term: str) -> bool:
        is_new = term not in self._seen
        self._seen.add(term)
        return is_new


def _run_facts(runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the facts of all evaluations: device, versions, commit, time."""
    seconds = sum(row["seconds"] for row in runs)
    return {
        "Device": ", ".join(sorted({row["devices"] for row in runs})),
        "Versions": ", ".join(sorted({row["versions"] for row in runs})),
        "Commit": ", ".join(sorted({row["commits"] for row in runs})),
        "Evaluation time": f"{formatted(seconds, 'seconds')} seconds, one cell after another",
    }
