"""Studies at the edges have tables, charts and a page, and nothing in them is empty in silence."""

import json
import math
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from perturb.charts.sentences import NO_MODEL
from perturb.experiments import registry
from perturb.experiments.drawing import draw
from perturb.formatting import MISSING
from perturb.page.shown import left_out, note_beside
from perturb.page.shown_tables import shown_table
from perturb.page.write import PageText, write_page
from perturb.tables.display import grid
from perturb.tables.write import csv_text, latex_text, markdown_text
from tests.drawn_panels import drawn
from tests.extreme_studies import EXTREMES, extreme_study, ragged_study
from tests.study_tables import (
    CHARTS,
    TABLES,
    drawn_charts,
    made_together,
    table_of,
    tables_of,
    with_runs,
)

NO_NUMBERS = ("nan", "NaN", "inf", "Infinity", "None", "null", "undefined")


# Two edges at once: each of them is a case of its own.
BOTH = {
    "nobody errs, reference included",
    "everybody errs, reference included",
    "one image, all right",
    "one image, all wrong",
    "one model that never errs",
}
# Their charts are held against the schema.
VALIDATED = {"everybody errs", "one model", "one image"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.exhaustive] if name in BOTH else [])
        for name in EXTREMES
    ],
)
def tables(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, pa.Table]:
    return made_together(extreme_study(tmp_path_factory.mktemp("extreme"), request.param))


def test_tables_hold_numbers_or_nothing(tables: dict[str, pa.Table]) -> None:
    for name, table in tables.items():
        for column in table.column_names:
            if pa.types.is_floating(table.schema.field(column).type):
                values = [value for value in table[column].to_pylist() if value is not None]
                assert all(map(math.isfinite, values)), (name, column)
        shown = grid(table, name)
        words = {cell.text for row in shown.rows for cell in row}
        assert not words & set(NO_NUMBERS), name
        assert csv_text(table)
        for text in (markdown_text(shown, name), latex_text(shown, name)):
            assert (TABLES[name].empty in text) == (table.num_rows == 0)
        assert (TABLES[name].empty in shown_table(name, table).caption) == (table.num_rows == 0)


def test_what_experiments_show_is_a_sentence_of_numbers_or_nothing(
    tables: dict[str, pa.Table],
) -> None:
    for experiment in registry.experiments().values():
        said = registry.entry_point(experiment.shows)(tables) if experiment.shows else ""
        assert not said or said.endswith(".")
        words = {word.strip(".,;()[]") for word in said.replace("None of the", "").split()}
        assert not words & {*NO_NUMBERS, MISSING}, said


def test_every_panel_of_every_chart_shows_something(
    tables: dict[str, pa.Table], request: pytest.FixtureRequest
) -> None:
    frames = {name: table.to_pandas() for name, table in tables.items()}
    # The schema takes as long as all the rest.
    _check_charts(frames, is_validated=request.node.callspec.params["tables"] in VALIDATED)


def _check_charts(frames: dict[str, pd.DataFrame], *, is_validated: bool = True) -> None:
    for name, chart in CHARTS.items():
        if not set(chart.tables) <= set(frames):
            continue
        spec = draw(name, frames).to_dict(validate=is_validated)
        assert json.dumps(spec, allow_nan=False)
        picture = drawn(spec)
        assert picture.panels, name
        assert picture.width <= 1150, name
        for panel in picture.panels:
            assert panel.num_marks or panel.sentences, name
        for rows, columns, panels in picture.grids:
            assert panels == rows * columns, name
        for words in picture.words:
            assert not {word.strip(".,%") for word in words.split()} & set(NO_NUMBERS), name


def test_panels_stand_under_their_own_names(tmp_path: Path) -> None:
    """Of a grid with a hole, all panels after it would be drawn one place too early."""
    tables = made_together(ragged_study(tmp_path))
    frames = {name: table.to_pandas() for name, table in tables.items()}
    _check_charts(frames)
    spatial = drawn(draw("spatial_heatmap", frames).to_dict())
    assert [panel.sentences == [NO_MODEL] for panel in spatial.panels].count(True) == 3
    present = frames["spatial_grid"].groupby(["architecture_label", "pretraining_label"]).ngroups
    assert len(spatial.panels) - 3 == present == 5


@pytest.mark.parametrize("name", list(CHARTS))
def test_a_chart_without_a_row_or_a_value_says_why(
    name: str, full: dict[str, pd.DataFrame]
) -> None:
    own, chart = CHARTS[name].tables[0], CHARTS[name]
    rows = full[own]
    without_values = rows.assign(**dict.fromkeys(chart.drawn, math.nan))
    for frame in (rows.iloc[:0], rows.iloc[:0].astype(object), without_values):
        spec = draw(name, {**full, own: frame}).to_dict()
        assert [panel.sentences for panel in drawn(spec).panels] == [[chart.empty]]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    study = ragged_study(tmp_path_factory.mktemp("full"))
    of_runs = with_runs(study, tmp_path_factory.mktemp("runs"))
    tables = made_together(study)
    tables |= {name: table_of(of_runs, name) for name in ("training_runs", "single_runs")}
    return {name: table.to_pandas() for name, table in tables.items()}


def test_log_error_of_no_error_is_a_sentence_on_the_page(tmp_path: Path) -> None:
    study = extreme_study(tmp_path, "nobody errs on clean images")
    paths = tables_of(study, tmp_path / "tables")
    page = tmp_path / "index.html"
    charts = drawn_charts(paths, tmp_path / "charts")
    words = PageText("A study", "", "")
    write_page(page, words, tables=paths, datasets=study.datasets, charts=charts)
    html = page.read_text(encoding="utf-8")
    assert "No model errs on any of these test sets: log error cannot be drawn." in html
    assert "chart-robustness_benchmarks" in html
    assert "chart-model_size" not in html
    assert "100.0" in html
    # The summary of a few models has the leaderboard's first rows, too, and comes first.
    assert html.index('id="side-by-side"') < html.index('id="main"')
    assert 'id="first-rows"' not in html


def test_a_study_without_vits_says_what_is_not_drawn(tmp_path: Path) -> None:
    study = extreme_study(tmp_path, "one family, ResNets")
    found = made_together(study)
    without = {name: table.slice(0, 0) for name, table in found.items() if name == "lesions"}
    of_few_models = [
        (
            "Accuracy over pre-training images",
            "This study does not have two pre-training sets of known and different numbers of "
            "images.",
        ),
        (
            "ViTs minus ResNets over pre-training images",
            "No ViT and ResNet of matched size share two pre-training sets of known and different "
            "numbers of images.",
        ),
        (
            "Accuracy on perturbed images over clean accuracy",
            "No model has five others to be compared with, three of them right on some perturbed "
            "images.",
        ),
    ]
    assert left_out({**found, **without}) == [
        *of_few_models,
        ("Several layers removed", "No model of this study has a block that can be removed."),
    ]
    assert left_out(found) == of_few_models


def test_models_without_an_error_are_named_beside_the_chart(full: dict[str, pd.DataFrame]) -> None:
    points = full["scaling_models"].copy()
    first = points.index[0]
    points.loc[first, "error"] = 0.0
    frames = {"scaling_models": points, "models": full["models"]}
    found = {name: pa.Table.from_pandas(frame) for name, frame in frames.items()}
    note = note_beside("model_size", found)
    label = f"{points.loc[first, 'architecture_label']} ({points.loc[first, 'test_set_label']})"
    assert f"Not drawn, since an error of zero has no logarithm: {label}." in note
