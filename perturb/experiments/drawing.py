"""Charts by name: drawn by their entry points, or the reason why they are empty."""

from collections.abc import Mapping

import altair as alt
import pandas as pd
from altair.utils.schemapi import debug_mode

from perturb.charts.runs import over_runs
from perturb.charts.sentences import nothing
from perturb.experiments.emptiness import why_empty
from perturb.experiments.registry import chart as declared_chart
from perturb.experiments.registry import drawing_of


def draw(name: str, tables: Mapping[str, pd.DataFrame]) -> alt.TopLevelMixin:
    """Return a chart; an empty chart is a sentence with the reason.

    Parameters
    ----------
    name : of a declared chart.
    tables : the tables that it shows, as made by `make_table`. Of others it takes `models` alone,
        which has the run of each model that is trained several times.

    Raises
    ------
    ValueError
        if there is no such chart, or a table is missing.
    """
    chart = declared_chart(name)
    missing = [table for table in chart.tables if table not in tables]
    if missing:
        raise ValueError(f"{name}: tables {missing} are missing; needed: {list(chart.tables)}")
    first = tables[chart.tables[0]]
    reason = why_empty(name, {column: first[column].tolist() for column in chart.drawn})
    if reason:
        return nothing(reason)
    shown = {table: tables[table] for table in {*chart.tables, "models"} if table in tables}
    shown = shown if chart.is_of_runs else over_runs(shown)
    # Altair limits the file size, but charts contain all data.
    alt.data_transformers.disable_max_rows()
    # Without validation of each part, a tenth of the time: the tests validate whole charts.
    with debug_mode(False):
        drawn: alt.TopLevelMixin = drawing_of(name)(*(shown[table] for table in chart.tables))
    return drawn
