"""Severities in the form that stands in paths, and their natural values."""

from fractions import Fraction


def severity_id(value: float | str) -> str:
    """Return the form of a severity that stands in paths: 4/255 becomes 4_255."""
    return str(value).replace("/", "_")


def severity_value(severity: str) -> float:
    """Return the natural value of a severity in that form."""
    return float(Fraction(severity.replace("_", "/")))
