"""Input and output of a layout: a `Source` and a `Listing`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from perturb.datasets.real.files.archives import Entry
from perturb.datasets.real.files.file_names import BESIDE, LeftOut, is_image_name, is_text_beside
from perturb.datasets.real.files.locators import Locator

_WILD = re.compile(r"[*?]")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LABEL_FILES = ("labels", "synsets", "accepted_labels", "class_index")


@dataclass(frozen=True)
class Listing:
    """The images of a dataset, in the order of its rows.

    image_ids : ids relative to the source, independent of its path.
    targets : class of each image.
    locators : locator of the bytes of each image.
    classes : class by name, of all names in the class index.
    given_by : source of the class numbers, as of `perturb.datasets.classes.Classes`.
    columns : further columns, a value per image: `texture`, a class; `accepted`, classes.
    unused_files : (name, reason) of files that are not images of the dataset and do not belong
        there.
    """

    image_ids: Sequence[str]
    targets: Sequence[int]
    locators: Sequence[Locator]
    classes: Mapping[str, int]
    given_by: str
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    unused_files: Sequence[tuple[str, str]] = ()

    def __len__(self) -> int:
        return len(self.image_ids)

    def only(self, rows: Sequence[int]) -> "Listing":
        """Return the listing of some rows."""
        return replace(
            self,
            image_ids=[self.image_ids[row] for row in rows],
            targets=[self.targets[row] for row in rows],
            locators=[self.locators[row] for row in rows],
            columns={n: [values[row] for row in rows] for n, values in self.columns.items()},
        )


@dataclass(frozen=True)
class Source:
    """The `source` of a dataset in the configuration.

    root : folder that its paths are relative to.
    part : one of several datasets in the source, e.g. `gaussian_noise-3`; None for all of it.
    num_classes : expected number of classes, if known.
    left_out : collects files that are not data.
    """

    options: Mapping[str, Any]
    root: Path
    part: str | None = None
    num_classes: int | None = None
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    @property
    def path(self) -> Path:
        """The folder or archive; the root itself for a whole download."""
        path = self.root / str(self.options.get("path", "."))
        if not path.exists():
            raise ValueError(f"source.path is {self.options.get('path')!r}; {path} does not exist")
        return path

    @property
    def paths(self) -> list[Path]:
        """The files of a path with `*` or `{000000..000063}` in it, sorted.

        The suffix is matched in any case. Files that are not data are left out unless the path
        names them.

        Raises
        ------
        ValueError
            if there is no file, or a file of a range is missing.
        """
        pattern = str(self.options.get("path", "."))
        paths: list[Path] = []
        for name in _expanded(pattern):
            found = self._matches(name)
            if not found:
                hidden = f"; left out: {self.left_out}" if self.left_out.names else ""
                raise ValueError(
                    f"source.path is {pattern!r}; no such file in {self.root}: {name}{hidden}"
                )
            paths += found
        return paths

    def _matches(self, name: str) -> list[Path]:
        if not _WILD.search(name):
            if not (self.root / name).exists():
                raise ValueError(f"source.path: {self.root / name} does not exist")
            return [self.root / name]
        anchor = Path(name).anchor
        base, below = Path(anchor) if anchor else self.root, name.removeprefix(anchor)
        return [
            path
            # Brackets are not wildcards: folder names may hold them.
            for path in sorted(base.glob(_any_case(below.replace("[", "[[]"))))
            if not self.names_file(path) and self._keeps(path.relative_to(base), below)
        ]

    def _keeps(self, path: Path, pattern: str) -> bool:
        """Return whether a file that matches a pattern is data, by its parts under wildcards."""
        if is_text_beside(path.name) and path.suffix.lower() in ("", ".md", ".txt"):
            self.left_out.add(BESIDE, [path.as_posix()])
            return False
        asked = [part for part in PurePath(pattern).parts if not _WILD.search(part)]
        return not self.left_out.takes("/".join(part for part in path.parts if part not in asked))

    def names_file(self, path: Path) -> bool:
        """Return whether the source names a file as labels; add it to those left out if so."""
        keys = (key for key in _LABEL_FILES if self.options.get(key) not in (None, "numbers"))
        files = (file for file in map(self.file, keys) if file is not None)
        found = any(file.resolve() == path.resolve() for file in files)
        if found:
            self.left_out.add(BESIDE, [path.name])
        return found

    def file(self, key: str) -> Path | None:
        """Return the file that a key of the source names, None if the key is absent.

        Raises
        ------
        ValueError
            if there is no such file.
        """
        if key not in self.options:
            return None
        path = self.root / str(self.options[key])
        if path.exists():
            return path
        raise ValueError(f"source.{key} is {self.options[key]!r}; {path} does not exist")


def split_unused(entries: Sequence[Entry]) -> tuple[list[Entry], list[tuple[str, str]]]:
    """Return the images among entries, and the other files with reasons."""
    images = [entry for entry in entries if is_image_name(entry.name)]
    others = [entry.name for entry in entries if not is_image_name(entry.name)]
    return images, [(name, "is not named like an image") for name in others]


def unique_ids(names: Sequence[str], prefixes: Sequence[str]) -> list[str]:
    """Return the names if they are distinct, else each prefixed with the name of its file."""
    if len(set(names)) == len(names):
        return list(names)
    return [f"{prefix}/{name}" for prefix, name in zip(prefixes, names, strict=True)]


def some(names: Sequence[object], most: int = 10) -> str:
    """Return the first names as text, and the number of the others."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _any_case(pattern: str) -> str:
    """Return a pattern that matches its suffix in any case: tools on Windows write .TAR."""
    stem, dot, suffix = pattern.rpartition(".")
    if not dot or not suffix.isalnum():
        return pattern
    return stem + dot + "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in suffix)


def refuse(where: str, faults: Iterable[str]) -> None:
    """Raise a ValueError with the first ten faults and their number, if there are any."""
    found = list(faults)
    if found:
        shown = "; ".join(found[:10])
        rest = f"; and {len(found) - 10} more, {len(found)} in all" if found[10:] else ""
        raise ValueError(f"{where}: {shown}{rest}")


def _expanded(pattern: str) -> list[str]:
    match = _RANGE.search(pattern)
    if match is None:
        return [pattern]
    first, last = match.groups()
    numbers = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
    return [name for number in numbers for name in _expanded(_RANGE.sub(number, pattern, count=1))]
