"""Kinds of archives by their first bytes, and a strict reader of tar archives.

Names are not reliable: ImageNet-V2's `.tar.gz` is a plain tar, and a `.tar` of ImageNet-C is
compressed by gzip. Python's reader of tar archives takes a broken header, or the end of a truncated
file, for the end of the archive, and drops the rest without an error.
"""

import bz2
import gzip
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

MAX_HEADER_BYTES = 1 << 20
"""Maximum size of one header of a tar member: a long name, or a table of attributes [bytes]."""

MAX_END_BYTES = 1 << 28
"""Maximum size of what follows the end mark, which could be a decompression bomb [bytes]."""

BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, NotImplementedError),
    *(EOFError, struct.error, zlib.error, lzma.LZMAError),
)
"""Errors of reading a broken archive, beside an OSError without a number."""

_MAGIC_BYTES = 10
_MAGIC = {
    "zip": re.compile(rb"PK(\x03\x04|\x05\x06)"),  # the second: one without members
    "gzip": re.compile(rb"\x1f\x8b"),
    # The whole magic: a plain tar begins with a file name, which could be `BZh`.
    "bzip2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
}
_OPENERS: dict[str, Callable[..., Any]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
}
_FURTHER_HEADERS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


def kind_of(path: Path) -> str:
    """Return `zip`, the compression `gzip`, `bzip2` or `xz`, or `plain`, by the first bytes."""
    with path.open("rb") as file:
        first = file.read(_MAGIC_BYTES)
    return next((kind for kind, magic in _MAGIC.items() if magic.match(first)), "plain")


def opened(path: Path) -> BinaryIO:
    """Return a stream of a file's content, decompressed if needed; the caller closes it."""
    return cast(BinaryIO, _OPENERS.get(kind_of(path), open)(path, "rb"))


class StrictMember(tarfile.TarInfo):
    """A member of a tar archive; an unreadable one is an error, not the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "StrictMember":
        """Return the next member.

        Raises
        ------
        tarfile.ReadError
            if its header is broken or larger than `MAX_HEADER_BYTES`, or the file ends early.
        """
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the end mark
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a broken header, or no end mark ({error})") from error
        except RecursionError as error:
            raise tarfile.ReadError("a member with too many headers") from error

    def _proc_member(self, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        # The reader loads the whole header into memory, whatever size it claims.
        if self.type in _FURTHER_HEADERS and not 0 <= self.size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(
                f"a header of more than {MAX_HEADER_BYTES} bytes, or of less than 0"
            )
        return cast(tarfile.TarInfo, super()._proc_member(tarfile_))  # type: ignore[misc]


def members(path: Path, mode: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the archive and each of its members; then read the file to its end.

    Parameters
    ----------
    mode : `r:` for any order of reading, `r|` for the content of each member in turn.

    Raises
    ------
    tarfile.ReadError
        as `StrictMember`; or the end mark, two blocks of zeros, is a single block, or members
        follow it: a damaged header can look like an end mark, and so does the seam of two archives.
    """
    with (
        opened(path) as stream,
        tarfile.open(  # type: ignore[call-overload]
            fileobj=stream, mode=mode, bufsize=1 << 16, tarinfo=StrictMember
        ) as archive,
    ):
        while (member := archive.next()) is not None:
            # The reader keeps every member: gigabytes for larger datasets.
            archive.members = []
            if member.size < 0:  # the reader would go back to a member before
                raise tarfile.ReadError(f"{member.name!r} has {member.size} bytes")
            yield archive, member
        _check_end(cast(BinaryIO, archive.fileobj))


def _check_end(stream: BinaryIO) -> None:
    """Read the rest of a file after its last member, with the checksums of compressed files."""
    if any(stream.read(tarfile.BLOCKSIZE)):
        raise tarfile.ReadError("a single block of zeros, which is no end mark")
    # Any other content after the mark is padding of the last record.
    for _ in range(MAX_END_BYTES // tarfile.BLOCKSIZE):
        if not (block := stream.read(tarfile.BLOCKSIZE)):
            return
        if _is_header(block):
            raise tarfile.ReadError("members follow the end mark")
    raise tarfile.ReadError(f"more than {MAX_END_BYTES} bytes follow the end mark")


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
