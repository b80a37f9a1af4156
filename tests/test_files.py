"""Files that are there whole or not at all: on a full disk, after a kill, beside leftovers."""

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from perturb.datasets.real.partial_array import PartialArray
from perturb.datasets.store import write_store
from perturb.evaluation.shards import SCHEMA, write_shard
from perturb.files import refusal_of, replacing, reserve
from perturb.models.checkpoints import _save
from tests.workspace import run_command

HOST = os.uname().nodename


@contextmanager
def _limit(num_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _write_text(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("x" * 10_000)


def _write_weights(path: Path) -> None:
    with replacing(path) as temporary:
        _save({"weight": torch.rand(10_000)}, temporary)


def _write_shard(path: Path) -> None:
    ids = pa.array([str(number) for number in np.random.default_rng(0).integers(0, 10**9, 9_000)])
    columns = {name: pa.nulls(len(ids), SCHEMA.field(name).type) for name in SCHEMA.names}
    write_shard(path, pa.table(columns | {"image_id": ids}), {})


def _write_images(path: Path) -> None:
    pixels = torch.zeros(10, 3, 32, 32, dtype=torch.uint8)
    write_store(path, path.with_suffix(".parquet"), num_images=10, chunks=[(pixels, {})])


WRITERS: dict[str, Callable[[Path], None]] = {
    "text": _write_text,
    "weights": _write_weights,
    "shard": _write_shard,
    "images": _write_images,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_without_room_the_file_is_named_and_the_old_one_stays(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with _limit(8_192), pytest.raises(OSError, match="File too large") as caught:
        WRITERS[kind](path)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def _write_to_full_disk(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.symlink_to("/dev/full")
        temporary.write_text("x")


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OSError, match="No space left on device") as caught:
        _write_to_full_disk(path)
    assert caught.value.filename == str(path)
    assert not any(tmp_path.iterdir())


def test_other_trouble_in_the_block_is_told_as_it_is(tmp_path: Path) -> None:
    missing = pytest.raises(FileNotFoundError, match="elsewhere")
    with missing, replacing(tmp_path / "file"):
        (tmp_path / "elsewhere").read_text()


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
@pytest.mark.parametrize("kind", ["text", "weights", "shard"])
def test_a_file_has_the_permissions_of_any_new_one(kind: str, umask: int, tmp_path: Path) -> None:
    """Also weights, which their library writes for their user alone."""
    before = os.umask(umask)
    try:
        WRITERS[kind](tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask


def test_what_a_killed_process_of_the_same_number_left_is_overwritten(tmp_path: Path) -> None:
    """In containers processes have the same few numbers every time."""
    left = tmp_path / f".file.{HOST}-{os.getpid()}.tmp"
    left.write_text("half")
    left.chmod(0o600)
    _write_text(tmp_path / "file")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").stat().st_mode & 0o777 != 0o600


def test_folders_that_cannot_be_written_to_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert refusal_of(tmp_path) is None
    assert refusal_of(tmp_path / "new" / "folder") is None
    assert refusal_of(tmp_path / "file" / "folder") == f"{tmp_path / 'file'} is not a folder"
    assert refusal_of(tmp_path / "link") == f"{tmp_path / 'link'} is not a folder"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no files, root's neither")
def test_the_folder_that_refuses_is_named() -> None:
    assert str(refusal_of(Path("/proc/results"))).startswith("/proc cannot be written to: ")


def test_room_is_taken_before_it_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1_000_000)
    assert path.stat().st_blocks * 512 < 1_000_000
    reserve(path)
    assert path.stat().st_blocks * 512 >= 1_000_000
    partial = PartialArray(tmp_path / "images.npy", (10, 3, 100, 100), {})
    assert partial.path.stat().st_blocks * 512 >= 300_000


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    ended = process.pid
    names = {
        f".file.{HOST}-{ended}.tmp": False,
        f".file.{HOST}-{os.getppid()}.tmp": True,  # lives
        f".file.elsewhere-{ended}.tmp": True,  # nobody knows
        f".file2.{HOST}-{ended}.tmp": True,  # another file's
        f".file.{HOST}-x.tmp": True,  # not ours
    }
    for name in names:
        (tmp_path / name).touch()
    _write_text(tmp_path / "file")
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_an_error_reaches_the_terminal_if_the_log_has_no_room(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    code = f"from perturb.logs import log_to\nlog_to({str(tmp_path / 'log')!r})\n1 / 0\n"
    done = run_command([sys.executable, "-c", code])
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stderr
