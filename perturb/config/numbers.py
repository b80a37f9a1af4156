"""Numbers in any spelling: `1e-3`, which YAML 1.1 reads as a string, is 0.001.

YAML 1.1 requires a point in the mantissa and a sign in the exponent, while people and programs
write numbers without them. Where the schema expects a number, a string that spells one is
converted, and whole numbers become integers: 30.0 is 30.
"""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from perturb.config.walk import Forms, rewritten
from perturb.severities import severity_id

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def with_numbers(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with strings converted to numbers where the schema expects numbers.

    Fractions, such as 4/255, are not converted, nor are strings that are no numbers: the schema
    refuses these with the user's own spelling.
    """
    return rewritten(raw, lambda _, value, forms: _as_number(value, forms))


def spelt_alike(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration that the schema allows with one spelling for equal numbers."""
    return rewritten(with_numbers(raw), lambda _, value, forms: _as_spelt(value, forms))


def _as_number(value: Any, forms: Forms) -> Any:
    types = {kind for form in forms for kind in _types(form)}
    if isinstance(value, bool) or not types & {"number", "integer"}:
        return value
    number = _parsed(value)
    # An epsilon may be a string, so a wrong string is refused as a string.
    if number is None or ("string" in types and not 0 <= number <= 1):
        return value
    return number


def _types(form: Mapping[str, Any]) -> list[str]:
    if "enum" in form:
        return ["integer"] if all(type(value) is int for value in form["enum"]) else []
    types = form.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _parsed(value: Any) -> float | None:
    """Return the value as a number, as an int if it is whole."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float) else None


def _as_spelt(value: Any, forms: Forms) -> Any:
    types = {kind for form in forms for kind in _types(form)}
    if not types >= {"number", "string"} or isinstance(value, bool):
        return value
    shown = severity_id(value).replace("_", "/")
    return shown if "/" in shown else _parsed(float(Fraction(shown)))
