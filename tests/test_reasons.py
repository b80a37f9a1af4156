"""The reason of a failure reaches the terminal whatever `--quiet` hides, and once."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.exceptions import WorkflowError, print_exception
from snakemake.logging import DefaultFilter, logger
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from perturb.logs import reason_in, warnings_in
from perturb.runs.reasons import Reasons
from tests.workspace import ROOT

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
QUIET = {
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


def test_what_a_job_warns_of_is_shown_and_found_in_its_log(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    done = subprocess.run(
        [sys.executable, "-c", JOB, path], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.stderr == "WARNING: a: labels may not match\n"
    assert warnings_in(path) == ["WARNING: a: labels may not match"]
    assert reason_in(path) == "ValueError: colours: 3 classes\n  of 2"


@pytest.mark.parametrize("is_elsewhere", [True, False])
@pytest.mark.parametrize("event", [LogEvent.JOB_FINISHED, LogEvent.JOB_ERROR])
def test_warnings_of_jobs_elsewhere_are_shown_once(
    is_elsewhere: bool,
    event: LogEvent,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "job.log"
    log.write_text("12:00:00 WARNING: a: at chance\n12:00:01 b: no WARNING: here\n")
    ended = {"event": event, "rule_name": "evaluate", "log": [str(log)]}
    monkeypatch.setattr(logger, "handlers", [Reasons([], lambda: is_elsewhere)])
    monkeypatch.setattr(logger, "propagate", False)
    caplog.set_level(logging.INFO, logger.name)
    logger.info("rule", extra={"event": LogEvent.JOB_INFO, "jobid": 3, "log": [str(log)]})
    for _ in range(2):
        logger.info("ended", extra=ended | {"jobid": 3, "job_id": 3})
    assert capsys.readouterr().err == ("WARNING: a: at chance\n" if is_elsewhere else "")


@pytest.fixture
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what Snakemake's own handler writes under a `--quiet`, with ours beside it."""
    shown = io.StringIO()
    own = logging.StreamHandler(shown)
    own.addFilter(DefaultFilter(QUIET[request.param], False, False, False, False))
    monkeypatch.setattr(logger, "handlers", [own, Reasons([own], lambda: False)])
    monkeypatch.setattr(logger, "propagate", False)
    return shown


@pytest.mark.parametrize("shown", QUIET, indirect=True)
def test_a_failed_check_is_told_once_whatever_is_hidden(
    shown: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    print_exception(WorkflowError("The study reads files that are not there."))
    told = shown.getvalue() + capsys.readouterr().err
    assert told == "WorkflowError:\nThe study reads files that are not there.\n"


@pytest.mark.parametrize(
    ("shown", "is_shown"), [(quiet, quiet == "not") for quiet in QUIET], indirect=["shown"]
)
def test_a_failed_job_is_told_with_its_reason_where_its_log_is_not_shown(
    shown: io.StringIO, is_shown: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "job.log"
    facts = {"event": LogEvent.JOB_ERROR, "jobid": 3, "log": [str(log)]}
    facts["rule_name"] = "evaluate"
    logger.error("Error in rule", extra=facts)
    log.write_text(LOG)
    logger.error("Error in rule", extra=facts)
    assert shown.getvalue() == ("Error in rule\nError in rule\n" if is_shown else "")
    assert capsys.readouterr().err == (
        ""
        if is_shown
        else f"evaluate: failed, and its log does not say why (log: {log})\n"
        f"evaluate: {REASON} (log: {log})\n"
    )
