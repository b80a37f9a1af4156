"""Unpacking: content of ordinary archives, and refusal of unsafe ones.

Damaged ones, and bombs in headers, are in `test_archive_formats.py`.
"""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from perturb.datasets.download.safe_names import safe_parts
from perturb.datasets.download.unpacking import Bound, unpack

BOUND = Bound(num_files=20, num_bytes=1000)
FILES = {"set/n01/a.JPEG": b"first", "set/n01/b.JPEG": b"", "set/n02/a.JPEG": b"x" * 700}


def _tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for member, content in members:
            member.size = member.size or len(content)
            tar.addfile(member, io.BytesIO(content.ljust(member.size)))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, target, 0o4777
    return member


def _named(path: Path, *names: str) -> Path:
    return _tar(path, [(_member(name), b"abc") for name in names])


def _linked(path: Path, kind: bytes, target: str) -> Path:
    link = [(_member("link", kind, target), b"")]
    return _tar(path, [*link, (_member("link/file"), b"abc")])


def _special(path: Path, kind: bytes) -> Path:
    return _tar(path, [(_member("special", kind), b"")])


def _zip(path: Path, members: list[tuple[zipfile.ZipInfo, bytes]], method: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for member, content in members:
            member.compress_type = method
            file.writestr(member, content)
    return path


def _zip_link(path: Path) -> Path:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return _zip(path, [(link, b"/etc"), (zipfile.ZipInfo("link/file"), b"abc")])


def _zip_named(path: Path, *names: str) -> Path:
    return _zip(path, [(zipfile.ZipInfo(name), b"abc") for name in names])


def _zip_that_lies(path: Path) -> Path:
    """A zip whose directory declares 10 bytes for a larger file."""
    _zip(path, [(zipfile.ZipInfo("bomb"), b"\0" * 5000)], zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    path.write_bytes(content.replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    return path


def _zip_encrypted(path: Path) -> Path:
    _zip_named(path, "secret")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return path


def _sparse(path: Path) -> Path:
    member = _member("sparse")
    sparse = {"size": "100", "map": "0,3", "numblocks": "1"}
    member.pax_headers = {f"GNU.sparse.{key}": value for key, value in sparse.items()}
    return _tar(path, [(member, b"abc")])


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absolute": (lambda p: _named(p, "/tmp/evil"), "absolute"),
    "drive": (lambda p: _named(p, "C:/evil"), "absolute"),
    "parent": (lambda p: _named(p, "../evil"), "leads out"),
    "parent inside": (lambda p: _named(p, "a/../../evil"), "leads out"),
    "backslash": (lambda p: _named(p, "..\\evil"), "backslash"),
    "control": (lambda p: _named(p, "a\nb"), "control"),
    "not Unicode": (lambda p: _named(p, "a\udcffb"), "Unicode"),
    "long": (lambda p: _named(p, "a" * 300), "too long"),
    "dot at the end": (lambda p: _named(p, "a./b"), "ends with"),
    "link out": (lambda p: _linked(p, tarfile.SYMTYPE, "/etc"), "neither a file"),
    "link inside": (lambda p: _linked(p, tarfile.SYMTYPE, "elsewhere"), "neither a file"),
    "hard link": (lambda p: _linked(p, tarfile.LNKTYPE, "/etc/passwd"), "neither a file"),
    "device": (partial(_special, kind=tarfile.CHRTYPE), "neither a file"),
    "block device": (partial(_special, kind=tarfile.BLKTYPE), "neither a file"),
    "pipe": (partial(_special, kind=tarfile.FIFOTYPE), "neither a file"),
    "sparse": (_sparse, "neither"),
    "twice": (lambda p: _named(p, "a/b", "a/b"), "twice"),
    "case": (lambda p: _named(p, "a/b", "a/B"), "case"),
    "case of a folder": (lambda p: _named(p, "a/b", "A/c"), "case"),
    "Unicode form": (lambda p: _named(p, "\u00e9", "e\u0301"), "case"),
    "file and folder": (lambda p: _named(p, "a", "a/b"), "file and a folder"),
    "folder and file": (lambda p: _named(p, "a/b", "a"), "twice"),
    "too many": (lambda p: _named(p, *map(str, range(21))), "more than 20 files"),
    "too large": (lambda p: _tar(p, [(_member(name), b"x" * 600) for name in "ab"]), "1000"),
    "bomb": (lambda p: _tar(p, [(_member("a"), b"\0" * 10**6)], "w:gz"), "more than 1000 bytes"),
    "empty": (lambda p: _tar(p, []), "no file"),
    "no archive": (lambda p: p.write_bytes(b"<html>Please log in</html>" * 50) and p, "refused"),
    "no gzip": (lambda p: p.write_bytes(b"\x1f\x8bnothing") and p, "refused"),
    "zip, parent": (lambda p: _zip_named(p, "../evil"), "leads out"),
    "zip, absolute": (lambda p: _zip_named(p, "/tmp/evil"), "absolute"),
    "zip, link": (_zip_link, "neither a file"),
    "zip, case": (lambda p: _zip_named(p, "a", "A"), "case"),
    "zip, too many": (lambda p: _zip_named(p, *map(str, range(21))), "more than 20 files"),
    "zip, bomb": (
        lambda p: _zip(p, [(zipfile.ZipInfo("a"), b"\0" * 10**6)], zipfile.ZIP_DEFLATED),
        "more than 1000 bytes",
    ),
    "zip, lie about a size": (_zip_that_lies, "refused"),
    "zip, encrypted": (_zip_encrypted, "encrypted"),
    "zip, cut": (lambda p: p.write_bytes(_zip_named(p, "a").read_bytes()[:-10]) and p, "refused"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_safe_is_refused_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    outside = tmp_path / "outside"
    archive = make(tmp_path / "archive")
    with pytest.raises(ValueError, match=message) as caught:
        unpack(archive, outside / "inside" / "set", BOUND)
    assert str(archive) in str(caught.value)
    assert not [path for path in outside.rglob("*") if path.is_file() or path.is_symlink()]
    assert not (outside / "inside" / "set").exists()
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:bz2", "w:xz", "zip", "zip deflated"])
def test_files_come_out_as_they_went_in(kind: str, tmp_path: Path) -> None:
    archive = tmp_path / "archive.with.any.name"
    if kind.startswith("zip"):
        method = zipfile.ZIP_DEFLATED if "deflated" in kind else zipfile.ZIP_STORED
        folders = [(zipfile.ZipInfo("set/"), b"")]
        _zip(archive, folders + [(zipfile.ZipInfo(n), c) for n, c in FILES.items()], method)
    else:
        folders = [(_member(name, tarfile.DIRTYPE), b"") for name in ("./", "./set", "set/n01/")]
        _tar(archive, folders + [(_member("./" + n), c) for n, c in FILES.items()], kind)
    unpack(archive, tmp_path / "out", BOUND)
    written = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert written == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "out"]


def test_special_modes_are_not_taken_over(tmp_path: Path) -> None:
    unpack(_named(tmp_path / "archive", "folder/file"), tmp_path / "out", BOUND)
    for path in (tmp_path / "out").rglob("*"):
        forbidden = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | (0o111 if path.is_file() else 0)
        # A folder may inherit the group bit from its parent.
        forbidden &= ~stat.S_ISGID if path.is_dir() else ~0
        assert not path.stat().st_mode & forbidden


def test_an_existing_folder_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"exists; .* is unpacked into a new folder only"):
        unpack(_named(tmp_path / "archive", "a"), tmp_path / "out", BOUND)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_job_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".out.unpacking" / "half.JPEG"
    left.parent.mkdir()
    left.write_bytes(b"half")
    unpack(_named(tmp_path / "archive", "a"), tmp_path / "out", BOUND)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    assert not left.parent.exists()


def test_a_full_disk_is_not_called_a_bad_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    archive = _named(tmp_path / "archive", "a/b")
    monkeypatch.setattr("tarfile.TarFile.extract", full)
    with pytest.raises(OSError, match="No space"):
        unpack(archive, tmp_path / "out", BOUND)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_bound_itself_is_allowed(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "archive", [(_member("a"), b"x" * 600), (_member("b"), b"x" * 400)])
    unpack(archive, tmp_path / "out", Bound(num_files=2, num_bytes=1000))
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_gzip_may_have_several_parts(tmp_path: Path) -> None:
    plain = _named(tmp_path / "plain", "a", "b").read_bytes()
    archive = tmp_path / "archive"
    archive.write_bytes(gzip.compress(plain[:700]) + gzip.compress(plain[700:]))
    unpack(archive, tmp_path / "out", BOUND)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_safe_parts_drops_nothing_but_dots() -> None:
    assert safe_parts("./a/./b c/d.JPEG") == ("a", "b c", "d.JPEG")
