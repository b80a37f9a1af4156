"""Decoding of datasets of real images: pixels, reports of unusable files, resumption."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import ROOT
from perturb.datasets.manifests import pixels_digest
from perturb.datasets.real import decoding_pool, ingest, partial_array
from perturb.datasets.real.decoding import decode
from perturb.datasets.real.ingest import build_from_source
from perturb.datasets.store import ImageStore, digest_of_pixels, open_store
from perturb.datasets.synthetic.family import DECODING_PROTOCOL
from perturb.models.resizing import AS_IS, Resizing
from perturb.random import image_key
from tests.image_files import (
    KINDS,
    WNIDS,
    class_folder_files,
    encoded,
    picture,
    write_as,
    write_folder,
    write_tar,
)

VIEW = Resizing(24, "crop", 0.875, "bilinear")
FOLDERS = class_folder_files()


def _build(
    folder: Path, source: dict[str, Any], view: Resizing = VIEW, **options: Any
) -> ImageStore:
    paths = folder / "store" / "images.npy", folder / "store" / "manifest.parquet"
    build_from_source(*paths, source, view, root=folder, **options)
    return open_store(*paths)


def _source(path: Path, **more: Any) -> dict[str, Any]:
    return {"path": path.name, "layout": "class_folders", **more}


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "store").iterdir())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [1, 2])
def test_every_kind_makes_the_same_store(
    kind: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "CHUNK", 2)
    monkeypatch.chdir(tmp_path)
    # In another order than that of the names, so that rows and places differ.
    shuffled = dict(sorted(FOLDERS.items(), key=lambda item: image_key(item[0])))
    source = _source(write_as(kind, tmp_path, shuffled))
    store = _build(tmp_path, source, num_images=9, num_classes=3, workers=workers)
    assert store.image_ids.to_pylist() == sorted(FOLDERS)
    for row, name in enumerate(sorted(FOLDERS)):
        np.testing.assert_array_equal(store.pixels[row], decode(FOLDERS[name], VIEW))
    assert store.targets.tolist() == [
        WNIDS.index(name.partition("/")[0]) for name in sorted(FOLDERS)
    ]
    assert store.read(0, 2).keys.tolist() == [image_key(name) for name in sorted(FOLDERS)[:2]]
    assert store.manifest.schema.field("target").type == pa.int16()
    facts = json.loads(store.manifest.schema.metadata[b"perturb"])
    assert facts["view"]["side"] == 24
    assert facts["decoding"] == "exact"
    assert facts["protocol"] == DECODING_PROTOCOL
    digest = pixels_digest(tmp_path / "store" / "manifest.parquet")
    assert digest == digest_of_pixels(store.pixels)
    assert _left(tmp_path) == ["images.npy", "manifest.parquet"]


@pytest.mark.parametrize("workers", [1, 2])
def test_parquet_and_fast_decoding(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "CHUNK", 2)
    names = list(FOLDERS)
    table = pa.table(
        {
            "image": [{"bytes": FOLDERS[name], "path": name} for name in names],
            "label": list(range(9)),
        }
    )
    pq.write_table(table, tmp_path / "val.parquet", row_group_size=4)
    source = {"path": "val.parquet", "layout": "parquet"}
    store = _build(tmp_path, source, decoding="fast", workers=workers)
    assert store.image_ids.to_pylist() == names
    for row, name in enumerate(names):
        difference = store.pixels[row].astype(int) - decode(FOLDERS[name], VIEW)
        assert np.abs(difference).max() <= 1


def test_columns_come_along(tmp_path: Path) -> None:
    accepted = [[2, 1], [], [0], [7], [], [1], [1], [0, 2], [2]]
    (tmp_path / "real.json").write_text(json.dumps(accepted))
    path = write_folder(tmp_path / "val", FOLDERS)
    store = _build(tmp_path, _source(path, accepted_labels="real.json"), num_images=7)
    assert store.manifest["accepted"].type == pa.list_(pa.int16())
    firsts = [classes[0] for classes in store.manifest["accepted"].to_pylist()]
    assert store.targets.tolist() == firsts


def test_as_it_is(tmp_path: Path) -> None:
    files = {f"{wnid}/{n}.png": encoded(picture(n, 20, 20), "PNG") for n, wnid in enumerate(WNIDS)}
    path = write_folder(tmp_path / "val", files)
    store = _build(tmp_path, _source(path), AS_IS)
    assert store.pixels.shape == (3, 3, 20, 20)
    write_folder(path, {f"{WNIDS[1]}/other.png": encoded(picture(0, 21, 21), "PNG")})
    with pytest.raises(ValueError, match=r"other.png is 21 x 21 px; others are 20 px"):
        _build(tmp_path, _source(path), AS_IS)
    with pytest.raises(ValueError, match="none of the first 9 images can be taken as it is"):
        _build(tmp_path, _source(write_folder(tmp_path / "oblong", FOLDERS)), AS_IS)


BAD = {
    f"{WNIDS[0]}/empty.jpg": b"",
    f"{WNIDS[1]}/cut.jpg": encoded(picture(0, 90, 70))[:-400],
    f"{WNIDS[2]}/text.png": b"no image",
    f"{WNIDS[2]}/notes.txt": b"no image",
}


@pytest.mark.parametrize("kind", ["folder", "tar", "tgz", "zip"])
@pytest.mark.parametrize("workers", [1, 2])
def test_all_bad_files_are_named_at_once_and_mended_ones_taken(
    kind: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "CHUNK", 2)
    source = _source(write_as(kind, tmp_path, FOLDERS | BAD))
    with pytest.raises(
        ValueError, match=r"4 files cannot be used; .*images.bad.txt lists all"
    ) as e:
        _build(tmp_path, source, workers=workers)
    report = (tmp_path / "store" / "images.bad.txt").read_text()
    for name in BAD:
        assert f"{name} " in report
        assert name in str(e.value)
    assert report.count("\n") == 4
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    good = dict.fromkeys(list(BAD)[:3], encoded(picture(1)))
    write_as(kind, tmp_path, FOLDERS | good)
    store = _build(tmp_path, source, num_images=12, workers=workers)
    row = store.image_ids.to_pylist().index(f"{WNIDS[1]}/cut.jpg")
    np.testing.assert_array_equal(store.pixels[row], decode(encoded(picture(1)), VIEW))
    assert _left(tmp_path) == ["images.npy", "manifest.parquet"]


def test_the_message_names_twenty_of_many(tmp_path: Path) -> None:
    bad = {f"{WNIDS[0]}/{number:03d}.jpg": b"" for number in range(30)}
    source = _source(write_folder(tmp_path / "val", FOLDERS | bad))
    with pytest.raises(ValueError, match="and 10 more") as error:
        _build(tmp_path, source)
    assert str(error.value).count("is empty") == 20


def test_a_worker_that_dies_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "CHUNK", 2)
    monkeypatch.setattr(decoding_pool, "carry_out", lambda *_: os._exit(3))
    source = _source(write_folder(tmp_path / "val", FOLDERS))
    message = r"(?s)\.images\.npy\.partial: a decoding process ended: .* memory .*EXIT\(3\)"
    with pytest.raises(RuntimeError, match=message):
        _build(tmp_path, source, workers=2)


def test_workers_import_no_torch() -> None:
    code = "import sys, perturb.datasets.real.decoding_pool; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_too_little_room_is_said_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(1, 1, 9 * 3 * 24 * 24 - 1)
    monkeypatch.setattr(partial_array.shutil, "disk_usage", lambda _: usage)
    source = _source(write_folder(tmp_path / "val", FOLDERS))
    with pytest.raises(ValueError, match=r"needs 0.000 GB more, but only 0.000 GB are free"):
        _build(tmp_path, source)
    assert _left(tmp_path) == []


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar.gz", FOLDERS, "w:gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"set.tar.gz: cannot be read as an archive"):
        _build(tmp_path, _source(path))


def test_progress_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = _source(write_folder(tmp_path / "val", FOLDERS))
    with caplog.at_level(logging.INFO):
        _build(tmp_path, source)
    assert "val: 9 of 9 images, " in caplog.text
    assert " images/s, 00:00 left" in caplog.text


def test_another_decoding_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="decoding is 'quick'; allowed: exact, fast"):
        _build(tmp_path, {"path": "nowhere", "layout": "class_folders"}, decoding="quick")
