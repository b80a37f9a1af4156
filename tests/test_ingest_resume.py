"""A killed build resumes with the chunks that are still valid, and leaves no final file."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from conftest import ROOT
from perturb.datasets import progress
from perturb.datasets.manifests import pixels_digest
from perturb.datasets.real import decoding_pool, ingest, partial_array
from perturb.datasets.real.decoding import decode
from perturb.datasets.real.ingest import build_from_source
from perturb.datasets.store import ImageStore, open_store
from perturb.models.resizing import Resizing
from tests.image_files import (
    WNIDS,
    class_folder_files,
    encoded,
    picture,
    write_folder,
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


def _stop_after(monkeypatch: pytest.MonkeyPatch, num_images: int) -> None:
    """Make a build fail after this number of decoded images, as if it were killed there."""
    monkeypatch.setattr(partial_array, "_COMMIT_S", -1.0)
    update = progress.Progress.update
    seen = 0

    def stopping(self: progress.Progress, more: int) -> None:
        nonlocal seen
        seen += more
        update(self, more)
        if seen >= num_images:
            raise _KilledError

    monkeypatch.setattr(progress.Progress, "update", stopping)


def _touch_first(folder: Path, options: dict[str, Any]) -> None:
    del options
    path = folder / "val" / sorted(FOLDERS)[0]
    path.write_bytes(encoded(picture(99)))
    os.utime(path, (0, 0))


def _other_view(folder: Path, options: dict[str, Any]) -> None:
    del folder
    options["view"] = Resizing(24, "squash", 1.0, "bilinear")


def _other_decoding(folder: Path, options: dict[str, Any]) -> None:
    del folder
    options["decoding"] = "fast"


def _other_protocol(folder: Path, options: dict[str, Any]) -> None:
    del folder
    options["monkeypatch"].setattr(ingest, "DECODING_PROTOCOL", ingest.DECODING_PROTOCOL + 1)


def _one_less(folder: Path, options: dict[str, Any]) -> None:
    del options
    (folder / "val" / sorted(FOLDERS)[0]).unlink()


def _torn_journal(folder: Path, options: dict[str, Any]) -> None:
    del options
    journal = folder / "store" / ".images.npy.journal"
    journal.write_text(journal.read_text()[:-5])


@pytest.mark.parametrize(
    ("change", "num_decoded"),
    [
        (None, 5),  # two chunks of two are there
        (_touch_first, 7),
        (_torn_journal, 7),
        (_other_view, 9),
        (_other_decoding, 9),
        (_other_protocol, 9),
        (_one_less, 8),
    ],
)
def test_a_build_goes_on_with_what_is_still_true(
    change: Callable[[Path, dict[str, Any]], None] | None,
    num_decoded: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingest, "CHUNK", 2)
    source = _source(write_folder(tmp_path / "val", FOLDERS))
    with monkeypatch.context() as killing:
        _stop_after(killing, 4)
        with pytest.raises(_KilledError):
            _build(tmp_path, source)
    assert _left(tmp_path) == [".images.npy.journal", ".images.npy.partial"]
    options: dict[str, Any] = {"view": VIEW, "monkeypatch": monkeypatch}
    if change is not None:
        change(tmp_path, options)
    del options["monkeypatch"]
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
    package: str | None, decoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "CHUNK", 2)
    source = _source(write_folder(tmp_path / "val", FOLDERS))
    with monkeypatch.context() as killing:
        _stop_after(killing, 4)
        with pytest.raises(_KilledError):
            _build(tmp_path, source, decoding=decoding)
    if package == "pillow":
        monkeypatch.setattr(ingest.PIL, "__version__", "0")
    version = ingest.version
    monkeypatch.setattr(ingest, "version", lambda name: "0" if name == package else version(name))
    rows = _counted(monkeypatch)
    _build(tmp_path, source, decoding=decoding)
    matters = package == "pillow" or (package is not None and decoding == "fast")
    assert len(rows) == (9 if matters else 5)


def test_a_killed_process_leaves_no_store_and_no_other_process(tmp_path: Path) -> None:
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
    subprocess.run([sys.executable, str(script)], env=environment, check=True)
    store = open_store(tmp_path / "store/images.npy", tmp_path / "store/manifest.parquet")
    view = Resizing(600, "squash", 1.0, "bicubic")
    for row, name in enumerate(sorted(files)):
        np.testing.assert_array_equal(store.pixels[row], decode(files[name], view))
