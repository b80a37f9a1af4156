"""Classes of a dataset, and a check that two datasets number the same classes alike.

Classes are compared by name where both datasets have names, and by number where a class index or
numeric labels define the numbers. Without an index, names are numbered by their order within each
dataset: with other names, or fewer, the same number would mean another class. Labels that differ
from the names of the clean set only in case, blanks and punctuation are the same names.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from perturb.datasets.labels import normal_form

logger = logging.getLogger(__name__)

KEY = "classes"
"""Key of the classes in the metadata of a manifest."""
_NUM_NAMED = 3
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Classes:
    """The classes of a dataset.

    given_by : source of their numbers: a class `index`, `numbers` as labels, or the `order` of
        their names.
    are_folders : whether names are those of folders.
    names : class by name; of numeric labels, the names that a file keeps beside them.
    num_classes : one more than the highest class of an image; None if not known yet.
    """

    given_by: str
    are_folders: bool
    names: Mapping[str, int]
    num_classes: int | None = None

    @classmethod
    def in_order(cls, names: Collection[str], are_folders: bool) -> Classes:
        """Return classes numbered by the order of their names."""
        numbered = {name: position for position, name in enumerate(sorted(names))}
        return cls("order", are_folders, numbered)


def noted(classes: Classes) -> dict[str, Any]:
    """Return the classes as the metadata of a manifest keep them; targets give their number."""
    note = asdict(classes)
    del note["num_classes"]
    return {KEY: note}


def are_folders(layout: str) -> bool:
    """Return whether a layout names classes by folders."""
    return layout in ("class_folders", "corruptions", "cue_conflict")


def check_classes(here: Classes | None, there: Classes | None, names: tuple[str, str]) -> None:
    """Refuse a dataset whose classes are not those of the clean set.

    Parameters
    ----------
    here, there : classes of the dataset and of the clean set; None if an older manifest has none.
    names : names of the two datasets, for messages.

    Raises
    ------
    ValueError
        naming the classes that only one of them has.
    """
    if here is None or there is None:
        if there is None and here is not None and here.given_by == "order":
            logger.warning(
                "%s: its classes could not be compared with those of %s, whose manifest keeps no "
                "names: an older version decoded it",
                *names,
            )
        return
    reason = unlike(here, there, names[1])
    if reason:
        raise ValueError(f"{names[0]}: {reason}")
    if here.given_by == "numbers" and there.given_by == "order":
        _warn_of_few_numbers(here, there, names)
    if here.given_by == "order" and not _is_known(here, _spelt_as(here, there)):
        logger.warning(
            "%s: its classes have no name in common with those of %s and are matched by the order "
            "of their names; a `class_index` would say which class each is",
            *names,
        )


def _warn_of_few_numbers(here: Classes, there: Classes, names: tuple[str, str]) -> None:
    found, expected = here.num_classes or 0, len(there.names)
    if found < expected and here.names.keys().isdisjoint(there.names):
        logger.warning(
            "%s: its classes are numbers up to %d, taken for the first of the %d classes of %s in "
            "the order of their names; a file as `class_index` would say which class each is",
            names[0],
            found - 1,
            expected,
            names[1],
        )


def unlike(here: Classes, there: Classes, name: str) -> str | None:
    """Return why classes differ from those of the clean set, or may differ; None if they agree.

    Parameters
    ----------
    name : name of the clean set.
    """
    there = _spelt_as(here, there)
    if here.given_by == "order":
        return _unlike_by_order(here, there, name)
    other = sorted(n for n in here.names.keys() & there.names.keys() if _differ(n, here, there))
    if other:
        first = other[0]
        source = "`class_index` says" if here.given_by == "index" else "metadata say"
        return (
            f"its {source} that {first} is class {here.names[first]}, but in {name} it is "
            f"class {there.names[first]}"
        )
    if there.given_by == "order" and (here.num_classes or 0) > len(there.names):
        highest = (here.num_classes or 0) - 1
        return f"it has classes up to {highest}, but {name} has {len(there.names)}, from 0 on"
    return None


def _unlike_by_order(here: Classes, there: Classes, name: str) -> str | None:
    if _is_known(here, there):
        return None
    shared = here.names.keys() & there.names.keys()
    num_there = len(there.names) if there.given_by == "order" else _num_numbered(there)
    may_be_folders = not here.are_folders or not there.names
    if may_be_folders and not shared and num_there in (len(here.names), None):
        return _out_of_order(here, "its names") or (
            _out_of_order(there, f"the names of {name}") if there.given_by == "order" else None
        )
    what = "class folders" if here.are_folders else "labels"
    if not there.names:
        return (
            f"its {what} have {len(here.names)} names, but {name} has {num_there} classes by "
            "number; a `class_index` has to say which class each is"
        )
    differences = _only(here.names.keys() - there.names.keys(), "here")
    if there.given_by == "order" or differences:
        differences += _only(there.names.keys() - here.names.keys(), "there")
    if not differences:
        first = min(name for name in shared if _differ(name, here, there))
        differences = [f"{first} is class {here.names[first]} here and {there.names[first]} there"]
    return (
        f"its {what} are not those of {name} ({'; '.join(differences)}); a `class_index` for both "
        "has to say which class each is"
    )


def _is_known(here: Classes, there: Classes) -> bool:
    """Return whether the clean set has every name, with the same class."""
    if there.given_by == "order":
        return here.names == there.names
    return here.names.keys() <= there.names.keys() and not any(
        _differ(name, here, there) for name in here.names
    )


def _spelt_as(here: Classes, there: Classes) -> Classes:
    """Return the classes of the clean set with their names spelt as in a dataset's labels.

    Names stay as they are if spelling distinguishes classes, and for folders, whose names are
    exact.
    """
    if here.are_folders or not (_is_by_form(here) and _is_by_form(there)):
        return there
    spelt = {normal_form(name): name for name in here.names}
    return replace(there, names={spelt.get(normal_form(n), n): c for n, c in there.names.items()})


def _is_by_form(classes: Classes) -> bool:
    """Return whether names of equal normal form have equal classes."""
    known: dict[str, int] = {}
    return all(known.setdefault(normal_form(n), c) == c for n, c in classes.names.items())


def _out_of_order(classes: Classes, what: str) -> str | None:
    """Return why names cannot be matched by order: the numbers in them are sorted otherwise."""
    for one, other in pairwise(sorted(classes.names)):
        if _padded(one) > _padded(other):
            return (
                f"{what} hold numbers that are not in alphabetical order, in which {one} comes "
                f"before {other}; a `class_index` has to say which class each is"
            )
    return None


def _padded(name: str) -> str:
    return _DIGITS.sub(lambda digits: digits[0].zfill(20), name)


def _differ(name: str, here: Classes, there: Classes) -> bool:
    return here.names[name] != there.names[name]


def _num_numbered(there: Classes) -> int | None:
    if there.given_by == "index" and there.names:
        return max(there.names.values()) + 1
    return there.num_classes


def _only(names: set[str], where: str) -> list[str]:
    return [f"{', '.join(sorted(names)[:_NUM_NAMED])} only {where}"] if names else []
