"""The logger of a run: reasons of failures whatever `--quiet` hides, warnings, progress."""

import json
import logging
import math
import os
import pty
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.exceptions import WorkflowError, print_exception
from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from perturb.config import Config
from perturb.logs import MONITORED, progress_in, reason_in, warnings_in
from perturb.runs.monitor import Monitor, watch
from snakemake_logger_plugin_perturb import LogHandler
from snakemake_logger_plugin_perturb.screen import Screen, Terminal, screen_of
from tests.workspace import ROOT, environment, run_command

LOG = """\
rule      evaluate

Traceback (most recent call last):
  File "ensemble.py", line 105, in apgd_dlr
    raise ValueError("first")
ValueError: first

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "evaluate.py", line 227, in _answers
    raise ValueError(f"{self.cell}: {error}") from error
ValueError: a / test / none / 0: no finite logit
and a second line
"""
REASON = "ValueError: a / test / none / 0: no finite logit\nand a second line"
QUIET: dict[str, set[Quietness]] = {
    "not": set(),
    "rules host reason": {Quietness.RULES, Quietness.HOST, Quietness.REASON},
    "without a word": {Quietness.PROGRESS, Quietness.RULES},
    "all": {Quietness.ALL},
}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LOG, REASON),
        ("12:00:00 a / test / none / 0: 8 of 24 images\n", None),  # it was killed
        ("", None),
        ("Traceback (most recent call last):\nMemoryError\n", "MemoryError"),
        (
            "slurmstepd-n0: error: StepId=1.batch exceeded memory limit\nslurmstepd: error: x\n",
            "StepId=1.batch exceeded memory limit",
        ),
    ],
)
def test_the_reason_is_the_error_that_a_log_ends_with(
    text: str, reason: str | None, tmp_path: Path
) -> None:
    assert reason_in(tmp_path / "absent.log") is None
    (tmp_path / "job.log").write_text(text)
    assert reason_in(tmp_path / "job.log") == reason


JOB = """\
import logging, sys
from perturb.logs import log_to
log_to(sys.argv[1])
logging.info("a / test / none / 0: 24 of 24 images")
logging.warning("a: %s", "labels may not match")
raise ValueError("colours: 3 classes\\n  of 2")
"""


@pytest.mark.parametrize("is_monitored", [True, False])
def test_what_a_job_warns_of_is_shown_and_found_in_its_log(
    is_monitored: bool, tmp_path: Path
) -> None:
    path = tmp_path / "job.log"
    variables = environment() | ({MONITORED: "1"} if is_monitored else {})
    done = run_command([sys.executable, "-c", JOB, path], ROOT, variables)
    # A run with a monitor shows it from the log: it would stand there twice.
    assert done.stderr == ("" if is_monitored else "WARNING: a: labels may not match\n")
    assert warnings_in(path) == ["WARNING: a: labels may not match"]
    assert reason_in(path) == "ValueError: colours: 3 classes\n  of 2"


def test_the_progress_is_the_last_line_that_says_how_far_a_job_is(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    assert progress_in(log) is None
    log.write_text("rule      train_model\n\n12:00:00 a/fine: step 3 of 1,200, loss 2.5\n")
    assert progress_in(log) == "a/fine: step 3 of 1,200, loss 2.5"
    log.write_text(log.read_text() + "12:00:01 a/fine: validation accuracy 0.9\n" * 200)
    assert progress_in(log) is None  # long ago
    log.write_text("12:00:01 a / test / none / 0: 8 of 24 images\n12:00:02 evaluated\n")
    assert progress_in(log) == "a / test / none / 0: 8 of 24 images"


# ------------------------------------------------------------------------------------------ logger


Started = Callable[..., LogHandler]


def _monitor_of(handler: LogHandler) -> Monitor:
    assert handler._monitor is not None
    return handler._monitor


@pytest.fixture
def started(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Started]:
    """Return what makes the plugin Snakemake's only handler, with a monitor of the study."""
    handlers: list[LogHandler] = []

    def start(quiet: str = "not", *, is_monitored: bool = True, **settings: Any) -> LogHandler:
        handler = LogHandler(OutputSettings(quiet=QUIET[quiet], nocolor=True, **settings), None)
        if is_monitored:
            monkeypatch.setattr("perturb.runs.monitor._LOOK_S", 0)
            monkeypatch.setattr("perturb.runs.monitor._COST", math.inf)
            handler.watch(Monitor(config, clock=iter(range(10_000)).__next__))
        monkeypatch.setattr(logger, "handlers", [handler])
        handlers.append(handler)
        return handler

    monkeypatch.setattr(logger, "propagate", False)
    caplog.set_level(logging.INFO, logger.name)
    yield start
    for handler in handlers:
        handler.close()


def _plan(number: int, **others: int) -> None:
    stats = {**others, "evaluate": number}
    logger.info("stats", extra={"event": LogEvent.RUN_INFO, "stats": stats})


def _begin(job: int, log: Path, rule: str = "evaluate") -> None:
    facts = {"event": LogEvent.JOB_INFO, "jobid": job, "rule_name": rule, "log": [str(log)]}
    logger.info("rule", extra=facts)


def _fail(job: int, *logs: Path, **more: str) -> None:
    facts = {"event": LogEvent.JOB_ERROR, "jobid": job, "rule_name": "evaluate", **more}
    logger.error("Error in rule", extra=facts | {"log": [*map(str, logs)]})


@pytest.mark.parametrize("event", [LogEvent.JOB_FINISHED, LogEvent.JOB_ERROR])
def test_warnings_of_jobs_are_shown_once(
    started: Started, event: LogEvent, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the job runs, if the monitor looks at its log, or at its end."""
    monitor, log = _monitor_of(started()), Path("job.log")
    log.write_text("12:00:00 WARNING: of an earlier run\n")
    _plan(1)
    _begin(3, log)
    assert monitor.look() == []
    log.write_text("12:00:00 WARNING: a: at chance\n12:00:01 b: no WARNING: here\n")
    assert monitor.look() == ["WARNING: a: at chance"]
    log.write_text(log.read_text() + "12:00:02 WARNING: a: another\n")
    ended = {"event": event, "rule_name": "evaluate", "log": [str(log)], "jobid": 3, "job_id": 3}
    for _ in range(2):
        logger.info("ended", extra=ended)
    told = capsys.readouterr().err
    assert (told.count("at chance"), told.count("another")) == (0, 1)


@pytest.mark.parametrize("quiet", QUIET)
@pytest.mark.parametrize("is_monitored", [True, False])
def test_a_failed_check_is_told_once_whatever_is_hidden(
    started: Started, quiet: str, is_monitored: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    started(quiet, is_monitored=is_monitored)
    print_exception(WorkflowError("The study reads files that are not there."))
    told = capsys.readouterr().err
    assert told == "WorkflowError:\nThe study reads files that are not there.\n"


@pytest.mark.parametrize("quiet", QUIET)
def test_a_failed_job_is_told_with_its_reason(
    started: Started, quiet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """When it fails, and once more by its log at the end of the run."""
    handler, log = started(quiet), Path("job.log")
    _plan(1)
    _fail(3, log)
    log.write_text(LOG)
    _fail(3, log)
    handler.close()
    told = capsys.readouterr().err
    shown = "evaluate: failed, and its log does not say why (log: job.log)\n"
    assert told.startswith(shown)
    assert f"evaluate: {REASON} (log: job.log)\n" in told
    assert told.endswith("FAILED: evaluate: see job.log\n")


def test_what_an_executor_says_of_a_failed_job_is_told(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of a job that SLURM killed ends without a reason."""
    started()
    _plan(1)
    _fail(3, rule_msg="SLURM status is OUT_OF_MEMORY")
    assert "evaluate: SLURM status is OUT_OF_MEMORY\n" in capsys.readouterr().err


def test_messages_of_single_jobs_are_not_shown_but_others_are(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = started()
    _plan(2)
    _begin(1, Path("job.log"))
    logger.info("Select jobs to execute...")
    logger.info("Finished", extra={"event": LogEvent.JOB_FINISHED, "job_id": 1})
    logger.info("2 of 2", extra={"event": LogEvent.PROGRESS, "done": 2, "total": 2})
    logger.warning("A warning of Snakemake")
    logger.info("The report: /here/index.html")
    handler.close()
    told = capsys.readouterr()
    assert told.err.startswith("A warning of Snakemake\n")
    assert "cells 0 of 9" in told.err
    assert "jobs 2 of 2" in told.err
    assert told.err.count("\n") == 2
    # The last line of a run, and all that it writes to standard output.
    assert told.out == "The report: /here/index.html\n"
    assert json.loads(Path("results/status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize("settings", [{"dryrun": True}, {"verbose": True}])
def test_a_dry_run_shows_what_snakemake_shows(
    started: Started, settings: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    handler = started(**settings)
    _plan(2)
    logger.info("Select jobs to execute...")
    handler.close()
    assert capsys.readouterr().err == "stats\nSelect jobs to execute...\n"
    assert not Path("results").exists()


def test_progress_names_the_models_trained_and_what_a_job_logs(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    monitor, log = _monitor_of(started()), Path("train.log")
    _plan(2, train_model=3)
    _begin(1, log, "train_model")
    log.write_text("12:00:00 a/fine: step 3 of 12, loss 2.5, 90 samples/s, 4 s left\n")
    monitor.look()
    assert monitor.progress() == (
        "models trained 0 of 3, cells 0 of 9, jobs 0 of 5 | "
        "a/fine: step 3 of 12, loss 2.5, 90 samples/s, 4 s left"
    )
    logger.info("Finished", extra={"event": LogEvent.JOB_FINISHED, "job_id": 1})
    monitor.look()
    assert monitor.progress() == "models trained 1 of 3, cells 0 of 9, jobs 0 of 5"
    capsys.readouterr()


def test_a_run_that_cannot_write_its_status_says_so_once_and_goes_on(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    monitor = _monitor_of(started())
    Path("results").write_text("a file where the folder should be")
    _plan(1)
    (line,) = [*monitor.look(), *monitor.look()]
    assert line.startswith("The progress cannot be shown: ")
    capsys.readouterr()


@pytest.mark.parametrize("failing", ["take", "look", "progress", "end"])
def test_a_monitor_that_fails_hides_no_message(
    failing: str,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Snakemake's thread of messages ends with the first error in it."""

    def fail(*_: object) -> None:
        raise KeyError("stats")

    handler = started()
    monkeypatch.setattr(_monitor_of(handler), failing, fail)
    assert handler._ask(lambda asked: getattr(asked, failing)()) is None
    logger.info("Select jobs to execute...")
    logger.error("An error of Snakemake")
    told = capsys.readouterr().err
    assert told.startswith("The progress cannot be shown: KeyError: 'stats'\n")
    assert told.endswith("Select jobs to execute...\nAn error of Snakemake\n")


def test_where_nobody_reads_any_more_nothing_is_shown(started: Started, config: Config) -> None:
    """A closed pipe or terminal is no reason for a run to end: its status is written on."""
    del config
    handler = started()
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        handler._screen = Screen(stream)
        _plan(1)
        _fail(1, Path("job.log"))
        logger.error("Error")
        handler.close()
        with pytest.raises(BrokenPipeError):
            stream.close()
    assert json.loads(Path("results/status.json").read_text())["state"] == "failed"


def test_the_workflow_hands_its_study_to_the_loggers_that_take_it(config: Config) -> None:
    taken: list[Monitor] = []
    taking = SimpleNamespace(watch=lambda monitor: taken.append(monitor))
    handlers = [logging.NullHandler(), taking]
    manager = SimpleNamespace(get_log_handlers=lambda: handlers)
    watch(SimpleNamespace(logger_manager=manager), config)
    assert len(taken) == 1
    assert MONITORED not in os.environ  # in a dry run, say: it returned nothing true


# ------------------------------------------------------------------------------------------ screen


def _shown_by_terminal(write: Callable[[Terminal], None]) -> str:
    """Return what a terminal receives."""
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
        terminal = screen_of(stream)
        assert isinstance(terminal, Terminal)
        write(terminal)
        terminal.close()
    reader.join(timeout=10)
    os.close(master)
    return b"".join(received).decode()


def test_a_terminal_keeps_the_progress_in_its_last_line() -> None:
    def write(terminal: Terminal) -> None:
        terminal.show("cells 1 of 9")
        terminal.write(["FAILED: something"])
        terminal.show("cells 2 of 9")
        with terminal.cleared():
            terminal._stream.write("a line\n")

    lines = _shown_by_terminal(write).replace("\r\n", "\n").split("\n")
    visible = [line.rpartition("\x1b[K")[2].strip("\r") for line in lines]
    assert visible == ["FAILED: something", "a line", "cells 2 of 9", ""]


def test_elsewhere_a_line_comes_every_so_often(capsys: pytest.CaptureFixture[str]) -> None:
    screen = screen_of(sys.stderr)
    for number in range(50):
        screen.show(f"cells {number} of 50")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("cells 0 of 50")
