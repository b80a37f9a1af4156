"""Which class a folder's name or a label stands for.

A class index is a JSON object: from names to class numbers, or, as in the map of the sixteen
classes, from names to lists, with the classes in the order of its keys. `numbers` says that the
names are the numbers themselves: ImageNet-V2's folders 0 to 999 would be out of order if they were
sorted as words.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from perturb.images.sources.rows import Source, some

MAX_CLASS = 32767
"""The highest class that fits the int16 column of targets."""


def class_index(source: Source, names: Collection[str], *, are_labels: bool) -> dict[str, int]:
    """Return the class of every name that the source's class index knows.

    Parameters
    ----------
    names : the names that occur.
    are_labels : labels that are numbers are classes where no index knows them; names of folders
        are classes only if `class_index: numbers` says so.

    Raises
    ------
    ValueError
        if a name is not in the index, or the index is not one.
    """
    asked = source.options.get("class_index")
    # A label of -1 stands for none in some test sets: it must not pass for a name.
    are_numbers = all(name.removeprefix("-").isdecimal() for name in names)
    if asked == "numbers":
        return _numbers(source, names)
    if asked is None and not (are_numbers and names):
        return {name: position for position, name in enumerate(sorted(names))}
    if asked is None and are_labels:
        return _numbers(source, names)
    if asked is None:
        raise ValueError(
            f"source.path {source.options.get('path')!r}: its folders are numbers; say "
            "`class_index: numbers`, or name a file that says which class each is"
        )
    path = source.file("class_index")
    assert path is not None
    index = read_class_index(path)
    if are_labels and are_numbers and not index.keys() & set(names):
        return index | _numbers(source, names, num_classes=max(index.values()) + 1)
    unknown = sorted(set(names) - index.keys())
    if unknown:
        raise ValueError(f"source.class_index {path}: does not know {some(unknown)}")
    return index


def read_class_index(path: Path) -> dict[str, int]:
    """Return the classes by name in a JSON file.

    Raises
    ------
    ValueError
        if it is not a JSON object, or a class is not a whole number from 0 to 32767 and not every
        one is a list.
    """
    try:
        index = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"source.class_index {path}: is not JSON ({error})") from error
    if not isinstance(index, Mapping) or not index:
        raise ValueError(f"source.class_index {path}: allowed: a JSON object of names and classes")
    if all(isinstance(value, list) for value in index.values()):
        return {str(name): position for position, name in enumerate(index)}
    for name, value in index.items():
        # In Python, not in JSON, true is a whole number.
        if type(value) is not int or not 0 <= value <= MAX_CLASS:
            raise ValueError(
                f"source.class_index {path}: {name} is {value!r}; allowed: 0 to {MAX_CLASS}, or "
                "a list for every name"
            )
    return {str(name): int(value) for name, value in index.items()}


def _numbers(
    source: Source, names: Collection[str], num_classes: int | None = None
) -> dict[str, int]:
    """Return the names as numbers, and the other numbers below the number of classes."""
    wrong = sorted(name for name in names if not name.isdecimal() or int(name) > MAX_CLASS)
    if wrong:
        raise ValueError(
            f"source.class_index is {source.options.get('class_index')!r}: {some(wrong)} "
            f"is not a class; allowed: 0 to {MAX_CLASS}"
        )
    beyond = sorted(name for name in names if num_classes and int(name) >= num_classes)
    if beyond:
        raise ValueError(
            f"label {some(beyond)} is beyond the {num_classes} classes of source.class_index; "
            "classes count from 0"
        )
    known = {str(number): number for number in range(source.num_classes or 0)}
    return known | {name: int(name) for name in names}
