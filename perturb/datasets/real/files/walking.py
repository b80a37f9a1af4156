"""Walks a folder, a tar or a zip archive: every file with its locator, and every folder.

Archives are not unpacked. Members that cannot be read in place, and special files, are refused.
"""

import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from perturb.datasets.real.files.archive_formats import kind_of, members
from perturb.datasets.real.files.file_names import LeftOut, is_archive, no_data
from perturb.datasets.real.files.locators import (
    MAX_MEMBER_BYTES,
    READ_ERRORS,
    FileAt,
    Locator,
    StreamSlice,
    TarSlice,
    ZipSlice,
)

_ENCRYPTED = 0x1
_UTF8_NAME = 0x800
# Systems that made a member of a zip archive, as numbered by the format.
_MADE_ON_WINDOWS = (0, 6, 10, 14)  # FAT, HPFS, NTFS, VFAT
_MADE_ON_UNIX = (3, 19)  # Unix, macOS


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: its path within the folder or archive, with slashes, and its locator."""

    name: str
    locator: Locator

    @property
    def folder(self) -> str:
        """The folder of the file, or an empty text."""
        return self.name.rpartition("/")[0]

    @property
    def file_name(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, named by its path; without it an empty folder would go unnoticed."""

    name: str


def walk(path: Path, taken: LeftOut) -> list[Entry | Folder]:
    """Return the files and folders in a folder or an archive, with their original names.

    Parameters
    ----------
    taken : collects files of a folder that are not data; archives are returned in full.

    Raises
    ------
    ValueError
        if there is no such folder or archive, it cannot be read to its end, or it holds links,
        special files or files that are too large.
    """
    if path.is_dir():
        return list(_in_folder(path, "", (), taken))
    if not path.exists():
        raise ValueError(f"{path}: no such folder or archive")
    if not is_archive(path) or not path.is_file():
        allowed = ".tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip"
        raise ValueError(f"{path}: neither a folder nor an archive; allowed: {allowed}")
    try:
        found = _in_zip(path) if kind_of(path) == "zip" else _in_tar(path)
        return [item for item in found if item.name != "."]  # the root of the archive
    except (*READ_ERRORS, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as an archive ({error})") from error


def _in_folder(
    folder: Path, prefix: str, above: Sequence[str], taken: LeftOut
) -> Iterator[Entry | Folder]:
    """Yield the items below a folder; links are followed, as some folders link their images.

    Parameters
    ----------
    above : real paths of the folders around it; a link to one of them would not end.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise ValueError(f"{folder}: a link to a folder around it")
    with os.scandir(folder) as items:
        for item in sorted(items, key=lambda item: item.name):
            why, name = no_data(item.name), prefix + item.name
            if why is not None:
                taken.add(why, [name])
                continue
            target = Path(item.path)
            is_file = item.is_file(follow_symlinks=False)
            if not is_file and target.is_dir():
                yield Folder(name)
                yield from _in_folder(target, f"{name}/", (*above, real), taken)
            # A dangling link is reported with the unreadable images.
            elif is_file or target.is_file() or not target.exists():
                yield Entry(name, FileAt(item.path))
            else:
                # Reading a pipe or a terminal may not end.
                raise ValueError(f"{target}: allowed: files and folders")


def _in_tar(path: Path) -> Iterator[Entry | Folder]:
    part = TarSlice if kind_of(path) == "plain" else StreamSlice
    for _, member in members(path, "r:"):
        name = _clean(member.name)
        if member.isdir() or _is_no_data(name):
            yield Folder(name)  # what is no data is counted as left out, also a link or device
            continue
        if not member.isreg() or member.issparse():
            raise ValueError(f"{path}: {name} is a link or a special file; allowed: files")
        _check_size(path, name, member.size)
        yield Entry(name, part(str(path), member.offset_data, member.size))


def _in_zip(path: Path) -> Iterator[Entry | Folder]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _zip_name(info)
            if name.endswith(("/", "\\")) or _is_no_data(_clean(name)):
                yield Folder(_clean(name.rstrip("/\\")))
                continue
            name = _clean(name)
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


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name of a member by the conventions of the system that made it."""
    if info.create_system in _MADE_ON_WINDOWS:
        return info.filename.replace("\\", "/")  # file names there hold no backslash
    if info.create_system in _MADE_ON_UNIX and not info.flag_bits & _UTF8_NAME:
        # Archives of macOS hold UTF-8 without the flag.
        try:
            return info.filename.encode("cp437").decode()
        except UnicodeError:
            return info.filename
    return info.filename


def _check_size(path: Path, name: str, size: int) -> None:
    if size > MAX_MEMBER_BYTES:
        raise ValueError(f"{path}: {name} has {size} bytes; allowed: at most {MAX_MEMBER_BYTES}")


def _clean(name: str) -> str:
    """Return the name of a member without a leading './'."""
    return PurePosixPath(name).as_posix()


def _is_no_data(name: str) -> bool:
    return any(part != ".." and no_data(part) for part in name.split("/"))
