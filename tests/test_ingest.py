"""Decoding of datasets of real images: pixels, reports of unusable files, resumption."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import ROOT
from perturb.datasets import progress
from perturb.datasets.manifests import pixels_digest
from perturb.datasets.real import decoding_pool, ingest, partial_array
from perturb.datasets.real.decoding import decode
from perturb.datasets.real.ingest import build_from_source
from perturb.datasets.store import ImageStore, digest_of_pixels, open_store
from perturb.datasets.synthetic.family import DECODING_PROTOCOL
from perturb.models.resizing import AS_IS, Resizing
from perturb.random import image_key
from tests.image_files import (
    FOLDERS,
    KINDS,
    WNIDS,
    encoded,
    in_json,
    picture,
    source_of,
    write_as,
    write_folder,
)

VIEW = Resizing(24, "crop", 0.875, "bilinear")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "CHUNK", 2)


def _build(
    folder: Path, source: dict[str, Any], view: Resizing = VIEW, **options: Any
) -> ImageStore:
    paths = folder / "store" / "images.npy", folder / "store" / "manifest.parquet"
    build_from_source(*paths, source, view, root=folder, **options)
    return open_store(*paths)


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "store").iterdir())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [1, 2])
def test_every_kind_makes_the_same_store(
    kind: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # In another order than that of the names, so that rows and places differ.
    shuffled = dict(sorted(FOLDERS.items(), key=lambda item: image_key(item[0])))
    source = source_of(write_as(kind, tmp_path, shuffled))
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
def test_parquet_and_fast_decoding(workers: int, tmp_path: Path) -> None:
    names = list(FOLDERS)
    images = [{"bytes": FOLDERS[name], "path": name} for name in names]
    path = tmp_path / "val.parquet"
    pq.write_table(pa.table({"image": images, "label": range(9)}), path, row_group_size=4)
    store = _build(tmp_path, source_of(path, "parquet"), decoding="fast", workers=workers)
    assert store.image_ids.to_pylist() == names
    for row, name in enumerate(names):
        difference = store.pixels[row].astype(int) - decode(FOLDERS[name], VIEW)
        assert np.abs(difference).max() <= 1


def test_columns_come_along(tmp_path: Path) -> None:
    accepted = [[2, 1], [], [0], [7], [], [1], [1], [0, 2], [2]]
    accepted_labels = in_json(tmp_path / "real.json", accepted)
    path = write_folder(tmp_path / "val", FOLDERS)
    store = _build(tmp_path, source_of(path, accepted_labels=accepted_labels), num_images=7)
    assert store.manifest["accepted"].type == pa.list_(pa.int16())
    firsts = [classes[0] for classes in store.manifest["accepted"].to_pylist()]
    assert store.targets.tolist() == firsts


def test_as_it_is(tmp_path: Path) -> None:
    files = {f"{wnid}/{n}.png": encoded(picture(n, 20, 20), "PNG") for n, wnid in enumerate(WNIDS)}
    path = write_folder(tmp_path / "val", files)
    store = _build(tmp_path, source_of(path), AS_IS)
    assert store.pixels.shape == (3, 3, 20, 20)
    write_folder(path, {f"{WNIDS[1]}/other.png": encoded(picture(0, 21, 21), "PNG")})
    with pytest.raises(ValueError, match=r"other.png is 21 x 21 px; others are 20 px"):
        _build(tmp_path, source_of(path), AS_IS)
    with pytest.raises(ValueError, match="none of the first 9 images can be taken as it is"):
        _build(tmp_path, source_of(write_folder(tmp_path / "oblong", FOLDERS)), AS_IS)


BAD = {
    f"{WNIDS[0]}/empty.jpg": b"",
    f"{WNIDS[1]}/cut.jpg": encoded(picture(0, 90, 70))[:-400],
    f"{WNIDS[2]}/text.png": b"no image",
    f"{WNIDS[2]}/notes.txt": b"no image",
}


@pytest.mark.parametrize("kind", ["folder", "tar", "tgz", "zip"])
@pytest.mark.parametrize("workers", [1, 2])
def test_all_bad_files_are_named_at_once_and_mended_ones_taken(
    kind: str, workers: int, tmp_path: Path
) -> None:
    source = source_of(write_as(kind, tmp_path, FOLDERS | BAD))
    message = r"4 files cannot be used; .*images.bad.txt lists all"
    with pytest.raises(ValueError, match=message) as caught:
        _build(tmp_path, source, workers=workers)
    report = (tmp_path / "store" / "images.bad.txt").read_text()
    for name in BAD:
        assert f"{name} " in report
        assert name in str(caught.value)
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
    source = source_of(write_folder(tmp_path / "val", FOLDERS | bad))
    with pytest.raises(ValueError, match="and 10 more") as error:
        _build(tmp_path, source)
    assert str(error.value).count("is empty") == 20


def test_a_worker_that_dies_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding_pool, "carry_out", lambda *_: os._exit(3))
    source = source_of(write_folder(tmp_path / "val", FOLDERS))
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
    source = source_of(write_folder(tmp_path / "val", FOLDERS))
    with pytest.raises(ValueError, match=r"needs 0.000 GB more, but only 0.000 GB are free"):
        _build(tmp_path, source)
    assert _left(tmp_path) == []


def test_progress_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = source_of(write_folder(tmp_path / "val", FOLDERS))
    caplog.set_level("INFO")
    _build(tmp_path, source)
    assert "val: 9 of 9 images, " in caplog.text
    assert " images/s, 00:00 left" in caplog.text


def test_another_decoding_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="decoding is 'quick'; allowed: exact, fast"):
        _build(tmp_path, {"path": "nowhere", "layout": "class_folders"}, decoding="quick")


# ------------------------------------------------------------------------------------- resumption


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the rows that are decoded."""
    rows: list[int] = []
    carry_out = decoding_pool.carry_out

    def counting(
        target: decoding_pool.Target,
        chunk: Sequence[int],
        contents: Sequence[decoding_pool.Content],
    ) -> decoding_pool.Answer:
        rows.extend(chunk)
        return carry_out(target, chunk, contents)

    monkeypatch.setattr(decoding_pool, "carry_out", counting)
    return rows


class _KilledError(Exception):
    pass


@pytest.fixture
def killed(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return what fails after four decoded images, as if killed there, and gives its source."""

    def kill(**options: Any) -> dict[str, Any]:
        source = source_of(write_folder(tmp_path / "val", FOLDERS))
        update, seen = progress.Progress.update, 0

        def stopping(self: progress.Progress, more: int) -> None:
            nonlocal seen
            seen += more
            update(self, more)
            if seen >= 4:
                raise _KilledError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(partial_array, "_COMMIT_S", -1.0)
            patch.setattr(progress.Progress, "update", stopping)
            with pytest.raises(_KilledError):
                _build(tmp_path, source, **options)
        return source

    return kill


FIRST = f"val/{min(FOLDERS)}"


def _touch_first(folder: Path) -> None:
    (folder / FIRST).write_bytes(encoded(picture(99)))
    os.utime(folder / FIRST, (0, 0))


def _torn_journal(folder: Path) -> None:
    journal = folder / "store" / ".images.npy.journal"
    journal.write_text(journal.read_text()[:-5])


@pytest.mark.parametrize(
    ("change", "options", "num_decoded"),
    [
        (None, {}, 5),  # two chunks of two are there
        (_touch_first, {}, 7),
        (_torn_journal, {}, 7),
        (None, {"view": Resizing(24, "squash", 1.0, "bilinear")}, 9),
        (None, {"decoding": "fast"}, 9),
        ("protocol", {}, 9),
        (lambda folder: (folder / FIRST).unlink(), {}, 8),
    ],
)
def test_a_build_goes_on_with_what_is_still_true(
    change: Callable[[Path], None] | str | None,
    options: dict[str, Any],
    num_decoded: int,
    killed: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = killed()
    assert _left(tmp_path) == [".images.npy.journal", ".images.npy.partial"]
    if callable(change):
        change(tmp_path)
    elif change == "protocol":
        monkeypatch.setattr(ingest, "DECODING_PROTOCOL", ingest.DECODING_PROTOCOL + 1)
    rows = _counted(monkeypatch)
    resumed = _build(tmp_path, source, **options)
    digest = pixels_digest(tmp_path / "store" / "manifest.parquet")
    assert len(rows) == num_decoded
    shutil.move(tmp_path / "store", tmp_path / "resumed")
    whole = _build(tmp_path, source, **options)
    np.testing.assert_array_equal(resumed.pixels, whole.pixels)
    assert resumed.manifest.equals(whole.manifest)
    assert pixels_digest(tmp_path / "store" / "manifest.parquet") == digest


@pytest.mark.parametrize("package", ["pillow", "simplejpeg", "torch", None])
@pytest.mark.parametrize("decoding", ["exact", "fast"])
def test_another_version_begins_anew(
    package: str | None,
    decoding: str,
    killed: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = killed(decoding=decoding)
    if package == "pillow":
        monkeypatch.setattr(ingest.PIL, "__version__", "0")
    version = ingest.version
    monkeypatch.setattr(ingest, "version", lambda name: "0" if name == package else version(name))
    rows = _counted(monkeypatch)
    _build(tmp_path, source, decoding=decoding)
    matters = package == "pillow" or (package is not None and decoding == "fast")
    assert len(rows) == (9 if matters else 5)


def test_a_killed_process_leaves_no_store_and_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{WNIDS[n % 3]}/{n:04d}.png": encoded(picture(n), "PNG") for n in range(160)}
    write_folder(tmp_path / "val", files)
    # As a workflow runs its scripts: no guard against being imported by other processes.
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from perturb.datasets.real import ingest, partial_array\n"
        "from perturb.datasets.real.ingest import build_from_source\n"
        "from perturb.models.resizing import Resizing\n"
        "ingest.CHUNK, partial_array._COMMIT_S = 8, -1.0\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "build_from_source(folder / 'store/images.npy', folder / 'store/manifest.parquet',\n"
        "    {'path': 'val', 'layout': 'class_folders'}, Resizing(600, 'squash', 1.0, 'bicubic'),\n"
        "    root=folder, workers=2)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, str(script)], env=environment)
    journal = tmp_path / "store" / ".images.npy.journal"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if journal.exists() and journal.read_text().count("\n") > 1:
            break
        time.sleep(0.01)
    others = psutil.Process(process.pid).children(recursive=True)
    assert len(others) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not psutil.wait_procs(others, timeout=20)[1]
    assert not (tmp_path / "store" / "images.npy").exists()
    assert journal.read_text().count("\n") > 1
    monkeypatch.setattr(ingest, "CHUNK", 8)
    view = Resizing(600, "squash", 1.0, "bicubic")
    rows = _counted(monkeypatch)
    store = _build(tmp_path, source_of(tmp_path / "val"), view)
    assert len(rows) < len(files)
    for row, name in enumerate(sorted(files)):
        np.testing.assert_array_equal(store.pixels[row], decode(files[name], view))
