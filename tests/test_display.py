"""Messages while jobs run: the terminal's last line, and the first lines of a job's log."""

import json
import os
import pty
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perturb.logs import log_header, log_to
from perturb.runs.child import Watch
from perturb.runs.events import Events
from perturb.runs.terminal import Display, Terminal

# ---------------------------------------------------------------------------------------- terminal


def _shown_by_terminal(write: Any) -> str:
    """Return what a terminal of 80 columns receives."""
    master, slave = pty.openpty()
    received: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(master, 4096):
                received.append(part)
        except OSError:  # nobody writes any more
            return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as stream:
        terminal = Terminal(stream)
        write(terminal)
        terminal.close()
    reader.join(timeout=10)
    os.close(master)
    return b"".join(received).decode()


def test_a_terminal_keeps_the_progress_in_its_last_line() -> None:
    def write(terminal: Terminal) -> None:
        terminal.show("cells 1 of 9")
        assert terminal.output is not None
        os.write(terminal.output, b"half a li")
        time.sleep(0.2)
        terminal.show("cells 2 of 9")
        os.write(terminal.output, b"ne\n")
        time.sleep(0.2)
        terminal.tell("FAILED: something")

    lines = _shown_by_terminal(write).replace("\r\n", "\n").split("\n")
    visible = [line.rpartition("\x1b[K")[2].strip("\r") for line in lines]
    assert visible == ["half a line", "FAILED: something", "cells 2 of 9", ""]


def test_elsewhere_a_line_comes_every_so_often(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(sys.stderr)
    for number in range(50):
        display.show(f"cells {number} of 50")
    assert capsys.readouterr().err.splitlines()[0].endswith("cells 0 of 50")
    assert display.output is None


def test_where_nobody_reads_any_more_nothing_is_shown(tmp_path: Path) -> None:
    """The launcher continues without output, and follows the run to its end."""
    events = tmp_path / "events"
    failed = {"event": "job_error", "jobid": 1, "rule_name": "train_model", "log": []}
    events.write_text(json.dumps(failed) + "\nno JSON\n")
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    try:
        watch = Watch([], Events(events), Display(stream))
        watch.look()
        watch.end(1, is_stopped=False)
        assert watch.events.failed.keys() == {"1"}
    finally:
        with suppress(BrokenPipeError):
            stream.close()


def test_snakemake_does_not_wait_for_a_terminal_that_is_gone() -> None:
    master, slave = pty.openpty()
    stream = os.fdopen(slave, "w")
    terminal = Terminal(stream)
    terminal.show("cells 1 of 9")
    os.close(master)
    assert terminal.output is not None
    snakemake = subprocess.Popen(
        [sys.executable, "-c", "print('much\\n' * 100_000)"], stdout=terminal.output
    )
    try:
        assert snakemake.wait(timeout=30) == 0
    finally:
        snakemake.kill()
        snakemake.wait()
    terminal.show("cells 2 of 9")
    terminal.close()
    with suppress(OSError):
        stream.close()


# -------------------------------------------------------------------------------------------- logs


def _job(**params: Any) -> SimpleNamespace:
    return SimpleNamespace(rule="evaluate", wildcards={"model": "vit-b16"}, params=params)


def test_a_log_begins_with_what_the_job_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    cell = {"dataset": "photos", "perturbation": "none", "severity": "0", "device": "cuda"}
    other = cell | {"perturbation": "pgd", "severity": "4_255"}
    lines = log_header(_job(cells=[cell, other])).splitlines()
    assert lines[:5] == [
        "rule      evaluate",
        "model     vit-b16",
        "cells     photos / none / 0",
        "          photos / pgd / 4_255",
        "device    cuda (CUDA_VISIBLE_DEVICES=1)",
    ]
    assert lines[5].startswith("host ")
    assert lines[5].endswith(f", process {os.getpid()}")


def test_a_log_names_the_slurm_job_and_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Above:
        def environ(self) -> dict[str, str]:
            return {"SLURM_JOB_ID": "4711"}

        def cmdline(self) -> list[str]:
            return ["python", "-m", "snakemake", "--attempt", "2", "--mode", "remote"]

        def parents(self) -> list["Above"]:
            return []

    monkeypatch.setattr("psutil.Process", Above)
    lines = log_header(_job()).splitlines()
    assert "SLURM job 4711" in lines
    assert "attempt   2" in lines


def test_log_to_writes_the_header_only_where_it_is_told_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    for name, job in [("with", _job()), ("without", None)]:
        log_to(str(tmp_path / name), job)
        sys.stderr.close()
    assert (tmp_path / "with").read_text().startswith("rule ")
    assert (tmp_path / "without").read_text() == ""
