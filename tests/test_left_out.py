"""Files that are not data: left out of every layout, logged, without effect on classes."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.datasets.real.files.archives import list_entries
from perturb.datasets.real.files.file_names import class_folders, is_archive, is_image_name, no_data
from perturb.datasets.real.listing import list_images
from tests.image_files import (
    NFC,
    NFD,
    by_id,
    encoded,
    in_json,
    picture,
    source_of,
    write_as,
    write_folder,
    write_tar,
    write_zip,
)

IMAGE = encoded(picture(0), "PNG")
TARGETS = {"Airplane/0.png": 0, "cat/0.PNG": 1, "dog/0.jfif": 2}
CLASSES = dict.fromkeys(TARGETS, IMAGE)

# What systems, storages and programs leave, before, among and after the classes' names.
BESIDE = {
    "__MACOSX/cat/._0.png": b"\0\5\x16\7",
    "._cat": b"\0\5\x16\7",
    "cat/._0.png": b"\0\5\x16\7",
    "cat/.DS_Store": b"",
    "cat/Thumbs.db": b"",
    "dog/desktop.ini": b"",
    "dog/0.jfif:Zone.Identifier": b"",
    "@eaDir/cat/SYNOPHOTO_THUMB_M.jpg": IMAGE,
    "cat/@eaDir/0.png": IMAGE,
    "#recycle/cat/0.png": IMAGE,
    "$RECYCLE.BIN/1.png": IMAGE,
    "System Volume Information/1.png": IMAGE,
    "lost+found/1.png": IMAGE,
    "dog/.ipynb_checkpoints/0-checkpoint.jpg": IMAGE,
    "_cache/index.db": b"",
    "README.md": b"",
}


def _listed(path: Path, layout: str = "class_folders", **more: Any) -> dict[str, int]:
    return by_id(list_images(source_of(path, layout), path.parent, **more))


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz", "zip"])
@pytest.mark.parametrize("enclosing", ["", "val/"])
def test_class_folders_are_those_of_the_clean_tree(
    kind: str, enclosing: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {enclosing + name: data for name, data in (CLASSES | BESIDE).items()}
    path = write_as(kind, tmp_path, files)
    caplog.set_level("INFO")
    assert _listed(path, num_images=3, num_classes=3) == TARGETS
    assert f"{enclosing}_cache (1 folder without images)" in caplog.text
    assert "10 left by a system or program" in caplog.text
    assert "4 hidden" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        *("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "$Recycle.Bin", "lost+found"),
        *("System Volume Information", "Thumbs.db", "THUMBS.DB", "desktop.ini", ".DS_Store"),
        *("._0.png", ".git", ".ipynb_checkpoints", "__pycache__", "Icon\r", "@Recycle"),
        *("a.png:Zone.Identifier", "@tmp", "#snapshot", ".Trash-1000", "__MACOSX 2"),
    ],
)
def test_names_that_are_no_data(name: str) -> None:
    assert no_data(name) is not None


@pytest.mark.parametrize(
    "name", ["cat", "Icon", "_cat", "n01440764", "0", "recycle", "@home", "#1"]
)
def test_names_that_may_be_classes(name: str) -> None:
    assert no_data(name) is None


@pytest.mark.parametrize("name", ["a.JPEG", "a.Jfif", "a.TIF", "a.png.txt"])
def test_suffixes_of_images_in_any_case(name: str) -> None:
    assert (is_image_name(name), is_archive(Path(name))) == (name != "a.png.txt", False)


@pytest.mark.parametrize("name", ["a.ZIP", "a.TAR", "a.tar.GZ", "a.Tgz"])
def test_suffixes_of_archives_in_any_case(name: str) -> None:
    assert (is_image_name(name), is_archive(Path(name))) == (False, True)


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_folders_without_images_are_named_where_classes_do_not_fit(
    kind: str, tmp_path: Path
) -> None:
    path = write_as(kind, tmp_path, CLASSES | {"bird/notes.txt": b"", "cow/.DS_Store": b""})
    if kind == "folder":
        (path / "emu").mkdir()
    lacking = r"without images: bird, cow, emu$" if kind == "folder" else r"without images: bird$"
    with pytest.raises(ValueError, match=f"images of 3 classes, expected 4; {lacking}"):
        _listed(path, num_classes=4)
    assert set(_listed(path, num_classes=3).values()) == {0, 1, 2}
    if kind == "folder":
        assert class_folders(path) == {"Airplane", "cat", "dog"}


@pytest.mark.parametrize("name", ["bird/0.HEIC", "bird/0.avif", "bird/0"])
def test_a_folder_of_pictures_that_are_not_read_is_no_empty_one(name: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path / "set", CLASSES | {name: b""})
    listing = list_images({"path": "set", "layout": "class_folders"}, tmp_path)
    assert listing.unused_files == [(name, "is not named like an image")]
    assert path.is_dir()


def test_a_set_that_is_hidden_as_a_whole_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", {f".val/{name}": data for name, data in CLASSES.items()})
    with pytest.raises(ValueError, match=r"there are no images; left out: \.val \(1 hidden\)"):
        list_images({"path": "set", "layout": "class_folders"}, tmp_path)


def test_class_folders_of_an_enclosing_folder_are_looked_into(tmp_path: Path) -> None:
    files = {f"val/{name}": data for name, data in (CLASSES | BESIDE).items()}
    assert class_folders(write_folder(tmp_path / "a", files)) == {"Airplane", "cat", "dog"}
    assert class_folders(write_folder(tmp_path / "b", {"cat/0.png": IMAGE})) == {"cat"}


def _write_parquet(path: Path, names: Mapping[str, int]) -> None:
    images = [{"bytes": IMAGE, "path": name} for name in names]
    pq.write_table(pa.table({"image": images, "label": list(names.values())}), path)


def _parquet(folder: Path) -> str:
    _write_parquet(folder / "val-0.parquet", {"/home/u/.cache/a.png": 1, "._a.png": 1})
    _write_parquet(folder / "val-1.PARQUET", {"b.png": 0})
    return "val-*.parquet"


def _webdataset(folder: Path) -> str:
    shard = {"a.png": IMAGE, "a.cls": b"1", "._a.png": b"\0", "._a.cls": b"\0"}
    write_tar(folder / "val-0.tar", shard)
    write_tar(folder / "val-1.TAR", {"b.PNG": IMAGE, "b.CLS": b"0"})
    return "val-*.tar"


@pytest.mark.parametrize(("layout", "write"), [("parquet", _parquet), ("webdataset", _webdataset)])
def test_files_of_a_pattern(
    layout: str, write: Callable[[Path], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = write(tmp_path)
    suffix = pattern.rpartition(".")[2]
    (tmp_path / f"._val-0.{suffix}").write_bytes(b"\0\5\x16\7")
    (tmp_path / f".val-0.{suffix}").write_bytes(b"")
    caplog.set_level("INFO")
    for path in (pattern, f"*.{suffix}", str(tmp_path / f"*.{suffix}"), f"**/*.{suffix}"):
        caplog.clear()
        listing = list_images({"path": path, "layout": layout}, tmp_path, num_images=2)
        assert sorted(listing.targets) == [0, 1]
        assert "hidden)" in caplog.text
    with pytest.raises(ValueError, match=f"val-0.{suffix}.* no such file|val-9"):
        list_images({"path": f"val-9*.{suffix}", "layout": layout}, tmp_path)
    with pytest.raises(ValueError, match=r"no such file in .*: val-2\*"):
        list_images({"path": f"val-{{0..2}}*.{suffix}", "layout": layout}, tmp_path)


def test_folders_that_a_pattern_finds_are_data_or_not_and_those_it_names_are(
    tmp_path: Path,
) -> None:
    for folder in (".cache", "@eaDir", "shards"):
        beside = {"README.md": b"", "Thumbs.db": b"", "._a.parquet": b""}
        _write_parquet(write_folder(tmp_path / folder, beside) / "a.parquet", {"a.png": 0})
    for path in ("*/*.parquet", ".cache/*.parquet", "**/*.parquet", "shards/*"):
        assert len(list_images({"path": path, "layout": "parquet"}, tmp_path)) == 1


def test_stored_corruptions(tmp_path: Path) -> None:
    tree = {f"shot_noise/3/{name}": data for name, data in (CLASSES | BESIDE).items()}
    folder = write_folder(tmp_path / "set", {"__MACOSX/shot_noise/3/x/0.png": IMAGE})
    write_tar(folder / "noise.TAR", tree)
    (folder / "._noise.tar").write_bytes(b"\0\5\x16\7")
    assert _listed(folder, "corruptions", part="shot_noise-3", num_classes=3) == TARGETS
    write_folder(folder, {f"noise/{name}": data for name, data in tree.items()})
    assert _listed(folder, "corruptions", part="shot_noise-3", num_classes=3) == TARGETS


def test_stimuli(tmp_path: Path) -> None:
    stimuli = {"cat/cat1-dog2.png": IMAGE, "dog/dog1-cat2.png": IMAGE}
    path = write_folder(tmp_path / "set", stimuli | BESIDE)
    index = in_json(tmp_path / "index.json", {"cat": [0], "dog": [1]})
    listing = list_images(source_of(path, "cue_conflict", class_index=index), tmp_path)
    assert by_id(listing) == {"cat/cat1-dog2.png": 0, "dog/dog1-cat2.png": 1}


def test_labelled_files(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0.png 1\n1.PNG 0\n")
    files = {"0.png": IMAGE, "1.PNG": IMAGE, "._0.png": b"", "Thumbs.db": b"", "_cache/x.db": b""}
    path = write_zip(tmp_path / "set.ZIP", files)
    listing = list_images(source_of(path, "labelled_files", labels="labels.txt"), tmp_path)
    assert by_id(listing) == {"0.png": 1, "1.PNG": 0}
    assert not listing.unused_files


def _windows_zip(path: Path, names: Mapping[str, bytes], system: int) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in names.items():
            info = zipfile.ZipInfo(name)
            info.create_system = system
            archive.writestr(info, data)
    return path


BACKSLASHES = {f"val/{name}".replace("/", "\\"): data for name, data in (CLASSES | BESIDE).items()}


@pytest.mark.parametrize("system", [0, 3, 10])
def test_backslashes_separate_folders(system: int, tmp_path: Path) -> None:
    path = _windows_zip(tmp_path / "set.zip", BACKSLASHES | {"val\\cat\\": b""}, system)
    assert _listed(path, num_classes=3) == TARGETS
    # What Python unpacks of it on Unix is one folder of names with backslashes.
    assert _listed(write_folder(tmp_path / "set", BACKSLASHES), num_classes=3) == TARGETS
    assert _listed(write_tar(tmp_path / "set.tar", BACKSLASHES), num_classes=3) == TARGETS


@pytest.mark.parametrize(
    ("names", "system", "message"),
    [
        (["val/cat\\0.png", "val/dog\\0.png"], 3, r"'val/cat\\\\0.png' holds a backslash"),
        (["cat/0.png", "dog\\0.png"], 3, r"'dog\\\\0.png' holds a backslash"),
        (["..\\..\\cat\\0.png"], 0, "leads out of it"),
        (["..\\cat\\0.png"], 3, "leads out of it"),
        (["../cat/0.png"], 3, "leads out of it"),
    ],
)
def test_names_that_could_mean_two_things_are_refused(
    names: list[str], system: int, message: str, tmp_path: Path
) -> None:
    path = _windows_zip(tmp_path / "set.zip", dict.fromkeys(names, IMAGE), system)
    with pytest.raises(ValueError, match=message):
        _listed(path)


def test_windows_says_itself_that_backslashes_separate(tmp_path: Path) -> None:
    names = {"val/cat\\0.png": IMAGE, "val/dog\\0.png": IMAGE}
    assert _listed(_windows_zip(tmp_path / "set.zip", names, 0)) == {"cat/0.png": 0, "dog/0.png": 1}


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_names_are_composed_and_no_two_folders_share_one(kind: str, tmp_path: Path) -> None:
    path = write_as(kind, tmp_path, {f"{NFD}/0.png": IMAGE})
    assert [entry.name for entry in list_entries(path, depth=1)] == [f"{NFC}/0.png"]
    both = {f"{NFC}/0.png": IMAGE, f"{NFD}/1.png": IMAGE}
    with pytest.raises(ValueError, match=f"two folders have the name '{NFC}'"):
        list_entries(write_as(kind, tmp_path, both), depth=1)


def test_names_in_zips_of_macos_are_utf8_though_they_do_not_say_so(tmp_path: Path) -> None:
    path = _windows_zip(tmp_path / "set.zip", {"xxxxx/0.png": IMAGE}, 3)
    path.write_bytes(path.read_bytes().replace(b"xxxxx", NFC.encode()))
    assert [entry.name for entry in list_entries(path)] == [f"{NFC}/0.png"]
