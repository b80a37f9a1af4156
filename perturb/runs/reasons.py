"""Why a job or a run failed, on the terminal also where `--quiet` hides it.

`--quiet` and `--quiet rules` hide Snakemake's account of a failed job, and with it the log that
says why; `--quiet all` hides every error, that of a configuration that is not valid among them.
What Snakemake shows itself is not shown again.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake.settings.types import ExecMode
from snakemake_interface_logger_plugins.common import LogEvent

from perturb.logs import reason_in


def show_reasons(workflow: Any) -> None:
    """Have this Snakemake show the reasons of all failures, unless it is one inside a job."""
    if workflow.exec_mode == ExecMode.DEFAULT:
        logger.addHandler(Reasons(list(logger.handlers)))


class Reasons(logging.Handler):
    """Writes the errors that none of Snakemake's own handlers shows to standard error.

    Parameters
    ----------
    others : Snakemake's own handlers; those that write to a terminal count.
    """

    def __init__(self, others: Sequence[logging.Handler]) -> None:
        super().__init__(logging.ERROR)
        self._others = [each for each in others if isinstance(each, logging.StreamHandler)]

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record if nothing else does."""
        if any(other.filter(record) for other in self._others):
            return
        try:
            sys.stderr.write(_told(record) + "\n")
        except OSError:  # a terminal that was closed, a full disk
            self.handleError(record)


def _told(record: logging.LogRecord) -> str:
    if getattr(record, "event", None) != LogEvent.JOB_ERROR:
        return record.getMessage()
    facts = vars(record)
    logs = [str(log) for log in facts["log"] or ()]
    reasons = [reason for log in logs if (reason := reason_in(Path(log))) is not None]
    why = "\n".join(reasons) or "failed, and its log does not say why"
    return f"{facts['rule_name']}: {why}" + (f" (log: {', '.join(logs)})" if logs else "")
