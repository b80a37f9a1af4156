"""Archives with misleading names, damaged and truncated archives, and decompression bombs."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from perturb.datasets.download.unpacking import Bound, unpack
from perturb.datasets.real.files import archive_formats, locators, walking
from perturb.datasets.real.files.archive_formats import MAX_HEADER_BYTES
from perturb.datasets.real.files.archives import list_entries
from perturb.datasets.real.files.locators import ZipSlice
from perturb.datasets.real.listing import list_images
from tests.image_files import bytes_of, tar_of, write_tar, write_zip

BLOCK = tarfile.BLOCKSIZE
FILES = {f"{number}.png": bytes([number]) * 700 for number in range(1, 7)}
PLACES = [number * 3 * BLOCK for number in range(len(FILES))]
"""Where the header of each member lies; its content takes two blocks."""

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
}


def _read(path: Path) -> dict[str, bytes | None]:
    entries = list_entries(path)
    found = bytes_of([entry.locator for entry in entries])
    return {entry.name: data for entry, data in zip(entries, found, strict=True)}


def _assert_refused(path: Path, message: str) -> None:
    """Check that an archive is neither listed nor unpacked, and that nothing of it is left."""
    beside = {*path.parent.iterdir()}
    unreadable = rf"{path.name}: cannot be read as an archive.*({message})"
    with pytest.raises(ValueError, match=unreadable):
        list_entries(path)
    with pytest.raises(ValueError, match=rf"{path.name}: refused: .*({message})"):
        unpack(path, path.parent / "out", Bound(100, 10**6))
    assert {*path.parent.iterdir()} == beside


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("kind", [*COMPRESSIONS, ".zip"])
def test_the_first_bytes_tell_the_kind_and_not_the_name(
    suffix: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"noise{suffix}"
    if kind == ".zip":
        write_zip(path, FILES)
    else:
        path.write_bytes(COMPRESSIONS[kind](tar_of(FILES)))
    assert _read(path) == FILES


@pytest.mark.parametrize("start", ["BZh", "PK", "BZh9"])
def test_a_tar_may_begin_with_a_name_like_a_magic(start: str, tmp_path: Path) -> None:
    files = {f"{start}ou/1.png": b"1"}
    assert _read(write_tar(tmp_path / "set.tar", files)) == files


def _flipped(place: int) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[place] ^= 1
        return bytes(changed)

    return damage


def _zeroed(place: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + bytes(BLOCK) + data[place + BLOCK :]


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a flipped byte of header 4": (_flipped(PLACES[3] + 3), "a broken header"),
    "a flipped byte of the last header": (_flipped(PLACES[5] + 130), "a broken header"),
    "cut between members": (lambda data: data[: PLACES[3]], "no end mark"),
    "cut after the last member": (lambda data: data[: PLACES[5] + 3 * BLOCK], "no end mark"),
    "cut within a header": (lambda data: data[: PLACES[3] + 100], "no end mark"),
    "cut within a member": (lambda data: data[: PLACES[3] + 800], "end of data|ends after"),
    "header 4 lost": (_zeroed(PLACES[3]), "a single block of zeros"),
    "headers lost to two blocks of zeros": (
        lambda data: _zeroed(PLACES[3] + BLOCK)(_zeroed(PLACES[3])(data)),
        "members follow the end mark",
    ),
    "two archives joined": (lambda data: data + data, "members follow the end mark"),
    "nothing": (lambda _: b"", "empty|no end mark"),
}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_tar_is_refused_and_not_listed_short(
    suffix: str, damage: str, tmp_path: Path
) -> None:
    change, message = DAMAGES[damage]
    path = tmp_path / f"set{suffix}"
    path.write_bytes(COMPRESSIONS[suffix](change(tar_of(FILES))))
    _assert_refused(path, message)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_a_damaged_shard_is_refused(suffix: str, tmp_path: Path) -> None:
    files = {f"{number}.{kind}": b"1" for number in range(3) for kind in ("jpg", "cls")}
    whole = tar_of(files)
    path = tmp_path / f"val-0{suffix}"
    source = {"path": path.name, "layout": "webdataset"}
    path.write_bytes(COMPRESSIONS[suffix](whole))
    assert len(list_images(source, tmp_path)) == 3
    path.write_bytes(COMPRESSIONS[suffix](_flipped(4 * BLOCK + 1)(whole)))
    with pytest.raises(ValueError, match="a broken header"):
        list_images(source, tmp_path)


@pytest.mark.parametrize(
    ("suffix", "change"),
    [
        (".tar.gz", lambda data: data[:-4]),
        (".tar.gz", _flipped(-6)),  # of the checksum
        (".tar.gz", lambda data: _flipped(len(data) // 2)(data)),
        (".tar.bz2", lambda data: data[:-4]),
        (".tar.xz", lambda data: data[:-4]),
        *(
            (f".tar.{suffix}", lambda data: data[: len(data) // 2])
            for suffix in ("gz", "bz2", "xz")
        ),
    ],
)
def test_damage_of_a_compressed_tar_is_found(
    suffix: str, change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"set{suffix}"
    path.write_bytes(change(COMPRESSIONS[suffix](tar_of(FILES))))
    _assert_refused(path, "")


@pytest.mark.parametrize("end", [b"", bytes(BLOCK), bytes(20 * BLOCK) + b"rest of a tape" * 99])
def test_a_short_end_mark_and_a_filled_record_are_no_damage(end: bytes, tmp_path: Path) -> None:
    path = tmp_path / "set.tar"
    whole = tar_of(FILES)
    path.write_bytes(whole[: PLACES[5] + 3 * BLOCK] + bytes(BLOCK) + end)
    assert _read(path) == FILES


def test_what_follows_the_end_mark_can_be_a_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_formats, "MAX_END_BYTES", 100 * BLOCK)
    path = tmp_path / "set.tar.gz"
    path.write_bytes(gzip.compress(tar_of(FILES) + bytes(100 * BLOCK)))
    _assert_refused(path, "more than 51200 bytes follow the end mark")


def _many_headers(path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    path.write_bytes((header.tobuf() + bytes(BLOCK)) * 3000)


def _large_header(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("1.png")
        info.pax_headers = {"comment": "x" * MAX_HEADER_BYTES}
        archive.addfile(info)


@pytest.mark.parametrize(
    ("write", "message"),
    [(_many_headers, "too many headers"), (_large_header, "a header of more than 1048576 bytes")],
)
def test_headers_can_be_bombs_too(
    write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    write(tmp_path / "set.tar")
    _assert_refused(tmp_path / "set.tar", message)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, "pax"])
def test_a_negative_size_does_not_turn_the_reader_back(
    kind: bytes | str, suffix: str, tmp_path: Path
) -> None:
    info = tarfile.TarInfo("1.png")
    if kind == "pax":
        info.pax_headers = {"size": "-2048"}
        header = info.tobuf(tarfile.PAX_FORMAT)
    else:
        info.type, info.size = bytes(kind), -BLOCK  # type: ignore[arg-type]
        header = info.tobuf(tarfile.GNU_FORMAT)
    path = tmp_path / f"set{suffix}"
    path.write_bytes(COMPRESSIONS[suffix](header + bytes(20 * BLOCK)))
    _assert_refused(path, r"has -\d+ bytes|of less than 0")


def _declared(path: Path, size: int) -> Path:
    """Write an archive with one member that says it is so large."""
    info = tarfile.TarInfo("bomb.png")
    info.size = size
    path.write_bytes(info.tobuf())
    return path


def test_too_large_a_member_is_refused_while_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_large = locators.MAX_MEMBER_BYTES + 1
    assert too_large == 2**28 + 1
    with pytest.raises(ValueError, match=rf"bomb.png has {too_large} bytes; allowed: at most"):
        list_entries(_declared(tmp_path / "set.tar", too_large))
    monkeypatch.setattr(walking, "MAX_MEMBER_BYTES", 1000)
    for suffix in (*COMPRESSIONS, ".zip"):
        path = tmp_path / f"set{suffix}"
        for size in (1000, 1001):
            files = {"bomb.png": bytes(size)}
            if suffix == ".zip":
                write_zip(path, files)
            else:
                path.write_bytes(COMPRESSIONS[suffix](tar_of(files)))
            if size == 1000:
                assert _read(path) == files
                continue
            with pytest.raises(ValueError, match=r"bomb.png has 1001 bytes; allowed: at most 1000"):
                list_entries(path)


def test_a_zip_member_that_lies_is_inflated_no_further(tmp_path: Path) -> None:
    data = bytes(10**6)
    path = write_zip(tmp_path / "set.zip", {"bomb.png": data})
    said, lie = len(data).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(said, lie))
    place = list_entries(path)[0].locator
    assert isinstance(place, ZipSlice)
    assert place.length == 10
    with pytest.raises(zlib.error, match="more than the declared 10 bytes"):
        place.read()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_member_shorter_than_it_says_is_an_error(method: int, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", {"1.png": b"one"}, method)
    place = list_entries(path)[0].locator
    assert isinstance(place, ZipSlice)
    longer = ZipSlice(place.path, place.offset, place.size, method, 4, place.crc)
    with pytest.raises(zlib.error, match="has 3 bytes, declared 4"):
        longer.read()


def test_a_name_in_a_zip_that_is_not_unicode_is_refused_by_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", {"\u00e9.png": b"1"})
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xfe"))
    with pytest.raises(ValueError, match=r"set.zip: cannot be read as an archive"):
        list_entries(path)
