"""Labels of images, parsed by the same rules for every layout.

A label is a number or a name. Whole numbers in any spelling (`10`, `10.0`, `1e1`, an integer or a
float of NumPy, Arrow or JSON) are numbers. Any other text is a name: the whole cell with inner
blanks and without outer ones, in Unicode's composed form (NFC), since macOS writes the decomposed
one. Missing values, fractions, booleans and lists are not labels; neither is a number in quotes,
brackets or other punctuation, which would sort wrongly as a name.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
# Numbers in punctuation, as in `(10,)`, `b'10'`, `="10"` and `10 %`, or with separated thousands.
_NEARLY_NUMBER = re.compile(
    r"(?:[bu](?=['\"]))?[\W_]*"
    rf"(?:\d+(?:,\s?\d+)+|\d{{1,3}}(?:[\s'_]\d{{3}})+|{_NUMBER.pattern})[\W_]*"
)
_MISSING = frozenset(
    {"nan", "-nan", "none", "null", "na", "n/a", "<na>", "nat", "#n/a", "inf", "-inf"}
)
_STRUCTURE = re.compile(
    r"\[.*\]|\{.*\}|(?:tensor|array|u?int\d*|float\d*|(?:np|numpy)\.\w+)\(.*\)", re.DOTALL
)

_UNLESS = ", unless a `class_index` has it as a name"

MAX_CLASS = 32767
"""The highest class that fits the int16 column of targets."""


@dataclass(frozen=True, slots=True)
class Label:
    """A parsed label.

    text : the label as a name.
    number : the label as a number, if it is a whole number.
    fault : reason why it is neither; a class index that has the text can still define its class.
    """

    text: str
    number: int | None = None
    fault: str | None = None


def label_of(value: object) -> Label:
    """Return the label of a value: a cell of a table, or a value of JSON or Arrow."""
    if value is None:
        return Label("", fault="is missing")
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8-sig").rstrip("\0")
        except UnicodeDecodeError:
            return Label(repr(value), fault="is not text")
    if isinstance(value, str):
        return label_of_text(value)
    if isinstance(value, bool):
        return Label(str(value), fault="is a truth value")
    if isinstance(value, Decimal):
        return _label_of_number(value)
    if isinstance(value, Integral):
        return _label_of_number(Decimal(int(value)))
    if isinstance(value, Real):
        return _label_of_number(Decimal(float(value)))
    return Label(repr(value), fault=f"is a {type(value).__name__}")


@lru_cache(maxsize=1 << 16)
def label_of_text(text: str) -> Label:
    """Return the label of a text, such as a cell of a table."""
    label = _number_or_name(text)
    if label.number is not None or label.fault is not None:
        return label
    if _STRUCTURE.fullmatch(label.text):
        return replace(label, fault=f"is a list or another structure{_UNLESS}")
    if _NEARLY_NUMBER.fullmatch(label.text):
        return replace(label, fault=f"looks like a number, but is not written as one{_UNLESS}")
    return label


def labels_of_folders(names: Sequence[str]) -> list[Label]:
    """Return the labels of class folders.

    Folder names such as `{cat}`, `[sic]` and `100%` are names, unless all folders look like
    numbers: programs do not write structured values as folder names.
    """
    are_numbers = all(_NEARLY_NUMBER.fullmatch(trimmed(name)) for name in names)
    return [label_of_text(name) if are_numbers else _number_or_name(name) for name in names]


def _number_or_name(text: str) -> Label:
    name = trimmed(text)
    if not name:
        return Label(name, fault="is empty")
    if name.casefold() in _MISSING:
        return Label(name, fault=f"stands for a missing value{_UNLESS}")
    if _NUMBER.fullmatch(name):
        label = _whole(name, Decimal(name))
        return replace(label, fault=f"{label.fault}{_UNLESS}") if label.fault else label
    return Label(name)


def composed(name: str) -> str:
    """Return a name in Unicode's composed form."""
    return unicodedata.normalize("NFC", name)


def trimmed(name: str) -> str:
    """Return a name in composed form, without surrounding blanks and zero-width characters."""
    kept = composed(name).strip()
    while kept and unicodedata.category(kept[0]) == "Cf":
        kept = kept[1:].lstrip()
    while kept and unicodedata.category(kept[-1]) == "Cf":
        kept = kept[:-1].rstrip()
    return kept


def normal_form(name: str) -> str:
    """Return a name in folded case, without blanks and punctuation."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(char for char in folded if unicodedata.category(char)[0] not in "ZCP")


def faults_of(labels: Sequence[Label], place: Callable[[int], str]) -> Iterator[str]:
    """Yield the faults of invalid labels, each with its place.

    Parameters
    ----------
    place : returns the place of a label by its position: the file, and the row or the sample.
    """
    for position, label in enumerate(labels):
        if label.fault is not None:
            named = f": label {label.text!r} {label.fault}" if label.text else " has no label"
            yield f"{place(position)}{named}"


def _label_of_number(number: Decimal) -> Label:
    if not number.is_finite():
        return Label(str(number), fault="stands for a missing value")
    label = _whole(str(float(number)), number)
    return label if label.number is None else Label(str(label.number), label.number)


def _whole(text: str, number: Decimal) -> Label:
    if number.adjusted() > 18 or number != number.to_integral_value():
        return Label(text, fault="is not a whole number")
    return Label(text, int(number))


def read_class_index(path: Path) -> dict[str, int]:
    """Return the classes by name in a JSON file.

    Raises
    ------
    ValueError
        if it is not a JSON object, a name occurs twice, or classes are neither all whole numbers
        from 0 to 32767 nor all lists.
    """
    try:
        pairs = json.loads(Path(path).read_text(encoding="utf-8-sig"), object_pairs_hook=_Pairs)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"source.class_index {path}: is not JSON ({error})") from error
    if not isinstance(pairs, _Pairs) or not pairs:
        raise ValueError(f"source.class_index {path}: allowed: a JSON object of names and classes")
    index: dict[str, Any] = {}
    for given, value in pairs:
        name = trimmed(given)
        if name in index:
            raise ValueError(f"source.class_index {path}: the name {name!r} occurs twice")
        index[name] = value
    if all(isinstance(value, list) and not isinstance(value, _Pairs) for value in index.values()):
        return {name: position for position, name in enumerate(index)}
    for name, value in index.items():
        # In Python a bool is an int; JSON's true is not a number.
        if type(value) is not int or not 0 <= value <= MAX_CLASS:
            shown = dict(value) if isinstance(value, _Pairs) else value
            raise ValueError(
                f"source.class_index {path}: {name} is {shown!r}; allowed: 0 to {MAX_CLASS}, or "
                "a list for every name"
            )
    return index


class _Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps repeated names."""
