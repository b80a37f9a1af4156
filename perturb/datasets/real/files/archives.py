"""Lists the files in a folder, a tar or a zip archive, each with its name and locator.

Archives are listed and not unpacked; a damaged one is refused. Files that are not data (see
`file_names`) are left out and counted in the log. Names are in Unicode's composed form, so that
names from macOS equal those from other systems.
"""

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

from perturb.datasets.real.files.file_names import (
    BESIDE,
    NO_IMAGES,
    LeftOut,
    is_archive,
    is_image_name,
    is_text_beside,
    may_be_picture,
)
from perturb.datasets.real.files.walking import Entry, Folder, walk

__all__ = ["Entry", "is_archive", "is_image_name", "list_entries"]

logger = logging.getLogger(__name__)


def list_entries(
    path: Path, *, depth: int | None = None, below: str = "", left_out: LeftOut | None = None
) -> list[Entry]:
    """Return the files in a folder or an archive, sorted by name.

    Parameters
    ----------
    depth : number of folders around each file. If all files lie one level deeper in one common
        folder, as in many archives, names omit that folder. Folders without images and texts
        beside the folders are left out. None: names stay as they are, and all data files count.
    below : only files in a folder of this name, at any depth; names are relative to it.
    left_out : collects files that are left out; None: they are logged here.

    Raises
    ------
    ValueError
        if there is no such folder or archive, it cannot be read to its end, it holds special files
        or, in an archive, links or files of more than `MAX_MEMBER_BYTES`, or two files or folders
        share a name.
    """
    taken = LeftOut() if left_out is None else left_out
    items = _composed(path, _separated(path, walk(path, taken)))
    found = _below([item for item in items if not taken.takes(item.name)], below)
    if depth is None:
        entries = [item for item in found if isinstance(item, Entry)]
    else:
        entries = _without_enclosing(_with_images(found, taken), depth)
    beside = {entry.name for entry in entries if depth is not None and _is_beside(entry, depth)}
    if beside:
        taken.add(BESIDE, sorted(beside))
    kept = [entry for entry in entries if entry.name not in beside]
    kept.sort(key=lambda entry: entry.name)
    for one, other in pairwise(kept):
        if one.name == other.name:
            raise ValueError(f"{path}: {one.name} occurs twice")
    if left_out is None and taken.names:
        logger.info("%s: left out %s", path, taken)
    return kept


def _separated(path: Path, found: list[Entry | Folder]) -> list[Entry | Folder]:
    """Return the items with slashes for backslashes, if backslashes are the only separators.

    Some programs on Windows write such archives, also when unpacked on Unix.

    Raises
    ------
    ValueError
        if names hold both: a backslash may then be part of a name.
    """
    mixed = next((item.name for item in found if "\\" in item.name), None)
    if mixed is None:
        return found
    if any("/" in item.name for item in found):
        raise ValueError(
            f"{path}: the name {mixed!r} holds a backslash, and other names hold slashes; it must "
            "be clear what separates folders: pack or name the files anew, with slashes alone"
        )
    names = [PurePosixPath(item.name.replace("\\", "/")).as_posix() for item in found]
    return [replace(item, name=name) for item, name in zip(found, names, strict=True)]


def _composed(path: Path, items: Iterable[Entry | Folder]) -> Iterator[Entry | Folder]:
    """Yield the items with names in Unicode's composed form (NFC).

    Raises
    ------
    ValueError
        if two folders have the same name in two forms, or a name leads out of the archive.
    """
    written: dict[str, str] = {}
    known: set[str] = set()
    for item in items:
        name = unicodedata.normalize("NFC", item.name)
        folder = item.name if isinstance(item, Folder) else item.folder
        if folder not in known:
            known.add(folder)
            if ".." in item.name.split("/"):
                raise ValueError(f"{path}: the name {item.name!r} leads out of it")
            composed = unicodedata.normalize("NFC", folder)
            if written.setdefault(composed, folder) != folder:
                raise ValueError(
                    f"{path}: two folders have the name {composed!r}, written in two forms of "
                    f"Unicode ({written[composed]!a} and {folder!a}); join them, or rename one"
                )
        yield item if name == item.name else replace(item, name=name)


def _is_beside(entry: Entry, depth: int) -> bool:
    """Return whether a file is not data: not an image, and at a level without images."""
    if entry.folder or is_image_name(entry.name):
        return False
    return depth > 0 or is_text_beside(entry.name)


def _below(items: Sequence[Entry | Folder], folder: str) -> list[Entry | Folder]:
    if not folder:
        return list(items)
    inside = [(f"/{item.name}".partition(f"/{folder}/")[2], item) for item in items]
    return [replace(item, name=name) for name, item in inside if name]


def _with_images(items: Sequence[Entry | Folder], taken: LeftOut) -> list[Entry]:
    """Return the files outside of folders without images, which are added to those left out.

    A folder with files that may be images of an unsupported format is kept with its files: they
    are refused later, whereas an empty class would go unnoticed.
    """
    folders: dict[str, bool] = {}
    for item in items:
        folder = item.folder if isinstance(item, Entry) else item.name
        if folders.setdefault(folder, False) or isinstance(item, Folder):
            continue
        folders[folder] = is_image_name(item.name) or may_be_picture(item.name)
    holding = {name for folder, holds in folders.items() if holds for name in _upwards(folder)}
    empty = {name for folder in folders for name in _upwards(folder)} - holding
    if empty:
        taken.add(NO_IMAGES, sorted(name for name in empty if name.rpartition("/")[0] not in empty))
    return [item for item in items if isinstance(item, Entry) and item.folder not in empty]


def _upwards(folder: str) -> Iterator[str]:
    """Yield a folder and all folders around it."""
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _without_enclosing(entries: list[Entry], depth: int) -> list[Entry]:
    """Return the entries without their common enclosing folder, if they lie too deep."""
    tops = {entry.name.partition("/")[0] for entry in entries if entry.folder}
    if len(tops) != 1:
        return entries
    is_flat = any(not entry.folder and is_image_name(entry.name) for entry in entries)
    if is_flat or all(entry.name.count("/") <= depth for entry in entries):
        return entries
    enclosing = tops.pop() + "/"
    return [replace(entry, name=entry.name.removeprefix(enclosing)) for entry in entries]
