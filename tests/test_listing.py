"""Listings: every layout as published, and every invalid variant."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.datasets.labels import read_class_index
from perturb.datasets.real.listing import list_images
from tests.image_files import (
    FOLDERS,
    IMAGE,
    KINDS,
    WNIDS,
    by_id,
    in_json,
    refuses,
    source_of,
    tar_of,
    write_as,
    write_folder,
    write_tar,
)

INDEX = {WNIDS[0]: 5, WNIDS[1]: 0, WNIDS[2]: 2}


@pytest.mark.parametrize("kind", KINDS)
def test_class_folders(kind: str, tmp_path: Path) -> None:
    path = write_as(kind, tmp_path, {f"val/{name}": data for name, data in FOLDERS.items()})
    source = source_of(path, class_index=in_json(tmp_path / "index.json", INDEX))
    listing = list_images(source, tmp_path, num_images=9, num_classes=3)
    assert by_id(listing) == {name: INDEX[name.partition("/")[0]] for name in FOLDERS}
    assert list(listing.image_ids) == sorted(FOLDERS)
    without_index = list_images(source_of(path), tmp_path)
    assert sorted(set(without_index.targets)) == [0, 1, 2]


def test_folders_that_are_numbers(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "v2", {f"{number}/x.jpeg": IMAGE for number in range(12)})
    listing = list_images(source_of(path, class_index="numbers"), tmp_path, num_classes=12)
    assert by_id(listing) == {f"{number}/x.jpeg": number for number in range(12)}
    refuses(source_of(path), tmp_path, match="its folders are numbers; set `class_index: numbers`")
    index = in_json(tmp_path / "index.json", {str(number): 11 - number for number in range(12)})
    assert list_images(source_of(path, class_index=index), tmp_path).targets[0] == 11


def test_accepted_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_folder(tmp_path / "val", FOLDERS)
    accepted = [[2, 1], [], [0], [7], [], [1], [1], [0, 2], [2]]
    source = source_of(path, accepted_labels=in_json(tmp_path / "real.json", accepted))
    caplog.set_level("INFO")
    listing = list_images(source, tmp_path, num_images=7, num_classes=3)
    assert "left out 2 images without any label" in caplog.text
    rows = zip(listing.image_ids, listing.targets, listing.columns["accepted"], strict=True)
    for image_id, target, classes in rows:
        assert classes == accepted[int(image_id[-7:-5]) - 1]
        assert target == classes[0]
    with pytest.raises(ValueError, match="7 images, 9 before some were left out, expected 9"):
        list_images(source, tmp_path, num_images=9)
    in_json(tmp_path / "real.json", accepted[:4])
    refuses(source, tmp_path, match="4 images, but there is one of number 9")


@pytest.mark.parametrize("number", [0, 10])
def test_accepted_labels_are_of_images_numbered_from_one(number: int, tmp_path: Path) -> None:
    name = f"{WNIDS[0]}/ILSVRC2012_val_{number:08d}.JPEG"
    path = write_folder(tmp_path / "val", FOLDERS | {name: IMAGE})
    labels = in_json(tmp_path / "real.json", [[number] for number in range(9)])
    with pytest.raises(ValueError, match=rf"one of number {number}; allowed: 1 to 9"):
        list_images(source_of(path, accepted_labels=labels), tmp_path)


@pytest.mark.parametrize("value", [-1, 40_000, 1.5, True, "1", None])
def test_accepted_labels_are_classes(value: object, tmp_path: Path) -> None:
    path = write_folder(tmp_path / "val", FOLDERS)
    labels = in_json(tmp_path / "real.json", [[0], [value]])
    with pytest.raises(ValueError, match=rf"image 2 has {value!r}; allowed: 0 to 32767"):
        list_images(source_of(path, accepted_labels=labels), tmp_path)


@pytest.mark.parametrize("value", [1.5, None, "x", "1", True, -1, 40_000, [3], {"a": 1}])
def test_a_class_index_holds_whole_numbers_or_lists_alone(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    in_json(path, {"a": 0, "b": value})
    with pytest.raises(ValueError, match=r"index.json: [ab] is .*; allowed: 0 to 32767"):
        read_class_index(path)
    in_json(path, {"b": value, "c": value})
    if isinstance(value, list):
        assert read_class_index(path) == {"b": 0, "c": 1}
        return
    with pytest.raises(ValueError, match=rf"b is {re.escape(repr(value))}; allowed: 0 to 32767"):
        read_class_index(path)


@pytest.mark.parametrize("kind", ["folder", "tar"])
@pytest.mark.parametrize("name", ["a\n0 of 9 files are bad.jpg", "a\udcff.jpg", "a\u2028.jpg"])
@pytest.mark.parametrize("suffix", ["", ".txt"])
def test_names_that_no_report_can_hold_are_refused(
    kind: str, name: str, suffix: str, tmp_path: Path
) -> None:
    path = write_as(kind, tmp_path, FOLDERS | {f"{WNIDS[0]}/{name}{suffix}": IMAGE})
    refuses(source_of(path), tmp_path, match=re.escape(repr(f"{WNIDS[0]}/{name}{suffix}")))


def test_other_alphabets_and_blanks_are_names(tmp_path: Path) -> None:
    name = f"{WNIDS[0]}/\u5bff\u53f8\u00a0\u3000 \u00e9\U0001f41f.JPEG"
    path = write_folder(tmp_path / "val", FOLDERS | {name: IMAGE})
    assert name in list_images(source_of(path), tmp_path).image_ids


def test_cue_conflict(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["dog/dog1-car2.png", "dog/dog2-dog3.png", "car/car10-dog1.png", "car/car1-oven7.png"]
    path = write_folder(tmp_path / "stimuli", dict.fromkeys(names, IMAGE))
    classes = {"car": [436, 511], "dog": [152], "oven": [766]}
    source = source_of(path, "cue_conflict", class_index=in_json(tmp_path / "index.json", classes))
    caplog.set_level("INFO")
    listing = list_images(source, tmp_path, num_images=3)
    assert "left out 1 of 4 stimuli whose texture is that of their shape" in caplog.text
    assert list(listing.image_ids) == [names[3], names[2], names[0]]
    assert listing.targets == [0, 0, 1]
    assert listing.columns["texture"] == [2, 1, 0]
    write_folder(path, {"dog/cat1-car2.png": IMAGE})
    refuses(source, tmp_path, match=r"dog/cat1-car2.png: allowed names of stimuli")


TREE = {
    f"noise/{corruption}/{severity}/{name}": data
    for corruption in ("shot_noise", "gaussian_noise")
    for severity in (1, 2)
    for name, data in FOLDERS.items()
}


FLAT = {name.partition("/")[2]: data for name, data in TREE.items()}
CORRUPTIONS: Mapping[str, Callable[[Path], Path]] = {
    "categories": lambda folder: write_folder(folder, TREE),
    "no categories": lambda folder: write_folder(folder, FLAT),
    "archives": lambda folder: write_folder(folder, {"README": b"", "noise.tar": tar_of(FLAT)}),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions(name: str, tmp_path: Path) -> None:
    source = source_of(CORRUPTIONS[name](tmp_path / "ImageNet-C"), "corruptions")
    listings = [
        list_images(source, tmp_path, part=part, num_images=9, num_classes=3)
        for part in ("gaussian_noise-1", "shot_noise-2")
    ]
    assert [list(listing.image_ids) for listing in listings] == [sorted(FOLDERS)] * 2
    assert listings[0].locators != listings[1].locators
    refuses(source, tmp_path, part="fog-3", match="fog/3 is neither in it")
    refuses(source, tmp_path, match="part is None; allowed: <corruption>-<severity>")
    with pytest.raises(ValueError, match="only layout corruptions has parts"):
        list_images(source | {"layout": "class_folders"}, tmp_path, part="fog-3")


def _parquet(path: Path, labels: list[Any], names: list[str | None] | None) -> None:
    images: list[Any] = [IMAGE] * len(labels)
    if names is not None:
        images = [{"bytes": IMAGE, "path": name} for name in names]
    pq.write_table(pa.table({"image": images, "label": labels}), path, row_group_size=2)


def test_parquet(tmp_path: Path) -> None:
    _parquet(tmp_path / "val-0.parquet", [4, 0, 1], ["c.jpg", "a.jpg", "b.jpg"])
    _parquet(tmp_path / "val-1.parquet", [2], ["d.jpg"])
    source = {"path": "val-*.parquet", "layout": "parquet"}
    expected = {"c.jpg": 4, "a.jpg": 0, "b.jpg": 1, "d.jpg": 2}
    assert by_id(list_images(source, tmp_path, num_images=4)) == expected
    _parquet(tmp_path / "val-1.parquet", [2], [None])
    assert list_images(source, tmp_path).image_ids[2:] == ["val-0/000002", "val-1/000000"]
    _parquet(tmp_path / "plain.parquet", list(WNIDS), None)
    plain = {"path": "plain.parquet", "layout": "parquet"}
    plain["class_index"] = in_json(tmp_path / "index.json", INDEX)
    assert list_images(plain, tmp_path).targets == [5, 0, 2]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"picture": [b""], "label": [1]}, r"source.columns.image is 'image', not a column"),
        ({"image": ["text"], "label": [1]}, "column image is string; allowed: bytes"),
        ({"image": [b""], "label": [1.5]}, "row 0: label '1.5' is not a whole number"),
        ({"image": [b"", b""], "label": [1, None]}, "row 1 has no label"),
        ({"image": [b""], "label": [-1]}, "-1 is not a class; allowed: 0 to 32767"),
    ],
)
def test_parquet_that_is_not_as_said(table: Any, message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    refuses({"path": "x.parquet", "layout": "parquet"}, tmp_path, match=message)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_webdataset(suffix: str, tmp_path: Path) -> None:
    shards: list[dict[str, bytes]] = [
        {"000.jpg": IMAGE, "000.cls": b"7", "001.cls": b"3\n", "001.png": IMAGE},
        {"002.json": b'{"label": 5, "x": 1}', "002.jpeg": IMAGE},
        {"003.json": b'{"width": 40}', "003.cls": b"2", "003.jpg": IMAGE, "003.txt": b"a fish"},
    ]
    for number, files in enumerate(shards):
        mode = "w:gz" if suffix == "tar.gz" else "w"
        write_tar(tmp_path / f"val-{number:06d}.{suffix}", files, mode)
    source = {"path": f"val-{{000000..000002}}.{suffix}", "layout": "webdataset"}
    expected = {"000.jpg": 7, "001.png": 3, "002.jpeg": 5, "003.jpg": 2}
    assert by_id(list_images(source, tmp_path)) == expected
    with pytest.raises(ValueError, match=r"val-000003.tar.* does not exist"):
        list_images(source | {"path": f"val-{{000000..000003}}.{suffix}"}, tmp_path)
    write_tar(tmp_path / "x.tar", {"9.jpg": IMAGE, "9.json": b"[]"})
    with pytest.raises(ValueError, match=r"9.jpg has no label; allowed: 9.cls, 9.json"):
        list_images(source | {"path": "x.tar"}, tmp_path)


def test_unused_files_are_kept_for_the_report(tmp_path: Path) -> None:
    extra = {f"{WNIDS[0]}/notes.txt": b"", "loose.png": IMAGE, "classes.csv": b""}
    path = write_folder(tmp_path / "val", FOLDERS | extra)
    listing = list_images(source_of(path), tmp_path)
    assert len(listing) == 9
    assert {name for name, _ in listing.unused_files} == {"loose.png", f"{WNIDS[0]}/notes.txt"}


@pytest.mark.parametrize(
    ("change", "counts", "message"),
    [
        ({"layout": "imagefolder"}, {}, "source.layout is 'imagefolder'; allowed: class_folders,"),
        ({"path": "train"}, {}, "source.path is 'train'; .*train does not exist"),
        ({"class_index": "none.json"}, {}, "source.class_index is 'none.json'; .* exist"),
        ({"class_index": "half.json"}, {}, f"half.json: does not know {WNIDS[2]}"),
        ({"class_index": "list.json"}, {}, "list.json: allowed: a JSON object"),
        ({"class_index": "high.json"}, {}, "n9 is 32768; allowed: 0 to 32767"),
        ({"class_index": "more.json"}, {"num_classes": 4}, "of 3 classes, .* 4; without .*: n9"),
        ({"class_index": "more.json"}, {"num_classes": 2}, "of 3 classes, expected 2$"),
        ({}, {"num_images": 10}, "source.path 'val': 9 images, expected 10"),
        ({"layout": "parquet"}, {}, "cannot be read as Parquet"),
        ({"layout": "labelled_files"}, {}, "source.labels is missing"),
    ],
)
def test_what_is_not_as_said_is_named(
    change: Any, counts: Any, message: str, tmp_path: Path
) -> None:
    write_folder(tmp_path / "val", FOLDERS)
    in_json(tmp_path / "half.json", {WNIDS[0]: 0, WNIDS[1]: 1})
    in_json(tmp_path / "list.json", list(WNIDS))
    in_json(tmp_path / "high.json", INDEX | {"n9": 32768})
    in_json(tmp_path / "more.json", INDEX | {"n9": 9})
    source = {"path": "val", "layout": "class_folders", **change}
    refuses(source, tmp_path, **counts, match=message)


def test_empty_class_folders_and_deep_ones(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "val", FOLDERS)
    (path / "n00000001").mkdir()
    with pytest.raises(ValueError, match="of 3 classes, expected 4; without images: n00000001"):
        list_images(source_of(path), tmp_path, num_classes=4)
    with pytest.raises(ValueError, match=r"of 3 classes, expected 5; without images: n00000001$"):
        list_images(source_of(path), tmp_path, num_classes=5)
    (path / "n00000001").rmdir()
    refuses(source_of(path), tmp_path, num_classes=5, match=r"of 3 classes, expected 5$")
    write_folder(path, {f"{WNIDS[0]}/deep/x.JPEG": IMAGE})
    refuses(source_of(path), tmp_path, match=r"deep/x.JPEG: images must lie in <class>/<image>")


@pytest.mark.parametrize("kind", KINDS)
def test_images_without_class_folders_are_counted(kind: str, tmp_path: Path) -> None:
    files = {f"{number}.jpg": IMAGE for number in range(3)} | {"readme.txt": b""}
    path = write_as(kind, tmp_path, files)
    message = "there are no images; outside of class folders: 3; a folder per class is expected"
    refuses(source_of(path), tmp_path, num_classes=2, match=message)


def test_a_folder_without_images_has_none(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "val", {"readme.txt": b""})
    refuses(source_of(path), tmp_path, num_classes=2, match=r"there are no images$")
