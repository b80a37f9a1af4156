"""Laying results folders together: what one lacks is copied, nothing is overwritten.

Files get their names when they are whole, so that an interrupted merge continues. All get one
time: Snakemake makes a file again if what it was made from is newer, and the times of files of
several machines say nothing about that.
"""

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perturb.files import existing, replacing
from perturb.plan.receipts import write_entries
from perturb.sharing.folders import Folder


@dataclass(frozen=True)
class Copy:
    """A file that is copied into the merged folder, and the kind of the result it belongs to."""

    kind: str
    source: Path
    file: str


def copies(folders: Sequence[Folder], into: Path) -> list[Copy]:
    """Return the files that the merged folder lacks, each from the first folder that has it.

    Pixels precede their manifest, and weights their card, if one folder has both.
    """
    found: dict[str, Copy] = {}
    for folder in folders:
        for item in folder.items.values():
            is_new = not (into / item.file).exists()
            beside = item.beside
            # Without its manifest or card a file is left of an interrupted merge, and may be that
            # of another folder.
            is_needed = beside and (is_new or not (into / beside).exists())
            if beside and is_needed and folder.has(beside) and beside not in found:
                found[beside] = Copy(item.kind, folder.path / beside, beside)
            if is_new and item.file not in found:
                found[item.file] = Copy(item.kind, folder.path / item.file, item.file)
    return list(found.values())


def lay(copied: Sequence[Copy], into: Path) -> None:
    """Copy files into the merged folder.

    Raises
    ------
    OSError
        if there is no room for them; nothing is copied.
    """
    needed = sum(copy.source.stat().st_size for copy in copied)
    free = shutil.disk_usage(existing(into)).free
    if needed > free:
        raise OSError(
            f"{into}: {needed / 1e6:,.0f} MB are to be copied, {free / 1e6:,.0f} are free"
        )
    for copy in copied:
        with replacing(into / copy.file) as temporary:
            _copy(copy.source, temporary)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def write_receipts(folders: Sequence[Folder], into: Path) -> None:
    """Write the receipts of all folders: each lists what it lists in some folder.

    An entry is that of the file in the merged folder, whose identity it has.
    """
    files = {
        file: item.same["identity"]
        for folder in folders
        for file, item in folder.items.items()
        if "identity" in item.same
    }
    now = time.time_ns()
    for folder in folders:
        for item in folder.items.values():
            _date(into, filter(None, (item.file, item.beside)), now)
    names = dict.fromkeys(name for folder in folders for name in folder.receipts)
    for name in names:
        entries: dict[str, Mapping[str, Any]] = {}
        for file, entry in _entries(folders, name):
            if entry.get("identity") == files.get(file, "") and file not in entries:
                entries[file] = {**entry, "bytes": (into / file).stat().st_size}
        if entries:
            write_entries(into / name, entries)
            _date(into, [name], now)


def _entries(folders: Sequence[Folder], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for folder in folders:
        yield from folder.receipts.get(name, {}).items()


def _date(into: Path, files: Iterable[str], time_ns: int) -> None:
    for file in files:
        if (into / file).exists():
            os.utime(into / file, ns=(time_ns, time_ns))
