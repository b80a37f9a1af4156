"""Finds the columns of images and labels in a table, by usual names or by the configuration."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from perturb.datasets.real.sources.source import some

# In lower case, without blanks and underscores. `id` may also be the number of a row: tried last.
_USUAL: Mapping[str, Sequence[frozenset[str]]] = {
    "image": (
        frozenset(
            f"{what}{kind}"
            for what in ("", "image", "img", "file")
            for kind in ("", "s", "id", "name", "file", "filename", "path", "key")
            if what or kind not in ("", "s", "id")
        ),
        frozenset({"id"}),
    ),
    "label": (
        frozenset(
            {
                *("label", "labels", "class", "classes", "target", "targets", "category"),
                *("labelid", "labelname", "classid", "classname", "classlabel", "classindex"),
                *("classidx", "categoryid", "categoryname", "targetid", "synset", "wnid", "cls"),
                *("groundtruth", "predictionstring"),
            }
        ),
    ),
}


def find_column(key: str, columns: Sequence[str], given: Mapping[str, Any], where: str) -> str:
    """Return the name of the column of images or labels.

    Parameters
    ----------
    key : `image` or `label`.
    columns : names of all columns.
    given : `source.columns`, names of columns without a usual name.
    where : the file, for messages.

    Raises
    ------
    ValueError
        listing the columns, if no column or several columns qualify.
    """
    if key in given:
        named = [column for column in columns if column.strip() == str(given[key]).strip()]
        if len(named) == 1:
            return named[0]
        what = "several columns" if named else "not a column"
        raise ValueError(
            f"source.columns.{key} is {given[key]!r}, {what} of {where}; allowed: {some(columns)}"
        )
    found = usual_columns(key, columns)
    if len(found) == 1:
        return found[0]
    why = f"several can be: {some(found)}" if found else "none has a usual name"
    empty = [str(place) for place, name in enumerate(columns, start=1) if not name.strip()]
    if empty and not found:
        why += f", and column {some(empty)} has none: write one into the header, such as {key!r}"
    raise ValueError(
        f"{where}: which column is the {key}? {why}; name it as source.columns.{key}; "
        f"its columns are {some(columns)}"
    )


def usual_columns(key: str, columns: Sequence[str]) -> list[str]:
    """Return the columns with a usual name for images or labels; `id` only if no other has one."""
    for names in _USUAL[key]:
        found = [column for column in columns if _plain(column) in names]
        if found:
            return found
    return []


def is_header(row: Sequence[str]) -> bool:
    """Return whether a row has usual names of a column of images and a column of labels."""
    return all(usual_columns(key, row) for key in _USUAL)


def _plain(column: str) -> str:
    return re.sub(r"[\s_.-]", "", column).lower()
