"""Classes of folder names and labels, by a class index, by number or by order.

A class index is a JSON object from names to class numbers, or, as in the map of the sixteen
classes, from names to lists, with classes in the order of its keys. `numbers` declares that names
are class numbers: ImageNet-V2's folders 0 to 999 would be misnumbered in alphabetical order.
Without an index, numeric labels are classes, and names are numbered by their order; a mixture of
numbers and names is refused, and so are numeric folder names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perturb.datasets.labels import MAX_CLASS, Label, faults_of, label_of_text, read_class_index
from perturb.datasets.real.sources.source import Source, refuse, some


@dataclass(frozen=True)
class Numbering:
    """The class of each label, in their order, and of each known name; see `Listing`."""

    targets: list[int]
    classes: Mapping[str, int]
    given_by: str


def numbering(
    source: Source,
    labels: Sequence[Label],
    place: Callable[[int], str],
    *,
    are_folders: bool = False,
) -> Numbering:
    """Return the classes of labels.

    Parameters
    ----------
    place : returns the place of a label by its position, for messages: the file, and the row or
        the sample.
    are_folders : labels are folder names; numeric ones need `class_index: numbers`.

    Raises
    ------
    ValueError
        if a label is invalid or not in the index, or the index is invalid.
    """
    asked = source.options.get("class_index")
    path = source.file("class_index") if asked != "numbers" else None
    index = read_class_index(path) if path is not None else {}
    where = f"source.path {source.options.get('path')!r}"
    if are_folders and asked is not None:
        _check_spellings(labels, where)
    unknown = [row for row, one in enumerate(labels) if one.fault and one.text not in index]
    refuse(where, faults_of([labels[row] for row in unknown], lambda row: place(unknown[row])))
    distinct: dict[Label, int] = {}
    for row, label in enumerate(labels):
        distinct.setdefault(label, row)
    named = {label: place(row) for label, row in distinct.items()}
    if path is not None:
        classes, given_by = _indexed(path, index, named, are_folders), "index"
    elif asked == "numbers" or (not are_folders and _are_numbers(named, where)):
        classes, given_by = _numbers(source, named), "numbers"
    else:
        classes, given_by = _in_order(named, where, are_folders), "order"
    return Numbering([classes[label.text] for label in labels], classes, given_by)


def _indexed(
    path: Path, index: Mapping[str, int], named: Mapping[Label, str], are_folders: bool
) -> dict[str, int]:
    """Return the classes by an index, whose numeric names may be spelt otherwise."""
    by_number = _by_number(path, index)
    found: dict[str, int] = {}
    for label in named:
        if label.text in index:
            found[label.text] = index[label.text]
        elif label.number in by_number:
            found[label.text] = by_number[label.number]
    are_numbers = all(label.number is not None for label in named)
    if not are_folders and are_numbers and not found and not by_number:
        return dict(index) | _within(named, max(index.values()) + 1)
    unknown = sorted((one.text, place) for one, place in named.items() if one.text not in found)
    if unknown:
        places = "" if are_folders else f" (first {unknown[0][1]})"
        names = some([text for text, _ in unknown])
        raise ValueError(f"source.class_index {path}: does not know {names}{places}")
    return dict(index) | found


def _by_number(path: Path, index: Mapping[str, int]) -> dict[int | None, int]:
    """Return the classes of the numeric names of an index; `1`, `01` and `1.0` are equal."""
    spelt: dict[int | None, str] = {}
    for name in index:
        number = label_of_text(name).number
        other = spelt.setdefault(number, name)
        if number is not None and index[other] != index[name]:
            raise ValueError(
                f"source.class_index {path}: {other} and {name} are the same number, but have the "
                f"classes {index[other]} and {index[name]}"
            )
    return {number: index[name] for number, name in spelt.items() if number is not None}


def _within(named: Mapping[Label, str], num_classes: int) -> dict[str, int]:
    """Return the numbers of labels; refuse those beyond the classes of the index."""
    beyond = [
        f"label {label.text} is beyond the {num_classes} classes of source.class_index"
        for label in named
        if label.number is not None and not 0 <= label.number < num_classes
    ]
    refuse("classes count from 0", sorted(beyond))
    return _by_text(named)


def _numbers(source: Source, named: Mapping[Label, str]) -> dict[str, int]:
    """Return the numbers of labels, and all other numbers below the number of classes."""
    wrong = [
        f"{label.text} is not a class; allowed: 0 to {MAX_CLASS} ({place})"
        for label, place in named.items()
        # Some test sets label images -1 for no class: it must not pass for a name.
        if label.number is None or not 0 <= label.number <= MAX_CLASS
    ]
    refuse(f"source.class_index is {source.options.get('class_index')!r}", sorted(wrong))
    known = {str(number): number for number in range(source.num_classes or 0)}
    return known | _by_text(named)


def _check_spellings(folders: Sequence[Label], where: str) -> None:
    """Refuse folders of the same number, such as 7 and 007."""
    seen: dict[int, str] = {}
    for label in folders:
        if label.number is None:
            continue
        other = seen.setdefault(label.number, label.text)
        if other != label.text:
            raise ValueError(f"{where}: {other} and {label.text} are the same number")


def _by_text(named: Mapping[Label, str]) -> dict[str, int]:
    return {label.text: label.number for label in named if label.number is not None}


def _are_numbers(named: Mapping[Label, str], where: str) -> bool:
    """Return whether all labels are numbers; refuse a mixture of numbers and names."""
    numbers = {label: place for label, place in named.items() if label.number is not None}
    names = {label: place for label, place in named.items() if label.number is None}
    if numbers and names:
        raise ValueError(
            f"{where}: some labels are numbers ({_first(numbers)}) and some are names "
            f"({_first(names)}); name a file as `class_index` that defines the class of each"
        )
    return bool(numbers)


def _first(labels: Mapping[Label, str]) -> str:
    label, place = next(iter(labels.items()))
    return f"{label.text!r}, {place}"


def _in_order(named: Mapping[Label, str], where: str, are_folders: bool) -> dict[str, int]:
    if named and are_folders and _are_numbers(named, where):
        raise ValueError(
            f"{where}: its folders are numbers; set "
            "`class_index: numbers`, or name a file that defines the class of each"
        )
    return {name: position for position, name in enumerate(sorted({n.text for n in named}))}
