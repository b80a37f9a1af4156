"""`perturb resume`: starts after a killed run, waits for orphans, never starts beside a run."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from perturb.__main__ import main
from perturb.runs import resume
from perturb.runs.last_run import record_run
from perturb.runs.orphans import asks_for_slurm, is_dry_run, is_snakemake
from tests.cluster import wait_until
from tests.workspace import ROOT

RECORDS = """
onstart:
    from pathlib import Path
    from perturb.runs.last_run import record_run
    record_run(Path.cwd())
"""
SNAKEFILE = f"""
{RECORDS}
rule all:
    output: "done.txt"
    shell: "sleep {{seconds}} && touch done.txt"
"""
FAILING = f'{RECORDS}\nrule all:\n    output: "x"\n    shell: "exit 3"\n'
RECORD = ".snakemake/perturb/run.json"


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


def _recorded(folder: Path) -> list[str]:
    """Return the arguments that stand for the last run's."""
    arguments: list[str] = json.loads((folder / RECORD).read_text())["arguments"]
    return arguments


def _resume(folder: Path, *arguments: str) -> tuple[int, str]:
    return _run(folder, "perturb", "resume", *(arguments or ("--cores", "1")))


def _run(folder: Path, *command: str) -> tuple[int, str]:
    process = _start(folder, "-m", *command)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def _start_orphan(folder: Path, program: str) -> subprocess.Popen[str]:
    """Start a process like a job that a killed run left behind."""
    script = folder / ".snakemake" / "scripts" / "tmp1.orphan.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"import pathlib, signal, time\n{program}")
    return _start(folder, ".snakemake/scripts/tmp1.orphan.py")


def _start_deaf_orphan(folder: Path) -> subprocess.Popen[str]:
    """Start a process like a job that ignores SIGTERM, and ends when a file exists."""
    orphan = _start_orphan(
        folder,
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('deaf.txt').touch()\n"
        "while not pathlib.Path('end.txt').exists(): time.sleep(0.1)\n",
    )
    wait_until((folder / "deaf.txt").exists, 30)
    return orphan


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and those that it has started, if it runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _lock(folder: Path) -> Path:
    """Lock a folder as a killed Snakemake leaves it; return the lock."""
    lock = folder / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("x\n")
    return lock


@pytest.fixture
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a bare Snakemake that would run for a minute; kill it at the end."""
    (folder / "Snakefile").write_text(SNAKEFILE.replace("{seconds}", "60"))
    process = _start(folder, "-m", "snakemake", "--cores", "1")
    # Snakemake locks the folder before it runs `onstart`.
    wait_until(lambda: (folder / RECORD).exists() and any(folder.glob(".snakemake/locks/*")), 30)
    yield process
    _end(process)


def test_resume_goes_on_after_a_killed_run(folder: Path, running: subprocess.Popen[str]) -> None:
    """With the arguments of that run, which it left behind with its lock."""
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert any(folder.glob(".snakemake/locks/*"))
    (folder / "Snakefile").write_text(SNAKEFILE.replace("{seconds}", "0"))
    status, told = _run(folder, "perturb", "resume")
    assert status == 0, told
    assert "Going on with: --cores 1" in told
    assert "Removing the lock" in told
    assert (folder / "done.txt").exists()
    assert not any(folder.glob(".snakemake/locks/*"))


def test_resume_becomes_snakemake(folder: Path) -> None:
    """No process of ours stays around it: signals and the exit status are Snakemake's own."""
    (folder / "Snakefile").write_text(SNAKEFILE.replace("sleep {seconds}", "touch begun; sleep 60"))
    process = _start(folder, "-m", "perturb", "resume", "--cores", "1")
    wait_until((folder / "begun").exists, 30)
    assert is_snakemake(psutil.Process(process.pid).cmdline())
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert not any(folder.glob(".snakemake/locks/*"))
    (folder / "Snakefile").write_text(FAILING)
    assert _resume(folder)[0] == 1


def test_resume_refuses_to_start_beside_a_running_workflow(
    folder: Path, running: subprocess.Popen[str]
) -> None:
    status, told = _resume(folder)
    assert status == 1
    assert f"process {running.pid}" in told
    assert running.poll() is None
    assert any(folder.glob(".snakemake/locks/*"))


def test_resume_waits_for_jobs_that_a_killed_run_left_behind(folder: Path) -> None:
    orphan = _start_orphan(folder, "time.sleep(4); pathlib.Path('orphan').touch()")
    status, told = _resume(folder)
    assert status == 0, told
    assert "Waiting for 1 processes" in told
    assert (folder / "done.txt").stat().st_mtime > (folder / "orphan").stat().st_mtime
    orphan.communicate()


def test_a_run_of_another_host_without_an_end_is_left_alone(folder: Path) -> None:
    """It left its lock, and its process cannot be seen from here."""
    lock, record = _lock(folder), folder / RECORD
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"host": "login7", "pid": 3, "arguments": ["--cores", "1"]}))
    status, told = _run(folder, "perturb", "resume")
    assert (status, "login7" in told, "--host-is-down" in told) == (1, True, True)
    assert lock.exists()
    assert _run(folder, "perturb", "resume", "--host-is-down")[0] == 0
    assert json.loads(record.read_text())["host"] == socket.gethostname()
    # That run has ended in good order: it may be gone on with anywhere.
    record.write_text(json.dumps({"host": "login7", "pid": 3, "arguments": ["--cores", "1"]}))
    assert _run(folder, "perturb", "resume")[0] == 0


@pytest.mark.parametrize("option", ["-n", "--dryrun"])
def test_a_dry_run_is_snakemakes_alone(folder: Path, option: str) -> None:
    (folder / "Snakefile").write_text(FAILING)
    assert _run(folder, "snakemake", "--cores", "1", "--keep-going")[0] == 1
    # What stands in the way of a run: its lock, and a job that goes on.
    lock, orphan = _lock(folder), _start_orphan(folder, "time.sleep(300)")
    try:
        status, told = _run(folder, "perturb", "resume", "--cancel", option)
        assert (status, f"Going on with: --cores 1 --keep-going {option}" in told) == (0, True)
        assert _resume(folder, "--cores", "2", option)[0] == 0
        assert orphan.poll() is None
    finally:
        _end(orphan)
    assert lock.exists()
    assert _recorded(folder) == ["--cores", "1", "--keep-going"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["--cores", "1", "-n"], True),
        (["--cores", "1", "-nq"], True),
        (["--dry-run", "-c1"], True),
        (["--configfile", "n.yaml", "--notemp", "-c", "1"], False),
    ],
)
def test_a_dry_run_is_known_by_its_words(command: list[str], expected: bool) -> None:
    assert is_dry_run(command) == expected


@pytest.mark.parametrize(
    ("words", "cancels", "handed_on"),
    [
        (["--cancel"], True, ["--cores", "2"]),
        (["-n"], False, ["--cores", "2", "-n"]),
        (["--profile", "slurm", "-n"], False, ["--profile", "slurm", "-n"]),
        (["--cancel", "--cores", "4"], True, ["--cores", "4"]),
        (["--ca", "4"], False, ["--ca", "4"]),
    ],
)
def test_resume_keeps_what_is_its_own(
    folder: Path,
    words: list[str],
    cancels: bool,
    handed_on: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    record_run(folder, ["--cores", "2"])
    seen: dict[str, Any] = {"cancel": False}
    monkeypatch.setattr(resume, "clear_orphans", lambda *given: seen.update(vars(given[-1])))
    monkeypatch.setattr(os, "execv", lambda _, command: seen.update(command=command))
    main(["resume", *words])
    assert (seen["command"][3:], seen["cancel"]) == (handed_on, cancels)


@pytest.mark.parametrize("mistyped", [["--keep-going"], ["--cores", "1", "--profile", "slrum"]])
def test_what_snakemake_refuses_is_not_taken_for_a_run(folder: Path, mistyped: list[str]) -> None:
    assert _resume(folder, *mistyped)[0] != 0
    assert not (folder / RECORD).exists()
    assert _resume(folder, "--cores", "1", "--nocolor")[0] == 0
    assert _resume(folder, *mistyped)[0] != 0
    assert _recorded(folder) == ["--cores", "1", "--nocolor"]


@pytest.mark.parametrize("words", [["--profile", "slurm"], ["--cores", "1", "--executor=slurm"]])
def test_a_run_on_slurm_without_its_commands_does_nothing(
    folder: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    status, told = _resume(folder, *words)
    assert status == 1
    assert "squeue and sbatch cannot be found on PATH" in told
    assert "module load slurm" in told
    assert not (folder / RECORD).exists()
    assert not asks_for_slurm(["--configfile", "slurm.yaml", "--profile", "here"])


def test_resume_takes_what_the_last_run_was_told_of_the_site(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERTURB_SLURM_PARTITION", "long")
    monkeypatch.setenv("PERTURB_SLURM_ACCOUNT", "ours")
    assert _run(folder, "snakemake", "--cores", "1")[0] == 0
    (folder / "done.txt").unlink()
    monkeypatch.delenv("PERTURB_SLURM_PARTITION")
    monkeypatch.setenv("PERTURB_SLURM_ACCOUNT", "theirs")
    status, told = _run(folder, "perturb", "resume")
    assert status == 0, told
    assert "As in the last run: PERTURB_SLURM_PARTITION=long\n" in told
    assert "Other than in the last run: PERTURB_SLURM_ACCOUNT=theirs, not ours\n" in told
    variables = json.loads((folder / RECORD).read_text())["variables"]
    assert variables == {"PERTURB_SLURM_ACCOUNT": "theirs", "PERTURB_SLURM_PARTITION": "long"}


@pytest.mark.parametrize("options", [[], ["--cancel"]])
def test_a_snakemake_that_begins_while_orphans_are_waited_for_keeps_its_lock(
    folder: Path, options: list[str]
) -> None:
    (folder / "Snakefile").write_text(SNAKEFILE.replace("{seconds}", "60"))
    orphan = _start_deaf_orphan(folder)
    waiting = _start(folder, "-m", "perturb", "resume", *options, "--cores", "1")
    # Until it waits: only then does the other begin.
    assert waiting.stderr is not None
    while "...\n" not in waiting.stderr.readline():
        assert waiting.poll() is None
    other = _start(folder, "-m", "snakemake", "--cores", "1")
    wait_until(lambda: any(folder.glob(".snakemake/locks/*")), 30)
    (folder / "end.txt").touch()
    orphan.communicate()
    try:
        _, told = waiting.communicate(timeout=30)
        assert (waiting.returncode, f"process {other.pid}" in told) == (1, True), told
        assert other.poll() is None
        assert any(folder.glob(".snakemake/locks/*"))
    finally:
        _end(waiting)
        _end(other)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--configfile", "nothere.yaml"], "nothere.yaml: there is no such configuration file"),
        (["--configfile", "good.yaml", "done.txt"], "what is to be made goes before it"),
        (["--configfile=bad.yaml", "--cores", "1"], "bad.yaml: .*line 2, column 2"),
        (["--configfiles", "good.yaml", "list.yaml"], "list.yaml holds list; expected keys"),
    ],
)
def test_resume_names_a_faulty_configuration_file(
    folder: Path, words: list[str], expected: str
) -> None:
    (folder / "good.yaml").write_text("a: 1\n")
    (folder / "bad.yaml").write_text("a: [1\nb: 2\n")
    (folder / "list.yaml").write_text("- a\n")
    status, told = _resume(folder, *words)
    assert status == 1
    assert re.search(expected, told, re.DOTALL), told
    assert "Traceback" not in told


def test_resume_without_any_run_asks_for_arguments(folder: Path) -> None:
    status, told = _run(folder, "perturb", "resume")
    assert (status, "Nothing is known of a run here" in told) == (1, True)


def test_resume_cancels_jobs_that_a_killed_run_left_behind(folder: Path) -> None:
    orphan = _start_orphan(folder, "time.sleep(60)")
    command = ("perturb", "resume", "--cancel", "--cores", "1")
    waiting = _start(folder, "-m", *command)
    assert orphan.wait(timeout=30) == -signal.SIGTERM
    orphan.communicate()
    _, told = waiting.communicate(timeout=60)
    assert (waiting.returncode, f"process {orphan.pid}: orphan.py" in told) == (0, True), told


def test_resume_kills_a_job_that_will_not_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = _start_deaf_orphan(folder)
    # A zombie is no job: as whoever started it is gone, somebody else takes note of its end.
    threading.Thread(target=orphan.communicate).start()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(resume, "TELL_EVERY_S", 1)
    monkeypatch.setattr(os, "execv", lambda *_: None)
    main(["resume", "--cancel", "--cores", "1"])
    assert orphan.wait(timeout=30) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["/usr/bin/python3", "-m", "snakemake", "--cores"], True),
        (["/usr/bin/python3.11", "-X", "dev", "-P", "-m", "snakemake"], True),
        (["/venv/bin/python", "/venv/bin/snakemake", "-n"], True),
        (["/usr/bin/python3", "-m", "pytest", "snakemake"], False),
        (["/usr/bin/vim", "snakemake"], False),
        ([], False),
    ],
)
def test_a_snakemake_is_known_by_what_python_runs(command: list[str], expected: bool) -> None:
    assert is_snakemake(command) == expected
