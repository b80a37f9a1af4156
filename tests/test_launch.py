"""The launcher: starts after a killed run, waits for orphans, never starts beside a running one."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perturb import launch
from perturb.runs.lock import folder_lock, record_bare_end, record_bare_run
from perturb.runs.orphans import asks_for_slurm, is_dry_run, is_snakemake

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


def _recorded(folder: Path) -> list[str]:
    """Return the arguments that stand for the last run's."""
    arguments: list[str] = json.loads((folder / ".snakemake/perturb/lock").read_text())["arguments"]
    return arguments


def _launch(folder: Path, *command: str) -> tuple[int, str]:
    process = _start(folder, "-m", *(command or ("perturb.launch", "--cores", "1")))
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def _wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert holds()


def _start_deaf_orphan(folder: Path) -> subprocess.Popen[str]:
    """Start a process like a job that ignores SIGTERM, and ends when a file exists."""
    script = folder / ".snakemake" / "scripts" / "tmp1.orphan.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('deaf.txt').touch()\n"
        "while not pathlib.Path('end.txt').exists(): time.sleep(0.1)\n"
    )
    orphan = _start(folder, ".snakemake/scripts/tmp1.orphan.py")
    _wait_until((folder / "deaf.txt").exists)
    return orphan


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
    run = json.loads((folder / ".snakemake/perturb/lock").read_text())
    assert (run["arguments"], run["is_over"]) == (["--cores", "1"], True)


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


def test_of_two_launches_at_the_same_moment_one_runs(folder: Path) -> None:
    (folder / "Snakefile").write_text(
        'rule all:\n    output: "x"\n    shell: "echo run >> runs.txt && sleep 3 && touch x"\n'
    )
    both = [_start(folder, "-m", "perturb.launch", "--cores", "1") for _ in range(4)]
    told = [process.communicate(timeout=60)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1, 1, 1], told
    assert sum("is running in" in text for text in told) == 3
    assert (folder / "runs.txt").read_text() == "run\n"


def test_a_killed_launcher_leaves_no_lock_but_its_snakemake_is_found(folder: Path) -> None:
    (folder / "Snakefile").write_text(SNAKEFILE.replace("{seconds}", "8"))
    launcher = _start(folder, "-m", "perturb.launch", "--cores", "1")
    _wait_until(lambda: any(folder.glob(".snakemake/locks/*")))
    launcher.kill()
    launcher.wait()
    status, told = _launch(folder)
    assert (status, "is running in" in told) == (1, True)
    # Until Snakemake, which writes to the same pipe, has come to its end.
    launcher.communicate(timeout=60)
    assert (folder / "done.txt").exists()


@pytest.mark.parametrize(
    ("number", "is_done", "status"), [(signal.SIGINT, False, 1), (signal.SIGTERM, True, 1)]
)
def test_signals_are_passed_on(
    folder: Path, number: signal.Signals, is_done: bool, status: int
) -> None:
    """SIGINT ends the jobs; SIGTERM lets them end, and starts no more."""
    (folder / "Snakefile").write_text(
        'rule all:\n    input: "first"\n    output: "last"\n    shell: "touch last"\n'
        'rule first:\n    output: "first"\n    shell: "touch begun; sleep 5; touch first"\n'
    )
    launcher = _start(folder, "-m", "perturb.launch", "--cores", "1")
    _wait_until((folder / "begun").exists)
    launcher.send_signal(number)
    _, told = launcher.communicate(timeout=60)
    assert launcher.returncode == status, told
    assert (folder / "first").exists() == is_done
    assert not (folder / "last").exists()
    # Snakemake has ended in good order: nothing is in the way of the next run.
    assert _launch(folder)[0] == 0


def test_a_run_of_another_host_without_an_end_is_left_alone(folder: Path) -> None:
    lock = folder / ".snakemake" / "perturb" / "lock"
    lock.parent.mkdir(parents=True)
    run = {"host": "login7", "pid": 3, "started": 0, "arguments": ["--cores", "1"]}
    lock.write_text(json.dumps(run | {"is_over": False}))
    status, told = _launch(folder)
    assert (status, "login7" in told, "--host-is-down" in told) == (1, True, True)
    assert _launch(folder, "perturb", "resume", "--host-is-down")[0] == 0
    assert json.loads(lock.read_text())["host"] == socket.gethostname()


def test_resume_takes_the_arguments_of_the_last_run(folder: Path) -> None:
    (folder / "Snakefile").write_text('rule all:\n    output: "x"\n    shell: "exit 3"\n')
    assert _launch(folder, "perturb.launch", "--cores", "1", "--keep-going")[0] == 1
    status, told = _launch(folder, "perturb", "resume")
    assert (status, "Going on with: --cores 1 --keep-going" in told) == (1, True)


@pytest.mark.parametrize("option", ["-n", "--dryrun"])
def test_a_dry_run_is_snakemakes_alone(folder: Path, option: str) -> None:
    (folder / "Snakefile").write_text('rule all:\n    output: "x"\n    shell: "exit 3"\n')
    assert _launch(folder, "perturb.launch", "--cores", "1", "--keep-going")[0] == 1
    # What stands in the way of a run: its lock, and a job that goes on.
    lock = folder / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("x\n")
    script = folder / ".snakemake" / "scripts" / "tmp1.orphan.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text("import time; time.sleep(300)")
    orphan = _start(folder, ".snakemake/scripts/tmp1.orphan.py")
    try:
        status, told = _launch(folder, "perturb", "resume", "--cancel", option)
        assert (status, f"Going on with: --cores 1 --keep-going {option}" in told) == (0, True)
        assert _launch(folder, "perturb.launch", "--cores", "2", option)[0] == 0
        assert orphan.poll() is None
    finally:
        orphan.kill()
        orphan.communicate()
    assert lock.exists()
    assert _recorded(folder) == ["--cores", "1", "--keep-going"]


def test_a_dry_run_may_stand_beside_a_running_workflow(
    folder: Path, running: subprocess.Popen[str]
) -> None:
    assert _launch(folder, "perturb.launch", "--cores", "1", "-n")[0] == 0
    assert running.poll() is None


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


@pytest.mark.parametrize("mistyped", [["--keep-going"], ["--cores", "1", "--profile", "slrum"]])
def test_what_snakemake_refuses_is_not_taken_for_a_run(folder: Path, mistyped: list[str]) -> None:
    assert _launch(folder, "perturb", "resume", *mistyped)[0] != 0
    assert (folder / ".snakemake/perturb/lock").read_text() == ""
    assert _launch(folder, "perturb.launch", "--cores", "1", "--nocolor")[0] == 0
    assert _launch(folder, "perturb", "resume", *mistyped)[0] != 0
    assert _recorded(folder) == ["--cores", "1", "--nocolor"]


@pytest.mark.parametrize("words", [["--profile", "slurm"], ["--cores", "1", "--executor=slurm"]])
def test_a_run_on_slurm_without_its_commands_does_nothing(
    folder: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    status, told = _launch(folder, "perturb.launch", *words)
    assert status == 1
    assert "squeue and sbatch cannot be found on PATH" in told
    assert "module load slurm" in told
    assert (folder / ".snakemake/perturb/lock").read_text() == ""
    assert not asks_for_slurm(["--configfile", "slurm.yaml", "--profile", "here"])


def test_resume_takes_what_the_last_run_was_told_of_the_site(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERTURB_SLURM_PARTITION", "long")
    monkeypatch.setenv("PERTURB_SLURM_ACCOUNT", "ours")
    assert _launch(folder)[0] == 0
    monkeypatch.delenv("PERTURB_SLURM_PARTITION")
    monkeypatch.setenv("PERTURB_SLURM_ACCOUNT", "theirs")
    status, told = _launch(folder, "perturb", "resume")
    assert status == 0, told
    assert "As in the last run: PERTURB_SLURM_PARTITION=long\n" in told
    assert "Other than in the last run: PERTURB_SLURM_ACCOUNT=theirs, not ours\n" in told
    variables = json.loads((folder / ".snakemake/perturb/lock").read_text())["variables"]
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
    _wait_until(lambda: any(folder.glob(".snakemake/locks/*")))
    (folder / "end.txt").touch()
    orphan.communicate()
    try:
        _, told = waiting.communicate(timeout=30)
        assert (waiting.returncode, f"process {other.pid}" in told) == (1, True), told
        assert other.poll() is None
        assert any(folder.glob(".snakemake/locks/*"))
    finally:
        for process in (waiting, other):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--configfile", "nothere.yaml"], "nothere.yaml: there is no such configuration file"),
        (["--configfile", "good.yaml", "done.txt"], "what is to be made goes before it"),
        (["--configfile=bad.yaml", "--cores", "1"], "bad.yaml: .*line 2, column 2"),
        (["--configfiles", "good.yaml", "list.yaml"], "list.yaml holds list; expected keys"),
    ],
)
def test_launch_names_a_faulty_configuration_file(
    folder: Path, words: list[str], expected: str
) -> None:
    (folder / "good.yaml").write_text("a: 1\n")
    (folder / "bad.yaml").write_text("a: [1\nb: 2\n")
    (folder / "list.yaml").write_text("- a\n")
    status, told = _launch(folder, "perturb.launch", *words)
    assert status == 1
    assert re.search(expected, told, re.DOTALL), told
    assert "Traceback" not in told


def test_a_snakemake_without_launcher_keeps_what_it_runs_with(tmp_path: Path) -> None:
    record_bare_run(tmp_path, ["--cores", "2"])
    with folder_lock(tmp_path) as lock:
        assert lock.last is not None
        assert (lock.last.pid, lock.last.arguments) == (os.getpid(), ("--cores", "2"))
        assert not lock.last.is_over
    record_bare_end(tmp_path)
    with folder_lock(tmp_path) as lock:
        assert lock.last is not None
        assert lock.last.is_over


def test_a_snakemake_leaves_the_record_of_its_launcher_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_lock(tmp_path) as lock:
        lock.record(["--cores", "2"])
        monkeypatch.setattr(os, "getppid", os.getpid)
        record_bare_run(tmp_path, ["--logger", "perturb", "--cores", "2"])
        monkeypatch.setattr(os, "getpid", lambda: 1)
        record_bare_end(tmp_path)
    with folder_lock(tmp_path) as lock:
        assert lock.last is not None
        assert (lock.last.arguments, lock.last.is_over) == (("--cores", "2"), False)


def test_resume_without_any_run_asks_for_arguments(folder: Path) -> None:
    status, told = _launch(folder, "perturb", "resume")
    assert (status, "Nothing is known of a run here" in told) == (1, True)


def test_resume_cancels_jobs_that_a_killed_run_left_behind(folder: Path) -> None:
    script = folder / ".snakemake" / "scripts" / "tmp1.orphan.py"
    script.parent.mkdir(parents=True)
    script.write_text("import time; time.sleep(60)")
    orphan = _start(folder, ".snakemake/scripts/tmp1.orphan.py")
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
    monkeypatch.setattr(launch, "TELL_EVERY_S", 1)
    assert launch.launch(["--cores", "1"], launch.LaunchOptions(cancels=True)) == 0
    assert orphan.wait(timeout=30) == -signal.SIGKILL


def test_a_failed_job_is_named_although_snakemake_is_quiet(folder: Path) -> None:
    (folder / "Snakefile").write_text(
        'rule all:\n    output: "x"\n    log: "job.log"\n    shell: "echo no >{log}; exit 3"\n'
    )
    quiet = ("perturb.launch", "--cores", "1", "--quiet", "rules", "progress")
    status, told = _launch(folder, *quiet)
    assert (status, "FAILED: all: see job.log" in told) == (1, True), told


def test_of_a_job_that_wrote_no_log_snakemakes_own_is_named(folder: Path) -> None:
    (folder / "Snakefile").write_text(
        'rule all:\n    output: "x"\n    log: "job.log"\n    shell: "touch {log}; exit 3"\n'
    )
    status, told = _launch(folder)
    found = re.search(r"FAILED: all: see (\S+\.snakemake\.log)\n", told)
    assert (status, found is not None) == (1, True), told
    assert found is not None
    assert "Error in rule all" in (folder / found[1]).read_text()


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
