"""The launcher: starts after a killed run, waits for orphans, never starts beside a running one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SNAKEFILE = """
rule all:
    output: "done.txt"
    shell: "sleep {seconds} && touch done.txt"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a workflow of one job that takes no time."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("{seconds}", "0"))
    return tmp_path


def _start(folder: Path, *command: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _launch(folder: Path) -> tuple[int, str]:
    process = _start(folder, "-m", "perturb.launch", "--cores", "1")
    _, told = process.communicate(timeout=60)
    return process.returncode, told


@pytest.fixture
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a bare Snakemake that would run for a minute; kill it at the end."""
    (folder / "Snakefile").write_text(SNAKEFILE.replace("{seconds}", "60"))
    process = _start(folder, "-m", "snakemake", "--cores", "1")
    deadline = time.monotonic() + 30
    while not any(folder.glob(".snakemake/locks/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_launch_runs_the_workflow(folder: Path) -> None:
    status, told = _launch(folder)
    assert status == 0, told
    assert (folder / "done.txt").exists()


def test_launch_gives_back_the_status_of_a_failure(folder: Path) -> None:
    (folder / "Snakefile").write_text('rule all:\n    output: "x"\n    shell: "exit 3"\n')
    assert _launch(folder)[0] == 1


def test_launch_goes_on_after_a_killed_run(folder: Path, running: subprocess.Popen[str]) -> None:
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert any(folder.glob(".snakemake/locks/*"))
    (folder / "Snakefile").write_text(SNAKEFILE.replace("{seconds}", "0"))
    status, told = _launch(folder)
    assert status == 0, told
    assert "Removing the lock" in told


def test_launch_refuses_to_start_beside_a_running_workflow(
    folder: Path, running: subprocess.Popen[str]
) -> None:
    status, told = _launch(folder)
    assert status == 1
    assert f"process {running.pid}" in told
    assert running.poll() is None


def test_launch_waits_for_jobs_that_a_killed_run_left_behind(folder: Path) -> None:
    script = folder / ".snakemake" / "scripts" / "orphan.py"
    script.parent.mkdir(parents=True)
    script.write_text("import time, pathlib; time.sleep(4); pathlib.Path('orphan').touch()")
    orphan = _start(folder, ".snakemake/scripts/orphan.py")
    status, told = _launch(folder)
    assert status == 0, told
    assert "Waiting for 1 processes" in told
    assert (folder / "done.txt").stat().st_mtime > (folder / "orphan").stat().st_mtime
    orphan.communicate()
