"""A disk without room: one error that names the file, nothing half written, and then the rest.

Two ways to run out of room. A limit on the size of files works everywhere. A small file system of
its own needs the right to mount one, as root or in a user's own name space; where neither is
allowed that test says so among the skipped ones.
"""

import functools
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import assert_same, command, complete, without
from tests.workspace import Workspace, run_command, told_by

pytestmark = pytest.mark.slow

# Run in a mount name space: a first run on a small file system, a second one after it has grown.
SMALL_DISK = """
set -e
mount -t tmpfs -o size=64m tmpfs results
cp -a kept/. results/
used=$(df --output=used results | tail -1)
mount -o remount,size=$((used + $1))k results
shift
status=0; "$@" > first.txt 2>&1 || status=$?
cp -a results left
mount -o remount,size=64m results
"$@" > second.txt 2>&1
cp -a results made
exit $((status + 100))
"""


def _first_of(cases: Iterable[str]) -> list[Any]:
    """Return the cases, of which the first alone is no further one."""
    return [
        pytest.param(case, marks=[pytest.mark.exhaustive] if place else [])
        for place, case in enumerate(cases)
    ]


@functools.cache
def _name_space() -> tuple[str, ...]:
    """Return the command that runs another where it may mount something; none if there is none."""
    for options in (("--mount",), ("--user", "--map-root-user", "--mount")):
        command = ("unshare", *options)
        mount = ("mount", "-t", "tmpfs", "tmpfs", "/mnt")
        try:
            subprocess.run([*command, *mount], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return ()


def _assert_nothing_half_written(results: Path, finished: Workspace) -> None:
    """Check that what a failed run left is whole: files have the size of an undisturbed run's."""
    for path in filter(Path.is_file, results.rglob("*.*")):
        assert path.suffix != ".tmp"
        twin = finished.folder / "results" / path.relative_to(results)
        if path.suffix in (".npy", ".safetensors"):
            assert path.read_bytes() == twin.read_bytes(), path
        elif path.suffix == ".parquet":
            assert path.stat().st_size > 0.9 * twin.stat().st_size, path


# What is removed from a finished study, kB that are free then, and which file does not fit.
ROOM = {
    "shard": (("shards",), 12, r"shards/\w+/test/\w+/\d\.parquet"),
    "store": (("decoded", "checkpoints", "shards"), 160, r"decoded/\w+/images\.npy"),
    "table": ((), 20, r"tables/\w+\.\w+|inventory/\w+\.parquet"),
}


@pytest.mark.parametrize("full", _first_of(ROOM))
def test_a_full_disk_is_told_and_the_rerun_completes(
    full: str, finished: Workspace, tmp_path: Path
) -> None:
    if not _name_space():
        pytest.skip("no file system can be mounted here, not even in a user's name space")
    removed, room_kb, file = ROOM[full]
    workspace = without(finished.copy(tmp_path / "copy"), *removed)
    folder = workspace.folder
    (folder / "results").rename(folder / "kept")
    (folder / "results").mkdir()
    done = run_command(
        [*_name_space(), "sh", "-c", SMALL_DISK, "sh", str(room_kb), *command()], folder
    )
    told = (folder / "first.txt").read_text()
    assert done.returncode == 101, (done, told)
    assert re.search(rf"No space left on device: 'results/({file})'", told), told
    _assert_nothing_half_written(folder / "left", finished)
    (folder / "results").rmdir()
    (folder / "made").rename(folder / "results")
    assert_same(workspace, finished)


# What is removed, the most bytes that a file may have, and which file is larger.
LIMITS = {
    "store": (("decoded", "checkpoints", "shards"), 100_000, "decoded/fit/images.npy"),
    "weights": (("checkpoints", "shards"), 50_000, "checkpoints/a/weights.safetensors"),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("limited", LIMITS)
def test_a_file_that_may_not_grow_is_told_and_the_rerun_completes(
    limited: str, finished: Workspace, tmp_path: Path
) -> None:
    removed, most, file = LIMITS[limited]
    workspace = without(finished.copy(tmp_path / "copy"), *removed)
    told = told_by(["prlimit", f"--fsize={most}", *command()], workspace.folder, status=1)
    assert f"File too large: 'results/{file}'" in told
    _assert_nothing_half_written(workspace.folder / "results", finished)
    complete(workspace, finished)
