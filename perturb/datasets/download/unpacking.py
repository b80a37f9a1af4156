"""Safe unpacking of archives from untrusted sources.

Names, kinds and sizes of members are claims of the author of an archive. Members are written one
after another into a new folder beside the final one, which gets its name when all are written. A
member that could write outside that folder, fill the disk or replace another file is refused, also
where a tolerant reader would skip or rename it. Only names and contents are kept: no modes, owners
or dates.
"""

import shutil
import stat
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from perturb.datasets.download.safe_names import folded, safe_parts
from perturb.datasets.real.files.archive_formats import (
    BROKEN,
    MAX_HEADER_BYTES,
    StrictMember,
    check_end,
    kind_of,
    members,
    opened,
)

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Bound:
    """The maximum content of an archive.

    num_files : number of members, files and folders.
    num_bytes : size of all files together.
    """

    num_files: int
    num_bytes: int


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass
class _Unpacked:
    """The files and folders that are written, and the checks of further ones."""

    folder: Path
    bound: Bound
    num_files: int = 0
    num_bytes: int = 0
    folders: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)

    def add_folder(self, name: str) -> None:
        """Make the folder `name`."""
        parts = self._count(name)
        self._claim_folders(parts)
        self.folder.joinpath(*parts).mkdir(parents=True, exist_ok=True)

    def add_file(self, name: str, size: int, content: _Readable) -> None:
        """Write the file `name` of declared size `size` [bytes]."""
        path = self._claim_file(self._count(name))
        if self.num_bytes + size > self.bound.num_bytes:
            raise ValueError(f"more than {self.bound.num_bytes} bytes, at {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with path.open("xb") as file:
            while chunk := content.read(CHUNK_BYTES):
                written += len(chunk)
                if written > size:
                    raise ValueError(f"{name!r} is longer than its declared {size} bytes")
                file.write(chunk)
        if written != size:
            raise ValueError(f"{name!r} ends after {written} of {size} bytes")
        self.num_bytes += written

    def _count(self, name: str) -> tuple[str, ...]:
        self.num_files += 1
        if self.num_files > self.bound.num_files:
            raise ValueError(f"more than {self.bound.num_files} files and folders, at {name!r}")
        return safe_parts(name)

    def _claim_file(self, parts: tuple[str, ...]) -> Path:
        self._claim_folders(parts[:-1])
        key = folded(parts)
        if key in self.files or key in self.folders:
            raise ValueError(f"{'/'.join(parts)!r} occurs twice, or differs in case only")
        self.files.add(key)
        return self.folder.joinpath(*parts)

    def _claim_folders(self, parts: tuple[str, ...]) -> None:
        for depth in range(1, len(parts) + 1):
            key, path = folded(parts[:depth]), "/".join(parts[:depth])
            if key in self.files:
                raise ValueError(f"{path!r} is a file and a folder")
            if self.folders.setdefault(key, path) != path:
                raise ValueError(f"{path!r} and {self.folders[key]!r} differ in case only")


def unpack(archive: Path, folder: Path, bound: Bound) -> None:
    """Unpack a zip file, or a tar file with or without gzip, bzip2 or xz, into a new folder.

    The first bytes define the kind, not the name: ImageNetV2's `.tar.gz` is a plain tar. A killed
    process leaves a hidden folder that the next call removes.

    Parameters
    ----------
    archive : path of the archive.
    folder : folder of the members; it must not exist.
    bound : maximum content.

    Raises
    ------
    ValueError
        if the folder exists; if the archive is broken, ends early or exceeds the bound; if a member
        is a link or a device, is encrypted, has an absolute path, a part `..` or another unsafe
        name, or has the name of another member.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise ValueError(f"{folder}: exists; {archive} is unpacked into a new folder only")
    temporary = folder.with_name(f".{folder.name}.unpacking")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    try:
        _unpack_into(archive, _Unpacked(temporary, bound))
        temporary.rename(folder)
    except (ValueError, *BROKEN) as error:
        raise ValueError(f"{archive}: refused: {error}") from error
    except OSError as error:
        # Broken gzip and bzip2 streams raise an OSError without a number; a full disk has one.
        if error.errno is not None:
            raise
        raise ValueError(f"{archive}: refused: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack_into(archive: Path, unpacked: _Unpacked) -> None:
    if kind_of(archive) == "zip":
        _unpack_zip(archive, unpacked)
    else:
        _unpack_tar(archive, unpacked)
    if not unpacked.files:
        raise ValueError("it holds no file")


class _Meter:
    """A stream with a limit of bytes, since headers can be decompression bombs too.

    All headers of a member and the read-ahead of the reader count as one header.
    """

    def __init__(self, file: _Readable) -> None:
        self._file = file
        self._allowed = MAX_HEADER_BYTES

    def allow(self, num_bytes: int) -> None:
        """Raise the limit by the content of the next member and a header."""
        self._allowed = num_bytes + MAX_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        chunk = self._file.read(size)
        self._allowed -= len(chunk)
        if self._allowed < 0:
            raise ValueError(f"a header of more than {MAX_HEADER_BYTES} bytes")
        return chunk


def _unpack_tar(archive: Path, unpacked: _Unpacked) -> None:
    with opened(archive) as file:
        meter = _Meter(file)
        stream = cast(IO[bytes], meter)
        # Not closed: the archive is read as a stream that `file` closes.
        tar = tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 16, tarinfo=StrictMember)  # noqa: SIM115
        for member in members(tar):
            is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
            if not is_plain or member.issparse():
                raise ValueError(
                    f"{member.name!r} is neither a file nor a folder (a link or a device)"
                )
            if member.isdir():
                meter.allow(0)
                _add_tar_folder(member, unpacked)
                continue
            content = tar.extractfile(member)
            assert content is not None
            # The bound is checked before the content is read.
            meter.allow(min(member.size, unpacked.bound.num_bytes))
            unpacked.add_file(member.name, member.size, content)
        meter.allow(unpacked.bound.num_bytes)
        check_end(tar)


def _add_tar_folder(member: tarfile.TarInfo, unpacked: _Unpacked) -> None:
    # `tar -C folder .` adds the folder itself as a member.
    if PurePosixPath(member.name).parts != ():
        unpacked.add_folder(member.name)


def _unpack_zip(archive: Path, unpacked: _Unpacked) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(
                    f"{member.filename!r} is neither a file nor a folder (a link or a device)"
                )
            if member.flag_bits & 1:
                raise ValueError(f"{member.filename!r} is encrypted")
            if member.orig_filename != member.filename:
                raise ValueError(f"the name {member.orig_filename!r} is not portable")
            if member.is_dir():
                unpacked.add_folder(member.filename)
                continue
            with file.open(member) as content:
                unpacked.add_file(member.filename, member.file_size, content)
