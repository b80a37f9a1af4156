"""Layout of tables for readers: the relevant columns, percent, intervals in brackets.

Files for programs (Parquet, CSV) contain every column and plain fractions. Here a value and the
ends of its interval become one cell, and long tables become wide. Only the layout is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from perturb.experiments.declaration import Pivot
from perturb.experiments.registry import table as declared_table
from perturb.formatting import MISSING, formatted
from perturb.tables.columns import Column, columns

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Header:
    """The head of a column that is shown."""

    label: str
    description: str
    is_number: bool


@dataclass(frozen=True)
class Cell:
    """A displayed value: its text, its interval's text if it has one, and its sort key."""

    text: str
    interval: str | None
    sort: float | str | None

    def __str__(self) -> str:
        return f"{self.text} [{self.interval}]" if self.interval else self.text


@dataclass(frozen=True)
class Grid:
    """A table in the layout for readers."""

    headers: list[Header]
    rows: list[list[Cell]]


# A column of a wide table: which column of the long one, and for which entry of `Pivot.names`.
_Place = tuple[str, Any]
_WideRow = tuple[list[Cell], dict[_Place, Cell]]


def grid(table: pa.Table, name: str) -> Grid:
    """Return the layout for readers of a table made by `make_table(name, ...)`."""
    entry = declared_table(name)
    rows = table.to_pylist()
    shown = tuple(column for column in entry.shown if not _is_silent(column, rows))
    headers = [_header(columns()[column]) for column in shown]
    if entry.pivot is None:
        return Grid(headers, [[_cell(row, column) for column in shown] for row in rows])
    wide = _widened(rows, shown, entry.pivot)
    empty = Cell(MISSING, None, None)
    places = _places(rows, wide, entry.pivot)
    headers += [_wide_header(place, entry.pivot, rows) for place in places]
    return Grid(
        headers,
        [[*index, *(values.get(place, empty) for place in places)] for index, values in wide],
    )


def _is_silent(column: str, rows: list[dict[str, Any]]) -> bool:
    """Return whether a text column is empty in every row, as that of warnings usually is."""
    return columns()[column].unit == "text" and bool(rows) and not any(row[column] for row in rows)


def _header(column: Column) -> Header:
    suffix = {"percent": " (%)", "points": " (pp)"}.get(column.unit, "")
    return Header(column.label + suffix, column.description, column.unit not in ("text", "flag"))


def _places(rows: list[dict[str, Any]], wide: list[_WideRow], pivot: Pivot) -> list[_Place]:
    """Return the wide columns in order, each with the clean value of the same images.

    A column of clean values is left out if it has the same values of as many images as the clean
    dataset's own column, or as an earlier column of clean values.
    """
    names = _distinct(rows, pivot.names)
    if pivot.beside is None:
        return [(pivot.values, name) for name in names]

    def said(place: _Place) -> tuple[object, ...]:
        sizes = {row["num_images"] for row in rows if row[pivot.names] == place[1]}
        return (max(sizes), *(str(values.get(place, MISSING)) for _, values in wide))

    clean = {row[pivot.names] for row in rows if row["test_set"] == "clean"}
    seen = {said((pivot.values, name)) for name in clean}
    places = []
    for name in names:
        beside = (pivot.beside, name)
        shown = said(beside)
        if shown not in seen and set(shown[1:]) != {MISSING}:
            seen.add(shown)
            places.append(beside)
        places.append((pivot.values, name))
    return places


def _wide_header(place: _Place, pivot: Pivot, rows: list[dict[str, Any]]) -> Header:
    column, name = columns()[place[0]], place[1]
    is_text = columns()[pivot.names].unit == "text"
    label = str(name) if is_text else f"{columns()[pivot.names].label} {name}"
    sizes = {row["num_images"] for row in rows if row[pivot.names] == name}
    count = f" n = {formatted(max(sizes), 'count')} images" if sizes else ""
    description = f"{column.description}, {label}.{count}"
    if place[0] == pivot.beside:
        label = f"{column.label}, same {formatted(max(sizes), 'count')} images"
    return Header(label, description, True)


def _widened(rows: list[dict[str, Any]], shown: tuple[str, ...], pivot: Pivot) -> list[_WideRow]:
    wide: dict[tuple[Any, ...], _WideRow] = {}
    for row in rows:
        key = tuple(row[column] for column in (*pivot.keys, *shown))
        _, values = wide.setdefault(key, ([_cell(row, column) for column in shown], {}))
        name = row[pivot.names]
        if (pivot.values, name) in values:
            raise ValueError(f"{pivot.names} {name!r} stands twice for {key}; allowed: once")
        for column in (pivot.values, pivot.beside):
            if column is not None:
                values[column, name] = _cell(row, column)
    return list(wide.values())


def _distinct(rows: list[dict[str, Any]], column: str) -> list[Any]:
    names = list(dict.fromkeys(row[column] for row in rows))
    # Models may have different numbers of a column's entries, such as of blocks.
    return names if columns()[column].unit == "text" else sorted(names)


def _cell(row: Row, column: str) -> Cell:
    is_by_row = columns()[column].unit == "by row"
    # Rows without a unit have plain numbers.
    unit = row.get("unit", "number") if is_by_row else columns()[column].unit
    value = row[column]
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    interval = None
    if low is not None and high is not None:
        interval = f"{formatted(low, unit)}, {formatted(high, unit)}"
    # The head of a column with several units names none.
    suffix = " pp" if is_by_row and unit == "points" and value is not None else ""
    return Cell(formatted(value, unit) + suffix, interval, value)
