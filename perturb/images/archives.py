"""The files in a folder, a tar or a zip archive, each by name and where its bytes lie.

Archives are listed and never unpacked; a damaged one is refused. Hidden files, resource forks of
macOS and texts beside the folders (a README, a licence, checksums) belong to no data set: they are
left out, and the log says how many.
"""

import logging
import os
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from perturb.images.archive_formats import StrictMember, check_end, kind_of, members, opened
from perturb.images.locators import (
    MAX_MEMBER_BYTES,
    READ_ERRORS,
    FileAt,
    Locator,
    StreamSlice,
    TarSlice,
    ZipSlice,
)

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""Endings of the names of image files."""

_ARCHIVES = (".tar", ".zip", ".gz", ".tgz", ".bz2", ".xz")
_TEXTS = ("readme", "license", "licence", "copying", "citation", "md5", "sha256", "checksum")
_ENCRYPTED = 0x1


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
    """Return whether the name is that of an archive; of which kind, its first bytes tell."""
    return path.suffix in _ARCHIVES


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
        if there is no such folder or archive, it cannot be read to its end, it holds things that
        are not files, or, an archive, links or more than `MAX_MEMBER_BYTES` in one file, or two
        files have one name.
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
    elif not is_archive(path) or not path.is_file():
        allowed = ".tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip"
        raise ValueError(f"{path}: neither a folder nor an archive; allowed: {allowed}")
    else:
        try:
            yield from _in_zip(path) if kind_of(path) == "zip" else _in_tar(path)
        except (*READ_ERRORS, UnicodeDecodeError) as error:
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
            target = Path(item.path)
            is_file = item.is_file(follow_symlinks=False)
            if not is_file and target.is_dir():
                yield from _in_folder(target, f"{prefix}{item.name}/", (*above, real))
            # A link that leads nowhere is told with the images that cannot be read.
            elif is_file or target.is_file() or not target.exists():
                yield Entry(prefix + item.name, FileAt(item.path))
            else:
                # To read a pipe or a terminal could take for ever.
                raise ValueError(f"{target}: neither a file nor a folder; allowed: those")


def _in_tar(path: Path) -> Iterator[Entry]:
    part = TarSlice if kind_of(path) == "plain" else StreamSlice
    with (
        opened(path) as stream,
        tarfile.open(fileobj=stream, mode="r:", tarinfo=StrictMember) as archive,
    ):
        for member in members(archive):
            name = _clean(member.name)
            if member.isdir() or _is_hidden(name):
                continue
            if not member.isreg() or member.issparse():
                raise ValueError(f"{path}: {name} is a link or a special file; allowed: files")
            _check_size(path, name, member.size)
            yield Entry(name, part(str(path), member.offset_data, member.size))
        check_end(archive)


def _in_zip(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _clean(info.filename)
            if info.is_dir() or _is_hidden(name):
                continue
            if info.flag_bits & _ENCRYPTED:
                raise ValueError(f"{path}: {name} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(
                    f"{path}: {name} is compressed by method {info.compress_type}; "
                    "allowed: 0 (stored), 8 (deflated)"
                )
            _check_size(path, name, max(info.file_size, info.compress_size))
            place = info.header_offset, info.compress_size, info.compress_type
            yield Entry(name, ZipSlice(str(path), *place, info.file_size, info.CRC))


def _check_size(path: Path, name: str, size: int) -> None:
    if size > MAX_MEMBER_BYTES:
        raise ValueError(f"{path}: {name} has {size} bytes; allowed: at most {MAX_MEMBER_BYTES}")


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
