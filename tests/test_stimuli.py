"""Names of cue-conflict stimuli, with the paper's and with other classes."""

import re
import unicodedata
from pathlib import Path

import pytest

from perturb.datasets.real.listing import list_images
from tests.image_files import IMAGE, NFC, NFD, in_json, refuses, source_of, write_as


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fire_truck", "sports_car"),
        ("FireTruck", "Sports_Car"),
        ("fire truck", "sports car"),
        ("t-shirt", "x-ray-fish"),
        (NFC, "cr\u00e8me"),
        (NFD, "dog"),
        ("mp3", "area51"),
        ("n01440764", "n01443537"),
        ("3d-printer", "dog"),
        ("car", "carpet"),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "PNG", "jpg", "JPEG"])
def test_classes_of_any_name(kind: str, one: str, other: str, suffix: str, tmp_path: Path) -> None:
    files = [
        f"{one}/{one}1-{other}12.{suffix}",
        f"{one}/{one}2-{one}3.{suffix}",
        f"{other}/{other}10-{one}2.{suffix}",
    ]
    path = write_as(kind, tmp_path, dict.fromkeys(files, IMAGE))
    index = in_json(tmp_path / "index.json", {one: [0], other: [1, 2]})
    listing = list_images(source_of(path, "cue_conflict", class_index=index), tmp_path)
    rows = zip(listing.image_ids, listing.targets, listing.columns["texture"], strict=True)
    # Names are taken in the composed form, whatever the disk has.
    first, _, last = (unicodedata.normalize("NFC", file) for file in files)
    assert sorted(rows) == sorted([(first, 0, 1), (last, 1, 0)])


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("mp/mp1-mp31.png", r"mp/mp1-mp31.png: its texture can be mp or mp3; rename the files"),
        ("mp/mp1-oven1.png", r"allowed names of stimuli.*the classes are mp, mp3"),
        ("mp/mp3-1.png", "allowed names of stimuli"),
        ("mp/mp-mp3.png", "allowed names of stimuli"),
        ("mp/mp1-mp3.png", None),
        ("mp3/mp31-mp2.png", None),
    ],
)
def test_names_with_several_readings_or_none(
    file: str, message: str | None, tmp_path: Path
) -> None:
    path = write_as("folder", tmp_path, {file: IMAGE, "mp/mp1-mp35x.png": IMAGE})
    index = in_json(tmp_path / "index.json", {"mp": 0, "mp3": 1})
    source = source_of(path, "cue_conflict", class_index=index)
    told = refuses(source, tmp_path, match=r"mp/mp1-mp35x.png: allowed names")
    if message is None:
        assert file not in told
    else:
        assert re.search(message, told)


def test_stimuli_without_a_conflict(tmp_path: Path) -> None:
    path = write_as("folder", tmp_path, {"cat/cat1-cat2.png": IMAGE, "dog/dog1-dog3.png": IMAGE})
    index = in_json(tmp_path / "index.json", {"cat": [0], "dog": [1]})
    source = source_of(path, "cue_conflict", class_index=index)
    refuses(source, tmp_path, match="texture of all 2 stimuli is that of their own shape")
