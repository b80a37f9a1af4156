"""Severities in the form used in paths, and their natural values."""

from fractions import Fraction

_LEVELS = 255  # gray levels above black: epsilons are usually multiples of 1 / 255
# A decimal with more digits than this is written as a fraction, if it is equal to one.
_MOST_DECIMALS = 6
_LARGEST_DENOMINATOR = 10_000


def severity_id(value: float | str) -> str:
    """Return a severity in the form used in paths, the same for equal values.

    4/255, 8/510 and 0.01568627450980392 are 4_255; 1/2 and 0.50 are 0.5; 1.0 is 1.
    """
    number = float(Fraction(value) if isinstance(value, str) else value)
    if number.is_integer():
        return str(int(number))
    decimal = f"{number:.{_MOST_DECIMALS}f}".rstrip("0")
    if float(decimal) == number:
        return decimal
    levels = round(number * _LEVELS)
    if levels / _LEVELS == number:
        return f"{levels}_{_LEVELS}"
    simple = Fraction(number).limit_denominator(_LARGEST_DENOMINATOR)
    return str(simple).replace("/", "_") if float(simple) == number else repr(number)


def severity_value(severity: str) -> float:
    """Return the natural value of a severity in that form."""
    return float(Fraction(severity.replace("_", "/")))
