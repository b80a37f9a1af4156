"""Numbers as text for readers: percent, points, counts, with typographic signs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

MINUS, MISSING = "\N{MINUS SIGN}", "\N{EN DASH}"
# How the values of measures are shown, by the unit of a measure. Counts are of parameters.
MEASURE_FORMATS = {
    "fraction": "percent",
    "number": "number",
    "count": "parameters",
    "flops": "flops",
    "images_per_second": "images_per_second",
}


def formatted(value: Any, unit: str) -> str:
    """Return a value as text in its unit; an en dash for None."""
    if value is None:
        return MISSING
    text = _FORMATS[unit](value)
    if unit not in _SIGNED:
        return text
    is_zero = not text.strip("+-0.")
    return text.lstrip("+-") if is_zero else text.replace("-", MINUS)


def _human(value: float) -> str:
    """Return a count with three significant digits and k, M or G."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * size:
            scaled = value / size
            return f"{scaled:.{max(0, 2 - len(str(int(scaled))) + 1)}f}{suffix}"
    return f"{value:.0f}"


_FORMATS: Mapping[str, Callable[[Any], str]] = {
    "text": str,
    "flag": lambda value: "yes" if value else "no",
    "count": lambda value: f"{value:,.0f}",
    "parameters": _human,
    "flops": _human,
    "percent": lambda value: f"{100 * value:.1f}",
    "fraction": lambda value: f"{100 * value:.1f}",
    "points": lambda value: f"{100 * value:+.1f}",
    "number": lambda value: f"{value:.3f}",
    "ratio": lambda value: f"{value:.2f}",
    "probability": lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}",
    "seconds": lambda value: f"{value:,.1f}",
    "rate": lambda value: f"{value:,.0f}",
    "images_per_second": lambda value: f"{value:,.0f}",
}
_SIGNED = {"percent", "fraction", "points", "number", "ratio"}


def named(row: Mapping[str, Any]) -> str:
    """Return the name of a model in sentences, from a row of a table: network and pre-training."""
    pretraining = row["pretraining_label"]
    return (
        f"{row['architecture_label']} ({pretraining})" if pretraining else row["architecture_label"]
    )


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words as a list in a sentence."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def duration(seconds: float) -> str:
    """Return a time as text, in its two largest units."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join([f"{value} {unit}" for value, unit in parts if value][:2])
