"""Reasons of failed jobs and runs, on the terminal also if `--quiet` hides them.

`--quiet` and `--quiet rules` hide Snakemake's report of a failed job, and with it the path of its
log; `--quiet all` hides every error, including that of an invalid configuration. Messages that
Snakemake shows are not repeated. Warnings of jobs on a cluster are shown after the job has ended;
a job on this machine shows its own.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake.settings.types import ExecMode
from snakemake_interface_logger_plugins.common import LogEvent

from perturb.logs import reason_in, warnings_in


def show_reasons(workflow: Any) -> None:
    """Make this Snakemake show the reasons of all failures, unless it runs inside a job."""
    if workflow.exec_mode == ExecMode.DEFAULT:
        logger.addHandler(Reasons(list(logger.handlers), lambda: bool(workflow.non_local_exec)))


class Reasons(logging.Handler):
    """Writes reasons to standard error that neither Snakemake's handlers nor the jobs show.

    Parameters
    ----------
    others : Snakemake's own handlers; those that write to a terminal count.
    is_elsewhere : whether jobs run where they cannot write to this terminal.
    """

    def __init__(self, others: Sequence[logging.Handler], is_elsewhere: Callable[[], bool]) -> None:
        super().__init__(logging.INFO)
        self._others = [each for each in others if isinstance(each, logging.StreamHandler)]
        self._is_elsewhere = is_elsewhere
        self._logs: dict[str, list[Path]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the reason in a record if nothing else shows it."""
        facts = vars(record)
        match facts.get("event"):
            case LogEvent.JOB_INFO:
                self._logs[str(facts["jobid"])] = [Path(log) for log in facts["log"] or ()]
            case LogEvent.JOB_FINISHED:
                self._write(self._warnings(str(facts["job_id"])))
            case LogEvent.JOB_ERROR:
                self._write(self._warnings(str(facts["jobid"])))
        if record.levelno >= logging.ERROR and not self._is_shown(record):
            self._write([_account_of(record)])

    def _warnings(self, job: str) -> list[str]:
        logs = self._logs.pop(job, ()) if self._is_elsewhere() else ()
        return [warning for log in logs for warning in warnings_in(log)]

    def _is_shown(self, record: logging.LogRecord) -> bool:
        return any(other.filter(record) for other in self._others)

    def _write(self, lines: Sequence[str]) -> None:
        try:
            for line in lines:
                sys.stderr.write(f"{line}\n")
        except OSError:  # a closed terminal or a full disk is no reason to fail
            return


def _account_of(record: logging.LogRecord) -> str:
    if getattr(record, "event", None) != LogEvent.JOB_ERROR:
        return record.getMessage()
    facts = vars(record)
    logs = [str(log) for log in facts["log"] or ()]
    reasons = [reason for log in logs if (reason := reason_in(Path(log))) is not None]
    why = "\n".join(reasons) or "failed, and its log does not say why"
    return f"{facts['rule_name']}: {why}" + (f" (log: {', '.join(logs)})" if logs else "")
