"""Charts in words, for readers who do not see them."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from perturb.experiments import registry
from perturb.experiments.captions import chart_caption
from perturb.formatting import formatted
from perturb.tables.columns import Column, columns

_SIGNS = {"percent": " %", "points": " percentage points"}


def chart_in_words(name: str, table: pa.Table, note: str) -> str:
    """Return a chart's title, its caption, the note beside it and the range of its values.

    Parameters
    ----------
    table : the first of the chart's tables.
    note : as `perturb.page.shown.note_beside` gives it.
    """
    chart = registry.chart(name)
    column = next((column for column in chart.drawn if column in columns()), None)
    spread = "" if column is None else _range(table.to_pylist(), column, columns()[column])
    return " ".join(filter(None, [f"{chart.title}.", chart_caption(name), note, spread]))


def _range(rows: list[dict[str, Any]], name: str, column: Column) -> str:
    """Return a sentence with the lowest and the highest value, and which models have them."""
    known = [row for row in rows if row[name] is not None]
    if not known or column.unit in ("text", "flag", "by row"):
        return ""
    ends = [choose(known, key=lambda row: row[name]) for choose in (min, max)]
    low, high = (_value(row, name, column.unit) for row in ends)
    return f"{column.label}: from {low} to {high}."


def _value(row: Mapping[str, Any], name: str, unit: str) -> str:
    value = formatted(row[name], unit) + _SIGNS.get(unit, "")
    owner = " ".join(
        str(row[part]) for part in ("architecture_label", "pretraining_label") if row.get(part)
    )
    return f"{value} ({owner})" if owner else value
