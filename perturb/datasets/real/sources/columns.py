"""Which columns of a table hold the images and their labels: found by their names, or given."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from perturb.datasets.real.sources.rows import some

# In lower case, without blanks and underscores. The numbers of rows have names of the second kind.
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
    """Return the name of a table's column of images or of labels.

    Parameters
    ----------
    key : `image` or `label`.
    columns : of the table.
    given : `source.columns`, which names columns that have other names than the usual ones.
    where : the file, for messages.

    Raises
    ------
    ValueError
        listing the columns, if none or several have such a name.
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
    said = f"several can be: {some(found)}" if found else "none has a usual name"
    empty = [str(place) for place, name in enumerate(columns, start=1) if not name.strip()]
    if empty and not found:
        said += f", and column {some(empty)} has none: write one into the header, such as {key!r}"
    raise ValueError(
        f"{where}: which column is the {key}? {said}; name it as source.columns.{key}; "
        f"its columns are {some(columns)}"
    )


def usual_columns(key: str, columns: Sequence[str]) -> list[str]:
    """Return the columns whose names are usual for images or for labels; `id` only alone."""
    for names in _USUAL[key]:
        found = [column for column in columns if _plain(column) in names]
        if found:
            return found
    return []


def is_header(row: Sequence[str]) -> bool:
    """Return whether a row names columns of images and of labels."""
    return all(usual_columns(key, row) for key in _USUAL)


def _plain(column: str) -> str:
    return re.sub(r"[\s_.-]", "", column).lower()
