"""Tables of labels: columns, rows matched with images, and invalid tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from perturb.datasets.real.listing import list_images
from tests.image_files import IMAGE, by_id, source_of, write_as, write_folder

ABC = ("a.png", "b.png", "c.png")
TARGETS = {"a.png": 2, "b.png": 0, "c.png": 1}


def _targets(
    folder: Path, text: str | bytes, images: Sequence[str] = ABC, **source: Any
) -> dict[str, int]:
    write_folder(folder / "flat", dict.fromkeys(images, IMAGE))
    (folder / "labels").write_bytes(text if isinstance(text, bytes) else text.encode())
    asked = {"path": "flat", "layout": "labelled_files", "labels": "labels", **source}
    return by_id(list_images(asked, folder))


@pytest.mark.parametrize(
    "text",
    [
        "file,label\na.png,2\nb.png,0\nc.png,1\n",
        "FILE , Label\na.png,2\nb.png,0\nc.png,1\n",
        "label,file\n2,a.png\n0,b.png\n1,c.png\n",
        ",image_id,fold,Class ID\n0,a,x,2\n1,b,x,0\n2,c,x,1\n",
        "id,file_name,label\n7,a.png,2\n8,b.png,0\n9,c.png,1\n",
        "id,label\na,2\nb,0\nc,1\n",
        '"img path","ground-truth"\n"a.png","2"\n"b.png","0"\n"c.png","1"\n',
        "\ufefffile,label\r\na.png,2\r\nb.png,0\r\n\r\nc.png,1\r\n",
        "file\tlabel\na.png\t2\nb.png\t0\nc.png\t1\n",
        "file;label\na.png;2.0\nb.png;0\nc.png;1\n",
        'file,label,"x;y"\n"a.png",2,"u;v"\n"b.png",0,"u;v"\nc.png,1,"\n"\n',
        "file label\na.png 2\nb.png 0\nc.png 1\n",
        "file|label\na.png|2\nb.png|0\nc.png|1\n",
        "file | label\na.png | 2\nb.png | 0\nc.png | 1\n",
        "a.png|2\nb.png|0\nc.png|1\n",
        "a.png,2\nb.png,0\nc.png,1\n",
        "a.png, 2\nb.png, 0\nc.png, 1\n",
        "a.png\t2\nb.png\t0\nc.png\t1\n",
        "a.png   2\nb.png 0\n\nc.png  1\n",
        "c 1\na 2\nb 0\n",
        "./val/a.JPEG 2\n./val/b.JPEG 0\n./val/c.JPEG 1\n",
        "path,label\n/data/val/a.png,2\nC:\\val\\b.png,0\nc.png,1\n",
        "id,picture,label\na,x.png,2\nb,y.png,0\nc,z.png,1\n",
        "id,picture,label\na,a.png,2\nb,b.png,0\nc,c.png,1\n",
    ],
)
def test_columns_are_found_by_name(text: str, tmp_path: Path) -> None:
    assert _targets(tmp_path, text) == TARGETS


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("Datei,Art", {"image": "Datei", "label": "Art"}),
        ("file,Art", {"label": "Art"}),
        ("file,class,Art", {"label": "class"}),
        ("Datei,label", {"image": "Datei"}),
    ],
)
def test_columns_are_named(header: str, columns: Mapping[str, str], tmp_path: Path) -> None:
    more = ",x" if header.count(",") == 2 else ""
    rows = "".join(f"{name},{target}{more}\n" for name, target in TARGETS.items())
    assert _targets(tmp_path, f"{header}\n{rows}", columns=columns) == TARGETS


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        ("Datei,Art\na.png,2\n", {}, r"which column is the image\? none has a usual name.*Datei"),
        ("file,Art\na.png,2\n", {}, r"which column is the label\? .*its columns are file, Art"),
        ("file,label,class\na.png,2,x\n", {}, r"label\? several can be: label, class"),
        ("file,label,label\na.png,2,3\n", {}, "several can be: label, label"),
        ("a.png,2,x\n", {}, "has 3 columns and no header"),
        (
            "file,label\na.png,2\n",
            {"columns": {"label": "Label"}},
            r"source.columns.label is 'Label', not a column of .*labels; allowed: file, label",
        ),
        (
            "a.png 2\n",
            {"columns": {"label": "y"}},
            "source.columns: .*labels has no header; it begins with a.png 2",
        ),
        ("file,label\na.png,2\nb.png,1,3\nc.png\n", {}, "line 3 has 3 cells.*; line 4 has 1 cell"),
        ('file,label\na.png,"2\nb.png,1\n', {}, r"source.labels .*line 3: unexpected end"),
        ("file,label\na.png,2\na.png,1\nb.png,0\nc.png,1\n", {}, "a.png occurs twice, rows a.png"),
        ("a.png 2\n", {}, r"2 images have no label, first b.png, c.png"),
        ("a 2\nb 0\nc 1\nd 1\ne 2\n", {}, "2 of its images are missing, first d, e"),
        ("file,label\na.png,2\nb.png,\nc.png,\n", {}, r"line 3 \(b.png\) has no label; .*line 4"),
        ("file,label\na.png,2\nb.png,0\n./a.png,1\n", {}, "lines 2, 4: a.png occurs twice, rows a"),
        ("a.png 2\nb.png 0\n\na.png 1\n", {}, "lines 1, 4: a.png occurs twice, rows a.png"),
        (",label\na.png,2\n", {}, "column 1 has none: write one into the header, such as 'image'"),
        ("file,\na.png,2\n", {}, "column 2 has none: write one into the header, such as 'label'"),
        ("file,label\n", {}, "labels: has a header and no rows"),
        ("file label\n", {}, "labels: has a header and no rows"),
        ("file/label\na.png/2\n", {}, "source.labels .*'file/label', is one word.* A table is"),
        ('{"a.png": 2, "b.png": 0}', {}, "source.labels .*labels: line 1: .* A table is a text"),
        ("label\n2\n0\n1\n", {}, "source.labels .*'label', is one word; .*a.png is not. A table"),
        ('{\n"a.png": 2\n}\n', {}, "source.labels .*'{', is one word.* with a header and a line"),
        (b"PK\x03\x04\xff\xfe", {}, "source.labels .* is not text in UTF-8 .* A table is a text"),
        ("label file\n2 a.png\n", {}, "in a list with blanks the image stands before the label"),
        ("a.png 2\nb.png\nc.png 1\n", {}, r"labels, line 2 \(b.png\) has no label"),
    ],
)
def test_tables_that_are_refused(
    text: str, source: Mapping[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        _targets(tmp_path, text, **source)


def test_a_list_with_blanks_is_not_cut(tmp_path: Path) -> None:
    images = ("a b.png", "c.png", "d.png")
    text = "a b.png great white shark\nc.png great grey owl\nd.png great white shark\n"
    assert _targets(tmp_path, text, images) == {"a b.png": 1, "c.png": 0, "d.png": 1}
    with pytest.raises(ValueError, match=r"line 1: a and a b are images"):
        _targets(tmp_path, "a b c\nc.png 1\nd.png 2\n", (*images, "a.png"))


NUMBERED = ("0.png", "1.png", "2.png")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("id,picture,label\n0,1.png,1\n1,2.png,2\n2,0.png,0\n", {"columns": {"image": "picture"}}),
        ("file,id,label\n0.png,1,0\n1.png,2,1\n2.png,0,2\n", {}),
        (",filename,label\n0,2.png,2\n1,1.png,1\n2,0.png,0\n", {}),
        ("0.png,0\n1.png,1\n2.png,2\n", {}),
        ("0 0\n1 1\n2 2\n", {}),
        ("label,image\n1,1\n2,2\n0,0\n", {}),
    ],
)
def test_numbers_of_rows_are_no_images(text: str, source: Any, tmp_path: Path) -> None:
    expected = {name: target for target, name in enumerate(NUMBERED)}
    assert _targets(tmp_path, text, NUMBERED, **source) == expected


@pytest.mark.parametrize("mark", [" ", ",", "\t"])
def test_a_header_says_which_numbers_are_labels(mark: str, tmp_path: Path) -> None:
    text = "image label\n0 1\n1 2\n2 0\n".replace(" ", mark)
    assert _targets(tmp_path, text, NUMBERED) == {"0.png": 1, "1.png": 2, "2.png": 0}


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("id,picture,label\n0,2.png,5\n1,0.png,3\n2,1.png,4\n", "column 2, 'picture',"),
        ("image_id,picture,label\n0,2,5\n1,0,3\n2,1,4\n", "column 2, 'picture',"),
        (
            "file,original,label\n0.png,2.jpg,5\n1.png,0.jpg,3\n2.png,1.jpg,4\n",
            "column 2, 'original',",
        ),
        ("2,0.png\n0,1.png\n1,2.png\n", "column 2, '.*',"),
        ("2,0\n0,1\n1,2\n", "column 2, '.*',"),
        ("2 0.png\n0 1.png\n1 2.png\n", "what comes after it"),
    ],
)
def test_two_columns_that_name_all_images(text: str, other: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"which column is the image\? {other} names all"):
        _targets(tmp_path, text, NUMBERED)


@pytest.mark.parametrize("mark", [", ", "; ", ",", " ; ", "|"])
@pytest.mark.parametrize("before", ["", "val/", "my set/"])
@pytest.mark.parametrize("suffix", ["", ".png"])
def test_lists_with_marks_in_labels(mark: str, before: str, suffix: str, tmp_path: Path) -> None:
    labels = [f"white shark{mark}carcharias", "goldfish", f"ray{mark}x y"]
    rows = zip(ABC, labels, strict=True)
    text = "".join(f"{before}{n.removesuffix('.png')}{suffix} {label}\n" for n, label in rows)
    assert _targets(tmp_path, text) == {"a.png": 2, "b.png": 0, "c.png": 1}


@pytest.mark.parametrize("suffix", ["", ".png", ".jpg", ".PNG"])
def test_names_with_dots(suffix: str, tmp_path: Path) -> None:
    names = [f"mix_0.{number}" for number in range(3)]
    rows = "".join(f"{name}{suffix},{row}\n" for row, name in enumerate(names))
    images = [f"{name}.png" for name in names]
    expected = {image: row for row, image in enumerate(images)}
    assert _targets(tmp_path, f"ImageId,Class\n{rows}", images) == expected


PATHS = ("cat/1.png", "dog/1.png", "dog/2.png")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("before", ["", "./", "val/", "/data/my set/val/"])
@pytest.mark.parametrize("suffix", ["", ".png"])
def test_a_table_of_paths_in_class_folders(
    kind: str, before: str, suffix: str, tmp_path: Path
) -> None:
    path = write_as(kind, tmp_path, dict.fromkeys(PATHS, IMAGE))
    rows = (f"{before}{p.removesuffix('.png')}{suffix},{row}\n" for row, p in enumerate(PATHS))
    (tmp_path / "labels").write_text("path,label\n" + "".join(rows))
    listing = list_images(source_of(path, "labelled_files", labels="labels"), tmp_path)
    assert by_id(listing) == {name: row for row, name in enumerate(PATHS)}


@pytest.mark.parametrize("images", ["flat", "flat/images"])
def test_files_of_labels_beside_the_images(images: str, tmp_path: Path) -> None:
    write_folder(tmp_path / images, dict.fromkeys(ABC, IMAGE))
    flat = tmp_path / "flat"
    (flat / "labels.csv").write_text("file,label\na.png,z\nb.png,x\nc.png,y\n")
    (flat / "index.json").write_text('{"x": 0, "y": 1, "z": 2}')
    source = {"path": "flat", "layout": "labelled_files", "labels": "flat/labels.csv"}
    source["class_index"] = "./flat/index.json"
    (flat / "other.csv").write_text("")
    listing = list_images(source, tmp_path)
    assert by_id(listing) == TARGETS
    assert listing.unused_files == [("other.csv", "is not named like an image")]


def test_accepted_labels_need_numbered_images(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("[[0], [1], [2]]")
    with pytest.raises(ValueError, match=r"source.accepted_labels .*real.json: a.png: allowed nam"):
        _targets(tmp_path, "a 0\nb 1\nc 2\n", accepted_labels="real.json")


def test_equal_names_are_named(tmp_path: Path) -> None:
    message = r"1 occurs twice, rows 1, 1; the images cat/1.png, dog/1.png have the same name, 1"
    with pytest.raises(ValueError, match=message):
        _targets(tmp_path, "file,label\n1,0\n1,1\n2,2\n", PATHS)
    images = ("a.png", "a.jpg")
    assert _targets(tmp_path / "x", "a.png 1\na.jpg 0\n", images) == {"a.jpg": 0, "a.png": 1}
    with pytest.raises(ValueError, match=r"the images a.jpg, a.png have the same name, a"):
        _targets(tmp_path / "y", "a 1\nb 0\n", images)


def test_names_meet_in_any_form(tmp_path: Path) -> None:
    images = ("caf\u00e9.png", "cre\u0300me.png")
    text = "file,label\ncafe\u0301.png,1\ncr\u00e8me.png,0\n"
    assert _targets(tmp_path, text, images) == {"caf\u00e9.png": 1, "cr\u00e8me.png": 0}


def test_boxes_of_a_class_are_not_its_name(tmp_path: Path) -> None:
    text = "ImageId,PredictionString\na,n2 1 2 3 4 n2 5 6 7 8 \nb,n0 -1 2 3 4\nc,n1 1 2 3 4 \n"
    assert _targets(tmp_path, text) == TARGETS
