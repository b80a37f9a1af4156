"""Locators of the bytes of an image: a file, or a part of an archive, and how to read it.

A locator is small and can be pickled, so another process can read the image itself. Members of a
compressed tar and cells of a Parquet file have no random access; `read_in_order` reads such files
once, from front to back. This module imports neither torch nor Pillow.
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.datasets.real.files.archive_formats import BROKEN, opened

MAX_MEMBER_BYTES = 256 << 20
"""Maximum size of a member of an archive [bytes]; images are far smaller."""

_NUM_ROWS = 64
# The local header of a zip member: lengths of the name and the extra field that follow it.
_LOCAL_HEADER = struct.Struct("<26xHH")


@dataclass(frozen=True, slots=True)
class FileAt:
    """A single file."""

    path: str

    def read(self) -> bytes:
        """Return its bytes."""
        return Path(self.path).read_bytes()


@dataclass(frozen=True, slots=True)
class TarSlice:
    """A member of a plain tar archive: `size` bytes from `offset` on."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Return its bytes.

        Raises
        ------
        EOFError : the archive ends before the member does.
        """
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            return _exactly(file, self.size, self.path)


@dataclass(frozen=True, slots=True)
class ZipSlice:
    """A member of a zip archive whose local header starts at `offset`.

    `size` is the number of stored bytes, `method` their compression (0 none, 8 deflate), `length`
    the number of decompressed bytes, and `crc` their CRC-32.
    """

    path: str
    offset: int
    size: int
    method: int
    length: int
    crc: int

    def read(self) -> bytes:
        """Return its bytes.

        Raises
        ------
        EOFError : the archive ends before the member does.
        zlib.error : the bytes are damaged, or of another length than the archive declares.
        """
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            header = _exactly(file, _LOCAL_HEADER.size, self.path)
            name_length, extra_length = _LOCAL_HEADER.unpack(header)
            file.seek(name_length + extra_length, os.SEEK_CUR)
            stored = _exactly(file, self.size, self.path)
        data = stored if self.method == zipfile.ZIP_STORED else _inflated(stored, self.length)
        if len(data) != self.length:
            raise zlib.error(f"has {len(data)} bytes, declared {self.length}")
        if zlib.crc32(data) != self.crc:
            raise zlib.error("its checksum differs")
        return data


@dataclass(frozen=True, slots=True)
class StreamSlice:
    """A member of a compressed tar archive; the offset counts decompressed bytes."""

    path: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class ParquetCell:
    """A cell of a column of bytes; `column` is a dotted path if the bytes lie in a struct."""

    path: str
    column: str
    row_group: int
    row: int


Locator = FileAt | TarSlice | ZipSlice | StreamSlice | ParquetCell

READ_ERRORS = (OSError, *BROKEN, pa.ArrowInvalid)
"""Errors of reading a damaged file or archive."""


def can_be_read_anywhere(locators: Iterable[Locator]) -> bool:
    """Return whether every locator has a `read` method."""
    return all(isinstance(locator, FileAt | TarSlice | ZipSlice) for locator in locators)


def reading_order(locators: Sequence[Locator]) -> list[int]:
    """Return the rows in the order that reads their files from front to back."""
    return sorted(range(len(locators)), key=lambda row: _place(locators[row], row))


def read_in_order(
    locators: Sequence[Locator], rows: Sequence[int]
) -> Iterator[tuple[int, bytes | None]]:
    """Yield rows with their bytes, reading each file once; None for a cell without bytes.

    Parameters
    ----------
    locators : locators of all rows.
    rows : rows to read, in `reading_order`.

    Raises
    ------
    One of `READ_ERRORS`.
    """
    for path, group in groupby(rows, key=lambda row: locators[row].path):
        wanted = list(group)
        first = locators[wanted[0]]
        if isinstance(first, StreamSlice):
            yield from _from_stream(path, locators, wanted)
        elif isinstance(first, ParquetCell):
            yield from _from_parquet(path, locators, wanted)
        else:
            for row in wanted:
                yield row, cast(FileAt, locators[row]).read()


def _place(locator: Locator, row: int) -> tuple[str, int, int]:
    if isinstance(locator, TarSlice | ZipSlice | StreamSlice):
        return locator.path, 0, locator.offset
    if isinstance(locator, ParquetCell):
        return locator.path, locator.row_group, locator.row
    return "", 0, row  # single files are read in the order of the rows


def _from_stream(
    path: str, locators: Sequence[Locator], rows: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    with opened(Path(path)) as stream:
        for row in rows:
            part = cast(StreamSlice, locators[row])
            stream.seek(part.offset)
            yield row, _exactly(stream, part.size, path)


def _from_parquet(
    path: str, locators: Sequence[Locator], rows: Sequence[int]
) -> Iterator[tuple[int, bytes | None]]:
    with pq.ParquetFile(path) as file:
        by_group = groupby(rows, key=lambda row: cast(ParquetCell, locators[row]).row_group)
        for row_group, group in by_group:
            cells = {cast(ParquetCell, locators[row]).row: row for row in group}
            column = cast(ParquetCell, locators[next(iter(cells.values()))]).column
            yield from _from_row_group(file, row_group, column, cells)


def _from_row_group(
    file: pq.ParquetFile, row_group: int, column: str, cells: Mapping[int, int]
) -> Iterator[tuple[int, bytes | None]]:
    """Yield (row of the dataset, bytes) of cells of a row group, a few in memory at a time."""
    position = 0
    for batch in file.iter_batches(_NUM_ROWS, row_groups=[row_group], columns=[column]):
        values = batch.column(0)
        if pa.types.is_struct(values.type):  # the name of a column may hold a dot
            values = values.field(column.rpartition(".")[2])
        for offset, value in enumerate(values):
            if position + offset in cells:
                yield cells[position + offset], value.as_py()
        position += len(batch)


def _exactly(file: BinaryIO, size: int, path: str) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError(f"{path}: ends within a member")
    return data


def _inflated(stored: bytes, length: int) -> bytes:
    """Return the `length` bytes that deflated bytes decompress to."""
    inflating = zlib.decompressobj(wbits=-15)
    # Room for one more byte reaches the end of the stream, or shows that there is more.
    data = inflating.decompress(stored, length + 1)
    if not inflating.eof:
        raise zlib.error(f"is cut off, or has more than the declared {length} bytes")
    return data
