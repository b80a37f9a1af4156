"""Labels in every layout: numbers in any spelling, names, and invalid labels."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.datasets.labels import Label, label_of
from perturb.datasets.real.listing import list_images
from tests.image_files import (
    IMAGE,
    LABELLED,
    NFC,
    NFD,
    by_id,
    in_json,
    refuses,
    source_of,
    write_as,
    write_folder,
    write_tar,
)


@pytest.mark.parametrize("layout", LABELLED)
@pytest.mark.parametrize("spelling", ["{}", "{}.0", "{}e0", "{:03d}", " {} ", "+{}."])
def test_whole_numbers_in_any_spelling(layout: str, spelling: str, tmp_path: Path) -> None:
    labels = [spelling.format(number) for number in range(12)]
    listing = list_images(LABELLED[layout](tmp_path, labels), tmp_path, num_classes=12)
    assert listing.targets == list(range(12))
    assert listing.given_by == "numbers"


@pytest.mark.parametrize("layout", ["json", "parquet"])
@pytest.mark.parametrize("kind", [int, float])
def test_numbers_that_are_no_text(layout: str, kind: type, tmp_path: Path) -> None:
    source = LABELLED[layout](tmp_path, [kind(number) for number in range(12)])
    assert list_images(source, tmp_path).targets == list(range(12))


@pytest.mark.parametrize("layout", LABELLED)
def test_names_are_whole_cells(layout: str, tmp_path: Path) -> None:
    names = ["great white shark", "great grey owl", NFC, NFD, "great", "3 dots", "a,b", 'say "x"']
    if layout == "lines":
        names = [name for name in names if not set(',"') & set(name)]
    listing = list_images(LABELLED[layout](tmp_path, names), tmp_path)
    composed = [NFC if name == NFD else name for name in names]
    assert dict(listing.classes) == {name: n for n, name in enumerate(sorted(set(composed)))}
    assert listing.targets == [listing.classes[name] for name in composed]
    assert listing.given_by == "order"


@pytest.mark.parametrize("layout", LABELLED)
@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("1.5", "is not a whole number"),
        ("1e-1", "is not a whole number"),
        ("-1", "-1 is not a class; allowed: 0 to 32767"),
        ("32768", "32768 is not a class"),
        ("nan", "stands for a missing value"),
        ("None", "stands for a missing value"),
        ("NULL", "stands for a missing value"),
        ("[3]", "is a list"),
        ("tensor(3)", "is a list or another structure"),
        ("int(10)", "is a list or another structure"),
        *(
            (text, "looks like a number, but is not written as one")
            for text in ("b'10'", "'10", "10:", "#10", "10 %", "1 000", "<10>", "_10_", "(10.0)")
        ),
    ],
)
def test_what_is_no_label_is_named_with_its_sample(
    layout: str, label: str, reason: str, tmp_path: Path
) -> None:
    source = LABELLED[layout](tmp_path, ["0", label, "2"])
    told = refuses(source, tmp_path, match=re.escape(reason))
    assert "row 1" in told if layout == "parquet" else "i01" in told
    assert label in told


@pytest.mark.parametrize(
    ("layout", "label"),
    [
        *((layout, "") for layout in ("csv", "cls", "json", "parquet", "lines")),
        *((layout, None) for layout in ("csv", "json", "parquet")),
    ],
)
def test_a_label_that_is_missing(layout: str, label: str | None, tmp_path: Path) -> None:
    source = LABELLED[layout](tmp_path, ["0", label, "2"])
    refuses(source, tmp_path, match=r"(row 1|i01\S*\)?) has no label")


@pytest.mark.parametrize("label", [True, [1], {"a": 1}, 1.5, float("nan"), float("inf")])
def test_values_of_json_that_are_no_label(label: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"set.tar, i01.png: label .* (is|stands for) a|is not"):
        list_images(LABELLED["json"](tmp_path, [0, label]), tmp_path)


@pytest.mark.parametrize("kind", [pa.bool_(), pa.list_(pa.int64()), pa.date32()])
def test_columns_that_hold_no_labels(kind: pa.DataType, tmp_path: Path) -> None:
    table = pa.table({"image": [IMAGE], "label": pa.nulls(1, kind)})
    pq.write_table(table, tmp_path / "set.parquet")
    with pytest.raises(ValueError, match=r"column label is .*; allowed: integers, strings"):
        list_images({"path": "set.parquet", "layout": "parquet"}, tmp_path)


@pytest.mark.parametrize("layout", LABELLED)
def test_all_bad_rows_are_counted_and_the_first_ten_named(layout: str, tmp_path: Path) -> None:
    source = LABELLED[layout](tmp_path, ["0", *["0.5"] * 12])
    told = refuses(source, tmp_path, match="and 2 more, 12 in all")
    assert told.count("'0.5'") == 10


@pytest.mark.parametrize("layout", LABELLED)
def test_numbers_beside_names_are_refused(layout: str, tmp_path: Path) -> None:
    source = LABELLED[layout](tmp_path, ["0", "1", "cat"])
    refuses(source, tmp_path, match=r"some labels are numbers \('0'.*are names \('cat'")
    (tmp_path / "index.json").write_text('{"0": 2, "cat": 0, "1": 1}')
    listing = list_images(source | {"class_index": "index.json"}, tmp_path)
    assert listing.targets == [2, 1, 0]


@pytest.mark.parametrize("text", ["(10,)", '"10"', '="10"', "1,000", "(1, 2)", "'1e1'"])
def test_numbers_in_punctuation_are_no_names(text: str) -> None:
    assert "looks like a number" in str(label_of(text).fault)


@pytest.mark.parametrize(
    "text", ["3 dots", "class_10", "No. 10", "10-19", "C++", "cat (2)", "crane(2)", "b'cat'", "3d"]
)
def test_names_with_numbers_in_them(text: str) -> None:
    assert label_of(text) == Label(text)


def test_an_index_knows_names_that_look_like_nothing(tmp_path: Path) -> None:
    source = LABELLED["csv"](tmp_path, ["none", "1.5", NFD, "2.0"])
    index = {"None": 9, "none": 0, "1.5": 1, NFD: 2, "2": 3}
    source["class_index"] = in_json(tmp_path / "index.json", index)
    assert list_images(source, tmp_path).targets == [0, 1, 2, 3]


@pytest.mark.parametrize("layout", LABELLED)
@pytest.mark.parametrize("key", ["{:02d}", "{}.0", "{}", "{}e0"])
@pytest.mark.parametrize("label", ["{}", "{}.0", "{:03d}"])
def test_numbers_of_keys_and_labels_meet(layout: str, key: str, label: str, tmp_path: Path) -> None:
    source = LABELLED[layout](tmp_path, [label.format(number) for number in (3, 1, 2)])
    index = {key.format(number): number - 1 for number in (1, 2, 3)}
    source["class_index"] = in_json(tmp_path / "index.json", index)
    assert list_images(source, tmp_path).targets == [2, 0, 1]


@pytest.mark.parametrize(
    ("index", "labels", "message"),
    [
        ({"1": 0, "02": 1}, ["0", "3"], "index.json: does not know 0, 3"),
        ({"1": 0, "cat": 1}, ["0"], "index.json: does not know 0"),
        ({"1": 0, "01": 1}, ["1"], "1 and 01 are the same number, but have the classes 0 and 1"),
        ({"cat": 0, "dog": 1}, ["2"], "label 2 is beyond the 2 classes"),
    ],
)
def test_numbers_that_an_index_does_not_know(
    index: dict[str, int], labels: list[str], message: str, tmp_path: Path
) -> None:
    source = LABELLED["csv"](tmp_path, labels)
    source["class_index"] = in_json(tmp_path / "index.json", index)
    refuses(source, tmp_path, match=message)


@pytest.mark.parametrize("text", ['{"a": 0, "b": 1, "a": 2}', f'{{"{NFC}": 0, "{NFD}": 1}}'])
def test_a_class_index_in_which_a_name_stands_twice(text: str, tmp_path: Path) -> None:
    source = LABELLED["csv"](tmp_path, ["a", "b"])
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(ValueError, match=r"index.json: the name '.*' occurs twice"):
        list_images(source | {"class_index": "index.json"}, tmp_path)


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["0", "1", "10"], "its folders are numbers; set `class_index: numbers`"),
        (["007", "1"], "its folders are numbers"),
        (["1.0", "2.0"], "its folders are numbers"),
        (["0", "cat"], "some labels are numbers"),
        (["None", "cat"], "class folder None: label 'None' stands for a missing value"),
        (["nan", "cat"], "'nan' stands for a missing value"),
        (["1.5", "2.5"], "'1.5' is not a whole number"),
        (["#1", "#2", "10%"], "'#1' looks like a number"),
        (["(1)", "2"], "'(1)' looks like a number"),
    ],
)
def test_class_folders_that_are_no_names(
    kind: str, folders: list[str], message: str, tmp_path: Path
) -> None:
    path = write_as(kind, tmp_path, {f"{folder}/x.png": IMAGE for folder in folders})
    refuses(source_of(path), tmp_path, match=re.escape(message))


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_class_folders_are_never_values(kind: str, tmp_path: Path) -> None:
    names = ["{cat}", "[sic]", "100%", "#1", "1,2", "int(8)", "dog"]
    path = write_as(kind, tmp_path, {f"{name}/x.png": IMAGE for name in names})
    listing = list_images(source_of(path), tmp_path)
    assert dict(listing.classes) == {name: n for n, name in enumerate(sorted(names))}


def test_class_folders_that_are_the_same(tmp_path: Path) -> None:
    source = {"path": "set.tar", "layout": "class_folders"}
    write_tar(tmp_path / "set.tar", {f"{NFC}/x.png": IMAGE, f"{NFD}/y.png": IMAGE})
    refuses(source, tmp_path, match=r"two folders have the name '.*', written in two forms")
    write_tar(tmp_path / "set.tar", {"7/x.png": IMAGE, "007/y.png": IMAGE})
    (tmp_path / "index.json").write_text('{"7": 0, "8": 1}')
    for index in ("numbers", "index.json"):
        refuses(source | {"class_index": index}, tmp_path, match=r"007 and 7 are the same number")


@pytest.mark.parametrize("folder", [NFC, NFD])
@pytest.mark.parametrize("key", [NFC, NFD])
def test_folders_and_index_meet_in_any_form(folder: str, key: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path / "val", {f"{folder}/x.png": IMAGE, "dog/x.png": IMAGE})
    source = source_of(path, class_index=in_json(tmp_path / "index.json", {key: 3, "dog": 1}))
    assert by_id(list_images(source, tmp_path)) == {f"{NFC}/x.png": 3, "dog/x.png": 1}


@pytest.mark.parametrize(
    "value",
    [
        *(10, 10.0, "10", "10.0", "1e1", " 10", b"10", Decimal("10.00")),
        *("\u200b10", "10\ufeff", " \u200e 10\u00a0\u200f", "\uff11\uff10"),
        *(np.int64(10), np.uint8(10), np.float32(10), np.float16(10), np.str_("10.0")),
    ],
)
def test_ten(value: object) -> None:
    assert label_of(value).number == 10


def test_webdataset_keys_that_are_shared(tmp_path: Path) -> None:
    files = {f"track 2.{n}.{suffix}": IMAGE for n in range(2) for suffix in ("png", "cls")}
    write_tar(tmp_path / "set.tar", files)
    source = {"path": "set.tar", "layout": "webdataset"}
    refuses(source, tmp_path, match=r"track 2.0.png, track 2.1.png share the key 'track 2'")
    write_tar(tmp_path / "set.tar", {"a.png": IMAGE, "a.cls": b"0", "a.x.cls": b"1"})
    refuses(source, tmp_path, match=r"a.cls, a.x.cls share the key 'a'")


def test_a_label_in_json_has_a_usual_name(tmp_path: Path) -> None:
    files = {"a.png": IMAGE, "a.JSON": b'{"Class": 3.0, "x": 1}'}
    write_tar(tmp_path / "set.tar", files)
    source: dict[str, Any] = {"path": "set.tar", "layout": "webdataset"}
    assert list_images(source, tmp_path).targets == [3]
    write_tar(tmp_path / "set.tar", files | {"a.JSON": b'{"class": 3, "target": 1}'})
    refuses(source, tmp_path, match=r"a.JSON: which is the label, class, target")
    files |= {"a.JSON": b'{"class": 3, "target": 1}', "a.cls": b"2"}
    write_tar(tmp_path / "set.tar", files | {"a.x.json": b""})
    assert list_images(source, tmp_path).targets == [2]
    write_tar(tmp_path / "set.tar", files)
    source["columns"] = {"label": "target"}
    assert list_images(source, tmp_path).targets == [1]
    source["columns"] = {"image": "jpg"}
    refuses(source, tmp_path, match=r"source.columns.image: only with layout parquet")


@pytest.mark.parametrize(
    ("record", "columns", "message"),
    [
        (b'{"meta": {"label": 3}, "x": 1}', {}, "a.json has no key `label`, but meta, x; name"),
        (b'{"label": 3}', {"label": "y"}, "a.json has no key `y`, but label; name another key"),
        (b"{'label': 3}", {}, r"a.json is not JSON \("),
        (b"", {}, r"a.json is not JSON \("),
        (b"\xff\xfe{", {}, r"a.json is not JSON \("),
        (b"[3]", {}, "a.json is a list, not a JSON object"),
    ],
)
def test_records_without_a_label(
    record: bytes, columns: dict[str, str], message: str, tmp_path: Path
) -> None:
    write_tar(tmp_path / "set.tar", {"a.png": IMAGE, "a.json": record, "info.json": b"{"})
    source = {"path": "set.tar", "layout": "webdataset", "columns": columns}
    refuses(source, tmp_path, match="a.png has no label; allowed: .*a.json; " + message)


@pytest.mark.parametrize("folder", ["d[1]", "[a-z]", "a]b[", "d[!1]"])
def test_brackets_in_a_pattern_are_no_wildcards(folder: str, tmp_path: Path) -> None:
    for name in (folder, "d1"):
        (tmp_path / name).mkdir()
    write_tar(tmp_path / folder / "s0.TAR", {"a.png": IMAGE, "a.cls": b"2"})
    write_tar(tmp_path / "d1" / "s1.tar", {"a.png": IMAGE, "a.cls": b"1"})
    source = {"path": f"{folder}/*.tar", "layout": "webdataset"}
    assert list_images(source, tmp_path).targets == [2]
