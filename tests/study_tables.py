"""The tables of a synthetic study, and ways to ask them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import vl_convert

from perturb.experiments import registry
from perturb.experiments.drawing import draw
from perturb.page.shown import charts_from
from perturb.tables.connection import define_functions
from perturb.tables.run import make_table, make_tables
from tests.synthetic_attacks import HEADLINE_EPSILON
from tests.synthetic_study import Study

ROOT = Path(__file__).parent.parent
TABLES = {name: table for name, (_, table) in registry.tables().items()}
# 97.5 % point of the standard normal distribution.
Z95 = 1.959963984540054
CHARTS = {name: chart for name, (_, chart) in registry.charts().items()}


def table_of(study: Study, name: str, *, threads: int = 1) -> pa.Table:
    """Return a table of a study; the reference's errors are made on the way."""
    sources, parameters = given_of(study, name)
    return make_table(name, sources, parameters, threads=threads)


def given_of(study: Study, name: str) -> tuple[dict[str, Path | list[Path]], dict[str, float]]:
    """Return the sources and the parameters of a table of a study."""
    sources = {source: _source(study, source) for source in TABLES[name].sources}
    if name == "reference_errors":
        sources["predictions"] = study.reference
    values = {
        "headline_epsilon": HEADLINE_EPSILON,
        "has_denominators": 1.0,
    }
    return sources, {key: values[key] for key in TABLES[name].parameters}


def made_together(study: Study, *, threads: int = 1) -> dict[str, pa.Table]:
    """Return every table that a study has, as its run makes them: together."""
    names = registry.tables_of(study.available)
    # Its predictions are those of the reference alone.
    alone = {
        name: table_of(study, name, threads=threads) for name in names if name == "reference_errors"
    }
    others = {name: given_of(study, name) for name in names if name not in alone}
    found = {**dict(make_tables(others, threads=threads)), **alone}
    return {name: found[name] for name in names}


def tables_of(study: Study, folder: Path) -> dict[str, Path]:
    """Write every table that a study has as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = made_together(study)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in tables}


def with_runs(study: Study, folder: Path) -> Study:
    """Return the study with the ViTs of small patches as second runs of those of large ones."""
    models = pq.read_table(study.models).to_pandas()
    models["entry"] = models["model"].str.replace("vit-s4", "vit-s8")
    models["run"] = 1 + (models["entry"] != models["model"]).astype(int)
    models.to_parquet(folder / "models.parquet")
    return replace(study, models=folder / "models.parquet")


def drawn_charts(tables: Mapping[str, Path], folder: Path) -> dict[str, tuple[Path, Path]]:
    """Write the specification and the SVG of every chart of a page of these tables."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = {name: pq.read_table(path).to_pandas() for name, path in tables.items()}
    found = {
        name: (folder / f"{name}.json", folder / f"{name}.svg") for name in charts_from(tables)
    }
    for name, (specification, svg) in found.items():
        spec = draw(name, frames).to_dict(validate=False)
        specification.write_text(json.dumps(spec), encoding="utf-8")
        svg.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    return found


def claims_of(sources: Mapping[str, Any], epsilon: float | None = None) -> pa.Table:
    """Return the table `claims` of a study that may lack stimuli, patterns and representations.

    epsilon : at which attacks are compared.
    """
    names = TABLES["claims"].sources
    found: dict[str, Any] = {name: sources.get(name, []) for name in names}
    found["claim_rules"] = ROOT / "resources" / "claims.csv"
    parameters = {"headline_epsilon": epsilon}
    return make_table("claims", found, parameters)


def _source(study: Study, source: str) -> Path | list[Path]:
    if source != "reference_errors":
        return getattr(study, source)
    path = study.models.with_name("reference_errors.parquet")
    if not path.exists():
        pq.write_table(table_of(study, source), path)
    return path


def sql(expression: str) -> float:
    """Return the value of an expression over the macros."""
    with duckdb.connect() as connection:
        define_functions(connection)
        found = connection.execute(f"SELECT {expression}").fetchone()
    assert found is not None
    return found[0]


def rows_where(table: pa.Table, **values: object) -> list[dict]:
    """Return the rows in which every named column has the given value."""
    return [row for row in table.to_pylist() if all(row[k] == v for k, v in values.items())]
