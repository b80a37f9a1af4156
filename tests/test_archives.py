"""Files in folders and archives: equal names and bytes from each kind; invalid ones refused."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from perturb.datasets.real.decoding import BadImageError
from perturb.datasets.real.decoding_pool import load
from perturb.datasets.real.files.archives import list_entries
from perturb.datasets.real.files.locators import can_be_read_anywhere
from tests.image_files import KINDS, bytes_of, write_as, write_tar, write_zip

FILES = {
    "b/2.png": b"two" * 900,
    "a/1.png": b"one" * 700,
    "a/10.png": b"ten",
    "c/empty.png": b"",
}


def _contents(path: Path, depth: int | None = 1) -> dict[str, bytes | None]:
    """Return the names and bytes of the files, read by other means where there are two."""
    entries = list_entries(path, depth=depth)
    locators = [entry.locator for entry in entries]
    found = bytes_of(locators)
    if can_be_read_anywhere(locators):
        assert found == [locator.read() for locator in locators]  # type: ignore[union-attr]
    return {entry.name: data for entry, data in zip(entries, found, strict=True)}


def _refuses(path: Path, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list_entries(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["", "./", "enclosing/", "./enclosing/"])
def test_every_kind_holds_the_same(kind: str, prefix: str, tmp_path: Path) -> None:
    path = write_as(kind, tmp_path, {prefix + name: data for name, data in FILES.items()})
    found = _contents(path)
    assert found == FILES
    assert list(found) == sorted(FILES)


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_hidden_files_and_texts_are_left_out_and_said(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"README.txt": b"", "a/.DS_Store": b"", "a/._1.png": b"", "__MACOSX/a/1.png": b""}
    caplog.set_level("INFO")
    assert _contents(write_as(kind, tmp_path, FILES | extra)) == FILES
    assert "left out README.txt" in caplog.text


def test_a_flat_set_keeps_its_images_and_names_strange_files(tmp_path: Path) -> None:
    files = {"license_plate.jpg": b"1", "LICENSE": b"2", "x.jpg": b"3", "notes.doc": b"4"}
    found = _contents(write_tar(tmp_path / "set.tar", files), depth=0)
    assert list(found) == ["license_plate.jpg", "notes.doc", "x.jpg"]


def test_below_finds_a_folder_at_any_depth(tmp_path: Path) -> None:
    files = {"noise/shot/3/n1/x.png": b"3", "noise/shot/30/n1/x.png": b"30", "shot/1/n1/y.png": b""}
    path = write_tar(tmp_path / "set.tar", files)
    assert [entry.name for entry in list_entries(path, below="shot/3")] == ["n1/x.png"]


def test_links_in_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    path = write_as("folder", tmp_path, FILES)
    (tmp_path / "linked").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "linked" / name).symlink_to(path / name)
    assert _contents(tmp_path / "linked") == FILES
    (path / "a" / "loop").symlink_to(path)
    _refuses(path, "a link to a folder around it")


@pytest.mark.parametrize("linked", [False, True])
def test_what_is_neither_file_nor_folder_is_refused(linked: bool, tmp_path: Path) -> None:
    path = write_as("folder", tmp_path, FILES)
    pipe = tmp_path / "pipe" if linked else path / "a" / "pipe.jpg"
    os.mkfifo(pipe)
    if linked:
        (path / "a" / "pipe.jpg").symlink_to(pipe)
    _refuses(path, r"a/pipe.jpg: allowed: files and folders")
    os.mkfifo(tmp_path / "pipe.tar")
    _refuses(tmp_path / "pipe.tar", r"pipe.tar: neither a folder nor an archive")


@pytest.mark.parametrize("target", ["nowhere", "11.png"])
def test_links_that_lead_nowhere_are_bad_images(target: str, tmp_path: Path) -> None:
    path = write_as("folder", tmp_path, FILES)
    (path / "a" / "11.png").symlink_to(target)
    entries = {entry.name: entry.locator for entry in list_entries(path)}
    assert entries.keys() == FILES.keys() | {"a/11.png"}
    with pytest.raises(BadImageError, match="cannot be read"):
        load(entries["a/11.png"])


def _with_link(path: Path) -> None:
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("a/link.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)


def _with_double(path: Path) -> None:
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("./a/1.png")
        archive.addfile(info, io.BytesIO())


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (_with_link, "a/link.png is a link"),
        (_with_double, "a/1.png occurs twice"),
        (lambda path: os.truncate(path, 100), "cannot be read as an archive"),
        (lambda path: path.write_bytes(b"text " * 300), "cannot be read as an archive"),
        (Path.unlink, "no such folder or archive"),
    ],
)
def test_odd_archives_are_refused(
    break_it: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = write_tar(tmp_path / "set.tar", FILES)
    break_it(path)
    _refuses(path, message)


def test_zip_of_another_method_and_other_files_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", FILES, zipfile.ZIP_LZMA)
    _refuses(path, "compressed by method 14; allowed: 0")
    (tmp_path / "set.rar").touch()
    _refuses(tmp_path / "set.rar", r"neither a folder nor an archive; allowed: .tar")


def test_damage_inside_a_zip_member_is_found(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", FILES, zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"oneone", b"oneonf", 1))
    locator = list_entries(path)[0].locator
    with pytest.raises(Exception, match="checksum differs"):
        locator.read()  # type: ignore[union-attr]
