"""Reads tables of images and labels: CSV, TSV, and the lists of file and class known from Caffe.

The header of a table names its columns; a table of two columns, the first of images, needs none. A
line of a list is a file and a label separated by blanks, which both may hold: the names of the
image files define where the first one ends. A table is refused if another column names all images
too, in another order.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perturb.datasets.real.files.archives import is_image_name
from perturb.datasets.real.sources.columns import find_column, is_header
from perturb.datasets.real.sources.matching import short_name
from perturb.datasets.real.sources.source import refuse, some

TABLES = (
    "A table is a text (CSV, TSV) with a header and a line for each image, such as `file,label` "
    "and `a.png,3`, with commas, semicolons, tabs or vertical bars"
)
"""Description of a table, for messages."""

_KEYS = ("image", "label")
_DELIMITERS = ("\t", ",", ";", "|")
_BLANKS = re.compile(r"[ \t]+")
# Kaggle's format of solutions: a class and the corners of a box, for each box.
_BOXES = re.compile(r"(\S+)(?: -?\d+){4}(?: \S+(?: -?\d+){4})*")


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table: its line in the file, and its cells of image and label."""

    line: int
    image: str
    label: str


def is_ordered(text: str) -> bool:
    """Return whether the first line of a file of labels is one word: a label without an image."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return not any(mark in first for mark in _DELIMITERS) and len(first.split()) == 1


def read_rows(
    text: str, path: Path, is_image: Callable[[str], bool], columns: Mapping[str, Any]
) -> list[TableRow]:
    """Return the rows of a table or a list.

    Parameters
    ----------
    path : path of the file, for messages.
    is_image : returns whether a cell names an image of the dataset.
    columns : `source.columns`, names of columns without a usual name.

    Raises
    ------
    ValueError
        if the table is damaged, or its columns cannot be found; lists the columns.
    """
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = _delimiter(first, is_image, columns)
    if delimiter is None:
        return _from_lines(text, path, is_image, columns)
    return _from_table(_table(text, delimiter, path), path, is_image, columns)


_Row = tuple[int, list[str]]


def _table(text: str, delimiter: str, path: Path) -> list[_Row]:
    """Return the rows that are not blank, each with the line where it ends."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(
            f"source.labels {path}: line {reader.line_num}: {error}. {TABLES}"
        ) from error


def _delimiter(
    first: str, is_image: Callable[[str], bool], columns: Mapping[str, Any]
) -> str | None:
    """Return the delimiter that makes the first line a header or follows an image; None: a list.

    The label in a list may hold delimiters: `a.png great white shark, carcharias`.
    """
    named = {str(name).strip() for name in columns.values()}
    marks = [mark for mark in _DELIMITERS if mark in first]
    rows = {m: next(csv.reader([first], delimiter=m, skipinitialspace=True)) for m in marks}
    for mark, row in rows.items():
        if len(row) > 1 and (is_header(row) or named & {cell.strip() for cell in row}):
            return mark
    for mark, row in rows.items():
        if is_image(row[0]) or _is_file(row[0]):
            return mark
    is_list = any(is_image(image) or _is_file(image) for image, _ in _pairs(first))
    return None if is_list or not marks else marks[0]


def _from_table(
    rows: Sequence[_Row], path: Path, is_image: Callable[[str], bool], columns: Mapping[str, Any]
) -> list[TableRow]:
    header, where = rows[0][1], f"source.labels {path}"
    is_data = not columns and not is_header(header) and (is_image(header[0]) or _is_file(header[0]))
    if is_data and len(header) != 2:
        raise ValueError(
            f"{where}: has {len(header)} columns and no header, which has to name them; "
            f"its first row is {some(header)}"
        )
    if is_data:
        image, label, has_boxes = 0, 1, False
    else:
        names = [find_column(key, header, columns, where) for key in _KEYS]
        image, label = (header.index(name) for name in names)
        has_boxes = names[1].strip().lower() == "predictionstring"
        rows = rows[1:]
        if not rows:
            raise ValueError(f"{where}: has a header and no rows")
    refuse(
        where,
        (
            f"line {line} has {len(cells)} cells, expected {len(header)}"
            for line, cells in rows
            if len(cells) != len(header)
        ),
    )
    if "image" not in columns:
        # A header names the column of labels, though its cells may look like images.
        others = {
            f"column {place + 1}, {name!r},": [cells[place] for _, cells in rows]
            for place, name in enumerate(header)
            if place != image and (is_data or place != label)
        }
        _check_images([cells[image] for _, cells in rows], others, is_image, where)
    read = _class_of_boxes if has_boxes else str
    return [TableRow(line, cells[image].strip(), read(cells[label])) for line, cells in rows]


def _check_images(
    images: Sequence[str],
    others: Mapping[str, Sequence[str]],
    is_image: Callable[[str], bool],
    where: str,
) -> None:
    """Refuse a column of images if another column names all images as exactly."""
    has_suffixes = all(map(_is_file, images))
    for name, cells in others.items():
        names_all = all(map(is_image, cells)) and len(set(cells)) == len(cells)
        is_as_exact = not has_suffixes or all(map(_is_file, cells))
        if names_all and is_as_exact and [*map(short_name, cells)] != [*map(short_name, images)]:
            raise ValueError(
                f"{where}: which column is the image? {name} names all images, too; write a "
                "header if there is none, and name the column as source.columns.image"
            )


def _class_of_boxes(cell: str) -> str:
    match = _BOXES.fullmatch(cell.strip())
    return match[1] if match else cell


def _is_file(cell: str) -> bool:
    return is_image_name(cell.strip())


def _from_lines(
    text: str, path: Path, is_image: Callable[[str], bool], columns: Mapping[str, Any]
) -> list[TableRow]:
    """Return the rows of a list of images and labels separated by blanks."""
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    has_head = _heads_list(lines[0][1].split(), path, is_image, columns)
    if has_head:
        lines = lines[1:]
        if not lines:
            raise ValueError(f"source.labels {path}: has a header and no rows")
    rows, faults = [], []
    for number, line in lines:
        splits = _pairs(line)
        known = [split for split in splits if is_image(split[0])]
        if len(known) > 1:
            faults.append(f"line {number}: {' and '.join(image for image, _ in known)} are images")
        # If no such image exists, the name ends with the suffix of an image.
        candidates = known or [split for split in splits if is_image_name(split[0])] or splits[-1:]
        rows.append(TableRow(number, *(candidates[0] if candidates else (line, ""))))
    refuse(f"source.labels {path}", faults)
    if not has_head:
        others = {"what comes after it": [row.label for row in rows]}
        _check_images([row.image for row in rows], others, is_image, f"source.labels {path}")
    return rows


def _pairs(line: str) -> list[tuple[str, str]]:
    """Return all splits of a line of a list into image and label."""
    return [(line[: m.start()], line[m.end() :]) for m in _BLANKS.finditer(line.strip())]


def _heads_list(
    words: Sequence[str], path: Path, is_image: Callable[[str], bool], columns: Mapping[str, Any]
) -> bool:
    """Return whether the first line of a list is a header; refuse one in another order."""
    where = f"source.labels {path}"
    is_head = len(words) == 2 and (columns or is_header(words)) and not is_image(words[0])
    if not is_head and columns:
        raise ValueError(f"source.columns: {path} has no header; it begins with {' '.join(words)}")
    if is_head and [find_column(key, words, columns, where) for key in _KEYS] != list(words):
        raise ValueError(f"{where}: in a list with blanks the image stands before the label")
    return bool(is_head)
