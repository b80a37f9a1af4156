"""Label, unit and meaning of every column of every table.

A column of the tables of one experiment is described in its `columns.csv`, all others in that of
this folder; none is described twice.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from perturb.experiments import registry

SHARED = Path(__file__).parent / "columns.csv"


@dataclass(frozen=True)
class Column:
    """Label, unit and meaning of a column."""

    label: str
    unit: str
    description: str


@cache
def columns() -> Mapping[str, Column]:
    """Return the description of every column of every table, by name."""
    folders = (registry.FOLDER / name / "columns.csv" for name in registry.experiments())
    return merged_columns([SHARED, *(file for file in folders if file.is_file())])


def merged_columns(files: Sequence[Path]) -> Mapping[str, Column]:
    """Return the columns of several files.

    Raises
    ------
    ValueError
        if a column is described twice.
    """
    found: dict[str, Column] = {}
    places: dict[str, Path] = {}
    for path in files:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                name = row["column"]
                if name in places:
                    raise ValueError(f"column {name!r}: both {places[name]} and {path} declare it")
                places[name] = path
                found[name] = Column(row["label"], row["unit"], row["description"])
    return found
