"""Why a chart is empty in a study."""

from collections.abc import Iterable, Mapping

from perturb.experiments.registry import chart as declared_chart


def why_empty(name: str, drawn: Mapping[str, Iterable[float | None]]) -> str:
    """Return the reason why a chart is empty in this study, or an empty text if it is not.

    Parameters
    ----------
    name : of a declared chart.
    drawn : the values of the columns that it shows (`Chart.drawn`) of its first table, by column.
    """
    chart = declared_chart(name)
    values = (value for column in chart.drawn for value in drawn[column])
    # NaN is no number, and so greater than none.
    least = 0.0 if chart.is_logarithmic else float("-inf")
    return "" if any(value is not None and value > least for value in values) else chart.empty
