"""Images with a file of labels: all usual formats, and labels that do not match."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from perturb.datasets.real.listing import list_images
from tests.image_files import (
    FOLDERS,
    WNIDS,
    by_id,
    in_json,
    refuses,
    source_of,
    write_as,
    write_tar,
)

CLASSES = {wnid: position for position, wnid in enumerate(WNIDS)}
NUMBERS = {WNIDS[2]: 1, WNIDS[0]: 2, WNIDS[1]: 3}


def _kit(folder: Path) -> None:
    kit = folder / "kit" / "data"
    kit.mkdir(parents=True)
    # As in the kit: the numbers are not in the order of the WordNet ids, and inner nodes follow.
    rows = [(1, WNIDS[2], 0), (2, WNIDS[0], 0), (3, WNIDS[1], 0), (4, "n00001740", 2)]
    kind = [("ILSVRC2012_ID", object), ("WNID", object), ("num_children", object)]
    savemat(kit / "meta.mat", {"synsets": np.array(rows, dtype=kind)[:, None]})
    lines = "".join(f"{NUMBERS[WNIDS[serial % 3]]}\n" for serial in range(9))
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text(lines)


def _flat(folder: Path, kind: str = "tar") -> Path:
    return write_as(kind, folder, {name.partition("/")[2]: FOLDERS[name] for name in FOLDERS})


def _label_lines(line: Callable[[str, str], str], head: str = "") -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        pairs = [name.split("/") for name in sorted(FOLDERS, reverse=True)]
        (folder / "labels").write_text(head + "".join(line(*pair) + "\n" for pair in pairs))
        return "labels"

    return write


def _ordered_ids(folder: Path) -> str:
    (folder / "labels").write_text("".join(WNIDS[serial % 3] + "\n" for serial in range(9)))
    return "labels"


def _kit_archive(folder: Path) -> str:
    files = {f"kit/data/{file.name}": file.read_bytes() for file in (folder / "kit/data").iterdir()}
    return write_tar(folder / "kit.tar.gz", files, "w:gz").name


LABELS: Mapping[str, Callable[[Path], str]] = {
    "name wnid": _label_lines(lambda wnid, name: f"{name} {wnid}"),
    "name index": _label_lines(lambda wnid, name: f"val/{name} {WNIDS.index(wnid)}"),
    "name,index": _label_lines(lambda wnid, name: f"{name},{WNIDS.index(wnid)}"),
    "Kaggle": _label_lines(
        lambda wnid, name: f"{name.removesuffix('.JPEG')},{wnid} 1 2 30 40 {wnid} 5 6 7 8 ",
        "ImageId,PredictionString\n",
    ),
    "ids in order": _ordered_ids,
    "kit": lambda _: "kit",
    "archive of the kit": _kit_archive,
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("with_index", [True, False])
def test_labelled_files(name: str, with_index: bool, tmp_path: Path) -> None:
    _kit(tmp_path)
    path = _flat(tmp_path, "folder" if name == "name wnid" else "tar")
    source = source_of(path, "labelled_files", labels=LABELS[name](tmp_path))
    if with_index:
        source["class_index"] = in_json(tmp_path / "index.json", CLASSES)
    listing = list_images(source, tmp_path, num_images=9, num_classes=3)
    expected = [name.split("/") for name in FOLDERS]
    assert by_id(listing) == {name: CLASSES[wnid] for wnid, name in expected}


def test_ground_truth_with_its_synsets(tmp_path: Path) -> None:
    _kit(tmp_path)
    truth = "kit/data/ILSVRC2012_validation_ground_truth.txt"
    source = source_of(_flat(tmp_path), "labelled_files", labels=truth)
    refuses(source, tmp_path, match=r"give the file that maps them to WordNet ids, meta.mat")
    listing = list_images(source | {"synsets": "kit/data/meta.mat"}, tmp_path)
    assert listing.targets == [serial % 3 for serial in range(9)]


@pytest.mark.parametrize("spelling", ["{}", "{}.0", "{}e+00", "{:02d}", " +{}"])
@pytest.mark.parametrize("line", ["{label}", "{name} {label}", "{name},{label}"])
def test_numbers_of_synsets_in_any_spelling(spelling: str, line: str, tmp_path: Path) -> None:
    _kit(tmp_path)
    rows = [
        line.format(name=name, label=spelling.format(NUMBERS[wnid]))
        for wnid, name in sorted((n.split("/") for n in FOLDERS), key=lambda pair: pair[1])
    ]
    (tmp_path / "labels").write_text("\n".join(rows))
    source = source_of(_flat(tmp_path), "labelled_files", labels="labels", synsets="kit")
    assert list_images(source, tmp_path).targets == [serial % 3 for serial in range(9)]


@pytest.mark.parametrize("name", ["ids in order", "name wnid", "Kaggle"])
def test_synsets_explain_no_names(name: str, tmp_path: Path) -> None:
    _kit(tmp_path)
    source = source_of(_flat(tmp_path), "labelled_files", labels=LABELS[name](tmp_path))
    with pytest.raises(ValueError, match=r"source.synsets .*explains numbers, but source.labels"):
        list_images(source | {"synsets": "kit/data/meta.mat"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (
            "ILSVRC2012_val_00000001.JPEG 1\n",
            "8 images have no label, first ILSVRC2012_val_0000000",
        ),
        ("1\n" * 8, "8 lines for images numbered 1 to 8; there are 9 images, 1 to 9"),
    ],
)
def test_labels_that_do_not_fit(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text(text)
    refuses(source_of(_flat(tmp_path), "labelled_files", labels="labels"), tmp_path, match=message)


def test_label_without_image_and_labels_from_one(tmp_path: Path) -> None:
    path = _flat(tmp_path)
    source = source_of(path, "labelled_files", labels="labels")
    _label_lines(lambda wnid, name: f"{name} {WNIDS.index(wnid)}", "extra.JPEG 1\n")(tmp_path)
    refuses(source, tmp_path, match="1 of its images are missing, first extra")
    _label_lines(lambda wnid, name: f"{name} {WNIDS.index(wnid) + 1}")(tmp_path)
    refuses(source, tmp_path, num_classes=3, match="numbered 1 to 3, not from 0")
    index = in_json(tmp_path / "index.json", CLASSES)
    refuses(source | {"class_index": index}, tmp_path, match="label 3 is beyond the 3 classes")
