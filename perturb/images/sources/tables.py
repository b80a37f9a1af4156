"""Tables of images and labels: CSV, TSV and the lists of file and class that are used with Caffe.

A table has a header, by which its columns are found, unless it is two columns whose first one
names images. A list has a file and a label a line with blanks between them, which both may hold:
the files that there are say where the first one ends.
"""

import csv
import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perturb.images.archives import is_image_name
from perturb.images.sources.columns import find_column, is_header
from perturb.images.sources.rows import refuse, some

_DELIMITERS = ("\t", ",", ";")
_BLANKS = re.compile(r"[ \t]+")
# Of the winning solution's format on Kaggle: a class and the corners of a box, once for each box.
_BOXES = re.compile(r"(\S+)(?: -?\d+){4}(?: \S+(?: -?\d+){4})*")


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table: its line in the file, and its cells for the image and the label."""

    line: int
    image: str
    label: str


def is_ordered(text: str) -> bool:
    """Return whether the first line of a file of labels is one word: a label, without an image."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return not any(mark in first for mark in _DELIMITERS) and len(first.split()) == 1


def read_rows(
    text: str, path: Path, is_image: Callable[[str], bool], columns: Mapping[str, Any]
) -> list[TableRow]:
    """Return the rows of a table or a list.

    Parameters
    ----------
    path : of the file, for messages.
    is_image : whether a cell names an image of the data set.
    columns : `source.columns`, names of columns that have other names than the usual ones.

    Raises
    ------
    ValueError
        if the table is damaged, or its columns cannot be found; it lists the columns.
    """
    first = next(line for line in text.splitlines() if line.strip())
    marks = [mark for mark in _DELIMITERS if mark in first]
    if not marks:
        return _from_lines(text, path, is_image, columns)
    tables = [_table(text, mark, path) for mark in marks]
    return _from_table(_best(tables, columns), path, is_image, columns)


_Row = tuple[int, list[str]]


def _table(text: str, delimiter: str, path: Path) -> list[_Row]:
    """Return the rows that are not blank, and the line in which each ends."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(f"source.labels {path}: line {reader.line_num}: {error}") from error


def _best(tables: Sequence[list[_Row]], columns: Mapping[str, Any]) -> list[_Row]:
    """Return the table, of those by each delimiter in it, whose first row is a header."""
    for rows in tables:
        header = rows[0][1]
        named = {str(name).strip() for name in columns.values()}
        if len(header) > 1 and (is_header(header) or named & {cell.strip() for cell in header}):
            return rows
    return tables[0]


def _from_table(
    rows: Sequence[_Row], path: Path, is_image: Callable[[str], bool], columns: Mapping[str, Any]
) -> list[TableRow]:
    header, where = rows[0][1], f"source.labels {path}"
    is_data = not columns and not is_header(header) and (is_image(header[0]) or _is_file(header[0]))
    if is_data and len(header) != 2:
        raise ValueError(
            f"{where}: has {len(header)} columns and no header, which has to say what they are; "
            f"its first row is {some(header)}"
        )
    if is_data:
        image, label, has_boxes = 0, 1, False
    else:
        names = [find_column(key, header, columns, where) for key in ("image", "label")]
        _check_single(names, header, where)
        image, label = (header.index(name) for name in names)
        has_boxes = names[1].strip().lower() == "predictionstring"
        rows = rows[1:]
    refuse(
        where,
        (
            f"line {line} has {len(cells)} cells, expected {len(header)}"
            for line, cells in rows
            if len(cells) != len(header)
        ),
    )
    read = _class_of_boxes if has_boxes else str
    return [TableRow(line, cells[image].strip(), read(cells[label])) for line, cells in rows]


def _check_single(names: Collection[str], header: Sequence[str], where: str) -> None:
    for name in names:
        if header.count(name) > 1:
            raise ValueError(f"{where}: the column {name!r} occurs twice; all: {some(header)}")


def _class_of_boxes(cell: str) -> str:
    match = _BOXES.fullmatch(cell.strip())
    return match[1] if match else cell


def _is_file(cell: str) -> bool:
    return is_image_name(cell.strip())


def _from_lines(
    text: str, path: Path, is_image: Callable[[str], bool], columns: Mapping[str, Any]
) -> list[TableRow]:
    where = f"source.labels {path}"
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    header = lines[0][1].split()
    if len(header) == 2 and (columns or is_header(header)) and not is_image(header[0]):
        for key in ("image", "label"):
            find_column(key, header, columns, where)
        if find_column("image", header, columns, where) != header[0]:
            raise ValueError(f"{where}: in a list with blanks the image stands before the label")
        lines = lines[1:]
    elif columns:
        raise ValueError(f"source.columns: {path} has no header; its first line is {lines[0][1]!r}")
    rows, faults = [], []
    for number, line in lines:
        splits = [(line[: m.start()], line[m.end() :]) for m in _BLANKS.finditer(line)]
        known = [split for split in splits if is_image(split[0])]
        if len(known) > 1:
            faults.append(f"line {number}: {' and '.join(image for image, _ in known)} are images")
        # Of an image that there is not the suffix says where its name ends.
        candidates = known or [split for split in splits if is_image_name(split[0])] or splits[-1:]
        rows.append(TableRow(number, *(candidates[0] if candidates else (line, ""))))
    refuse(where, faults)
    return rows
