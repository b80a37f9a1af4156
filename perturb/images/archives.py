"""The files in a folder, a tar or a zip archive, each by name and where its bytes lie.

Archives are listed and never unpacked. Hidden files, resource forks of macOS and texts beside the
folders (a README, a licence, checksums) belong to no data set: they are left out, and the log
says how many.
"""

import logging
import os
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from perturb.images.locators import (
    READ_ERRORS,
    FileAt,
    Locator,
    StreamSlice,
    TarSlice,
    ZipSlice,
    is_compressed_tar,
    opened_stream,
)

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""Endings of the names of image files."""

_TEXTS = ("readme", "license", "licence", "copying", "citation", "md5", "sha256", "checksum")
_ENCRYPTED = 0x1
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: its path within the folder or archive, with slashes, and where its bytes lie."""

    name: str
    locator: Locator

    @property
    def folder(self) -> str:
        """The folder it lies in, or nothing."""
        return self.name.rpartition("/")[0]

    @property
    def file_name(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


def is_archive(path: Path) -> bool:
    """Return whether the name is that of an archive that can be listed."""
    return path.suffix in (".tar", ".zip") or is_compressed_tar(path)


def is_image_name(name: str) -> bool:
    """Return whether a file's name is that of an image."""
    return name.lower().endswith(SUFFIXES)


def list_entries(path: Path, *, depth: int | None = None, below: str = "") -> list[Entry]:
    """Return the files in a folder or an archive, sorted by name.

    Parameters
    ----------
    depth : how many folders each file should lie in. Where all lie in one more, and it is the
        same for all, it is left off the names: many archives have one enclosing folder. None: the
        names are taken as they are.
    below : only what lies in a folder of this name, at any depth, named from there on.

    Raises
    ------
    ValueError
        if there is no such folder or archive, it cannot be read, it holds links or other things
        that are not files, or two files have one name.
    """
    found = [entry for entry in _entries(path) if not _is_hidden(entry.name)]
    entries = _below(found, below) if below else _without_enclosing(found, depth)
    beside = [entry.name for entry in entries if depth is not None and _is_beside(entry, depth)]
    if beside:
        logger.info("%s: left out %s, which are no images", path, ", ".join(beside))
    left_out = set(beside)
    kept = [entry for entry in entries if entry.name not in left_out]
    kept.sort(key=lambda entry: entry.name)
    for one, other in pairwise(kept):
        if one.name == other.name:
            raise ValueError(f"{path}: {one.name} occurs twice")
    return kept


def _entries(path: Path) -> Iterator[Entry]:
    if path.is_dir():
        yield from _in_folder(path, "", ())
    elif not path.exists():
        raise ValueError(f"{path}: no such folder or archive")
    elif not is_archive(path):
        allowed = ".tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip"
        raise ValueError(f"{path}: neither a folder nor an archive; allowed: {allowed}")
    else:
        try:
            yield from _in_zip(path) if path.suffix == ".zip" else _in_tar(path)
        except READ_ERRORS as error:
            raise ValueError(f"{path}: cannot be read as an archive ({error})") from error


def _in_folder(folder: Path, prefix: str, above: Sequence[str]) -> Iterator[Entry]:
    """Yield the files below a folder; links are followed, as in folders that borrow their images.

    `above` are the real paths of the folders around it: a link to one of them would never end.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise ValueError(f"{folder}: a link to a folder that it lies in")
    with os.scandir(folder) as items:
        for item in sorted(items, key=lambda item: item.name):
            if _is_hidden(item.name):
                continue
            if item.is_dir():
                yield from _in_folder(Path(item.path), f"{prefix}{item.name}/", (*above, real))
            else:
                yield Entry(prefix + item.name, FileAt(item.path))


def _in_tar(path: Path) -> Iterator[Entry]:
    if not is_compressed_tar(path):
        with tarfile.open(path, "r:") as archive:
            for member in _members(archive, path):
                place = TarSlice(str(path), member.offset_data, member.size)
                yield Entry(_clean(member.name), place)
        return
    with opened_stream(str(path)) as stream:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in _members(archive, path):
                part = StreamSlice(str(path), member.offset_data, member.size)
                yield Entry(_clean(member.name), part)
        while stream.read(_BLOCK):
            pass  # the checksum stands at the end


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    while (member := archive.next()) is not None:
        # The archive would keep all members: gigabytes for the larger sets.
        archive.members = []  # type: ignore[attr-defined]
        if member.isdir() or _is_hidden(_clean(member.name)):
            continue
        if not member.isreg() or member.issparse():
            raise ValueError(f"{path}: {member.name} is a link or a special file; allowed: files")
        yield member


def _in_zip(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED:
                raise ValueError(f"{path}: {info.filename} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(
                    f"{path}: {info.filename} is compressed by method {info.compress_type}; "
                    "allowed: 0 (stored), 8 (deflated)"
                )
            yield Entry(
                _clean(info.filename),
                ZipSlice(
                    str(path), info.header_offset, info.compress_size, info.compress_type, info.CRC
                ),
            )


def _clean(name: str) -> str:
    """Return a member's name without a leading './'."""
    return PurePosixPath(name).as_posix()


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _is_beside(entry: Entry, depth: int) -> bool:
    """Return whether a file belongs to no data set: no image, and where no image should lie."""
    if entry.folder or is_image_name(entry.name):
        return False
    return depth > 0 or entry.name.lower().startswith(_TEXTS)


def _below(entries: list[Entry], folder: str) -> list[Entry]:
    inside = [(f"/{entry.name}".partition(f"/{folder}/")[2], entry) for entry in entries]
    return [Entry(name, entry.locator) for name, entry in inside if name]


def _without_enclosing(entries: list[Entry], depth: int | None) -> list[Entry]:
    """Return the entries without the one folder that holds them all, where it is one too many."""
    tops = {entry.name.partition("/")[0] for entry in entries if entry.folder}
    if depth is None or len(tops) != 1:
        return entries
    is_flat = any(not entry.folder and is_image_name(entry.name) for entry in entries)
    if is_flat or all(entry.name.count("/") <= depth for entry in entries):
        return entries
    enclosing = tops.pop() + "/"
    return [Entry(entry.name.removeprefix(enclosing), entry.locator) for entry in entries]
