"""Which tables there are, what each is made from, and what readers are told about it.

The SQL of a table is the file of its name; its entry stands in a module of `entries`.
`columns.csv` names every column once for all tables: its label, its unit and its meaning.
"""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from perturb.tables.entries import (
    adversarial,
    benchmarks,
    comparisons,
    lesions,
    published,
    representations,
    restrictions,
    spatial,
    texture,
)
from perturb.tables.entries.table import Pivot, Table

__all__ = ["FOLDER", "TABLES", "Column", "Pivot", "Table"]

FOLDER = Path(__file__).parent

_ENTRIES = {
    "benchmarks": benchmarks.TABLES,
    "adversarial": adversarial.TABLES,
    "spatial": spatial.TABLES,
    "texture": texture.TABLES,
    "lesions": lesions.TABLES,
    "restrictions": restrictions.TABLES,
    "representations": representations.TABLES,
    "published": published.TABLES,
    "comparisons": comparisons.TABLES,
}
TABLES: Mapping[str, Table] = {
    name: table for tables in _ENTRIES.values() for name, table in tables.items()
}
# The relation of every table that is no query, the corruptions, and what makes it.
_CORRUPTIONS = "perturb/experiments/names.py"
# The other one, of some tables.
_CORRELATIONS = ("perturb/tables/correlations.py", "perturb/statistics.py")


@dataclass(frozen=True)
class Column:
    """What a column is called, measured in, and means."""

    label: str
    unit: str
    description: str


@cache
def columns() -> Mapping[str, Column]:
    """Return the description of every column of every table, by name."""
    with (FOLDER / "columns.csv").open(newline="", encoding="utf-8") as file:
        return {
            row["column"]: Column(row["label"], row["unit"], row["description"])
            for row in csv.DictReader(file)
        }


def tables_of(available: Collection[str]) -> tuple[str, ...]:
    """Return the names of the tables that a study has, in their order.

    Parameters
    ----------
    available : what is in the study: perturbations (corruptions under this one name, with or
        without a JPEG pass, made or stored), `cue_conflict`, `patterns`, `correlations`, `paper`
        (models that the paper has) and `published` (data sets that timm has results of).
    """
    return tuple(name for name, table in TABLES.items() if set(table.needs) <= set(available))


def checks_of(relation: str) -> Path | None:
    """Return the query for what is wrong with a relation, if it has one."""
    file = FOLDER / "relations" / "checks" / f"{relation}.sql"
    return file if file.exists() else None


def code_of(name: str) -> tuple[str, ...]:
    """Return the files that a table's bytes depend on, below the repository's root."""
    table = table_named(name)
    relations = [relation for relation in table.relations if relation != "rank_correlations"]
    checks = [relation for relation in relations if checks_of(relation)]
    [module] = [module for module, tables in _ENTRIES.items() if name in tables]
    modules = ["catalogue.py", "columns.csv", "display.py", "run.py", "write.py"]
    files = [
        f"{name}.sql",
        "macros.sql",
        *(f"relations/{relation}.sql" for relation in relations),
        *(f"relations/checks/{relation}.sql" for relation in checks),
        "entries/table.py",
        f"entries/{module}.py",
        *modules,
    ]
    correlations = _CORRELATIONS if "rank_correlations" in table.relations else ()
    return (*(f"perturb/tables/{file}" for file in files), _CORRUPTIONS, *correlations)


def table_named(name: str) -> Table:
    """Return the entry of a table.

    Raises
    ------
    ValueError
        if there is no such table.
    """
    if name not in TABLES:
        raise ValueError(f"table is {name!r}; allowed: {', '.join(TABLES)}")
    return TABLES[name]
