"""What experiments declare is there, and what lies in their folders is declared."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perturb.experiments import registry
from perturb.experiments.captions import (
    chart_caption,
    chart_caption_file,
    table_caption,
    table_caption_file,
)
from perturb.experiments.consistency import check_declarations
from perturb.experiments.declaration import (
    Chart,
    Experiment,
    Measurement,
    Perturbation,
    Table,
)
from perturb.page.pictures import picture_caption
from perturb.page.shown import page_template
from perturb.tables.columns import SHARED, columns, merged_columns
from perturb.tables.queries import FOLDER, checks_of, query_file, relation_file, relations_of
from tests.study_tables import CHARTS, TABLES

EXPERIMENTS = registry.experiments()
OPTIONS = {"epsilon": 4 / 255, "steps": 5}


def test_every_folder_is_in_the_order() -> None:
    folders = {file.parent.name for file in registry.FOLDER.glob("*/__init__.py")}
    assert folders == set(EXPERIMENTS)


def _changing(id: str, **values: Any) -> Perturbation:
    return Perturbation(**({"id": id, "protocol": 1, "evaluator": None, "severities": 1} | values))


def _measurement(id: str) -> Measurement:
    return Measurement(id, 1, "perturb.x:y", "measured")


def _table(name: str) -> Table:
    return Table(name, title="Table", relations=(), shown=())


def _chart(name: str) -> Chart:
    return Chart(name, title="Chart", tables=("one",), empty="None.")


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"tables": (_table("one"), _table("one"))}, {}, "tables: 'one' is declared twice, by a;"),
        ({"tables": (_table("one"),)}, {"tables": (_table("one"),)}, "twice, by a and b; allowed"),
        ({"charts": (_chart("one"), _chart("one"))}, {}, "charts: 'one' is declared twice"),
        (
            {"perturbations": (_changing("one"), _changing("one", key="other"))},
            {},
            "perturbations and measurements: 'one' is declared twice, by a;",
        ),
        (
            {"measurements": (_measurement("one"), _measurement("one"))},
            {},
            "perturbations and measurements: 'one' is declared twice",
        ),
        (
            {"perturbations": (_changing("one"),)},
            {"measurements": (_measurement("one"),)},
            "perturbations and measurements: 'one' is declared twice, by a and b",
        ),
        (
            {"perturbations": (_changing("one"), _changing("two", key="one"))},
            {},
            "'one' of a and 'two' of a have the key 'one'; allowed: one, or several of one exp",
        ),
        (
            {"perturbations": (_changing("one", configured=lambda record, *_: record),)},
            {"perturbations": (_changing("two", key="one"),)},
            "'one' of a and 'two' of b have the key 'one'",
        ),
        ({"phrases": {"one": "x"}}, {"phrases": {"one": "y"}}, "phrases: 'one' is declared twice"),
        ({"kind": "networks"}, {}, "a: kind is 'networks'; allowed: network, a, b, or none"),
        (
            {"perturbations": (_changing("one", changes="network"),)},
            {},
            "a: changes of 'one' is 'network'; allowed: input, model",
        ),
    ],
)
def test_declarations_that_contradict_are_refused(
    first: dict[str, Any], second: dict[str, Any], message: str
) -> None:
    found = {"a": Experiment("A", **first), "b": Experiment("B", **second)}
    with pytest.raises(ValueError, match=re.escape(message)):
        check_declarations(found)


def test_several_perturbations_of_one_key_need_a_choice() -> None:
    chosen = _changing("one", configured=lambda record, *_: record)
    found = {"a": Experiment("A", perturbations=(chosen, _changing("two", key="one")))}
    check_declarations(found)


def test_all_contradictions_are_named_at_once() -> None:
    twice = Experiment("A", tables=(_table("one"), _table("one")), kind="networks")
    with pytest.raises(ValueError, match=r"(?s)tables: 'one'.*\na: kind is 'networks'"):
        check_declarations({"a": twice})


@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_has_its_query_caption_relations_and_columns(name: str) -> None:
    table = TABLES[name]
    assert query_file(name).is_file()
    assert table_caption(name)
    pivot = (table.pivot.names, table.pivot.values, *table.pivot.keys) if table.pivot else ()
    assert {*table.shown, *pivot} <= set(columns())
    assert set(table.relations) <= set(relations_of(name))
    assert set(table.optional) <= set(table.sources)
    assert set(table.reads) <= set(registry.perturbations())


@pytest.mark.parametrize("name", list(CHARTS))
def test_a_chart_has_its_function_caption_tables_and_columns(name: str) -> None:
    chart = CHARTS[name]
    assert chart_caption(name)
    assert set(chart.tables) <= set(TABLES)
    assert set(chart.drawn) <= set(columns())
    notes = [registry.entry_point(chart.note)] if chart.note else []
    for function in (registry.drawing_of(name), *notes):
        inspect.signature(function).bind(*chart.tables)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_an_experiment_has_its_functions_and_its_page(name: str) -> None:
    experiment = EXPERIMENTS[name]
    galleries = (item.gallery for item in experiment.perturbations)
    functions = (experiment.warnings, experiment.shows, *experiment.relations.values())
    for path in filter(None, (*functions, *galleries)):
        assert callable(registry.entry_point(path))
    if _is_on_page(experiment):
        assert experiment.shows
        assert page_template(name) == f"{name}/page.html"
    if experiment.has_picture:
        assert "5 steps and by at most 4 gray levels" in picture_caption(
            name, patterns={"options": OPTIONS}
        )


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_an_experiment_says_its_formula_and_its_references(name: str) -> None:
    text = (registry.FOLDER / name / "method.md").read_text(encoding="utf-8")
    summary, formula, references = re.split(r"^## (?:Formula|References)$", text, flags=re.M)
    assert summary.strip().endswith(".")
    assert re.search(r"^\$\$\n.+\n\$\$$", formula, flags=re.M | re.S)
    assert re.search(r"^- .+\(https://", references, flags=re.M)


def _is_on_page(experiment: Experiment) -> bool:
    has_table = any(table.on_page for table in experiment.tables)
    has_chart = any(not chart.is_first for chart in experiment.charts)
    return has_chart or has_table or experiment.has_picture


def test_test_sets_have_places_of_their_own() -> None:
    places = [test_set.position for test_set in registry.test_sets().values()]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_every_file_in_a_folder_is_declared(name: str) -> None:
    folder = registry.FOLDER / name
    kinds = ("*.sql", "*.rst", "*.csv", "*.html", "*.md")
    found = {file for kind in kinds for file in folder.rglob(kind)}
    assert found <= set(_declared_files(name))


def _declared_files(name: str) -> Iterator[Path]:
    experiment, folder = EXPERIMENTS[name], registry.FOLDER / name
    yield from (folder / "columns.csv", folder / "method.md")
    for table in experiment.tables:
        yield from (query_file(table.name), table_caption_file(table.name))
    yield from (chart_caption_file(chart.name) for chart in experiment.charts)
    if _is_on_page(experiment):
        yield folder / "page.html"
    if experiment.tables:
        yield folder / "sure.html"
    if experiment.has_picture:
        yield folder / "picture.rst"
    for relation in _read_relations():
        yield relation_file(relation)
        yield checks_of(relation) or relation_file(relation)


def _read_relations() -> set[str]:
    read = {relation for table in TABLES for relation in relations_of(table)}
    return read - set(registry.made_relations())


def test_every_shared_relation_is_read() -> None:
    files = {relation_file(relation) for relation in _read_relations()}
    files |= {checks for relation in _read_relations() if (checks := checks_of(relation))}
    assert set((FOLDER / "relations").rglob("*.sql")) <= files


def test_code_of_charts_is_read_by_a_chart() -> None:
    drawn = {experiment for experiment, _ in registry.charts().values()}
    assert {file.parent.name for file in registry.FOLDER.glob("*/charts.py")} == drawn


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> str:
    """Declare a table that has no file, in an experiment that is no folder's."""
    table = Table("unwritten", title="Unwritten", relations=("cells",), shown=("model",))
    monkeypatch.setattr(registry, "tables", lambda: {"unwritten": ("lesions", table)})
    return "unwritten"


def test_a_missing_file_is_named_with_its_experiment(undone: str) -> None:
    with pytest.raises(ValueError, match=r"lesions: there is no query .*lesions/unwritten\.sql"):
        query_file(undone)
    with pytest.raises(ValueError, match=r"lesions: there is no caption .*lesions/unwritten\.rst"):
        table_caption(undone)
    with pytest.raises(ValueError, match=r"claims: there is no .*claims/page\.html"):
        page_template("claims")
    with pytest.raises(ValueError, match=r"claims: there is no caption .*claims/picture\.rst"):
        picture_caption("claims")


@pytest.mark.parametrize(
    "path", ["perturb.experiments.lesions.chart:lesions", "perturb.experiments.lesions.charts:one"]
)
def test_a_missing_function_is_named(path: str) -> None:
    with pytest.raises(ValueError, match=f"entry point '{path}'"):
        registry.entry_point(path)


def test_a_relation_that_nothing_makes_is_named() -> None:
    with pytest.raises(ValueError, match="relation 'outcome' is made by nothing; allowed: one"):
        relation_file("outcome")


def test_a_relation_that_two_folders_make_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perturb.tables import queries

    for folder in ("lesions", "spatial"):
        (tmp_path / folder / "relations").mkdir(parents=True)
        (tmp_path / folder / "relations" / "twice.sql").touch()
    monkeypatch.setattr(queries, "EXPERIMENTS", tmp_path)
    with pytest.raises(ValueError, match=r"spatial/relations/twice\.sql and .*allowed: one"):
        relation_file("twice")


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "columns.csv"
    own.write_text("column,label,unit,description\nmodel,Model id,text,Again\n")
    with pytest.raises(ValueError, match=r"column 'model': both .* and .* declare it"):
        merged_columns([SHARED, own])
