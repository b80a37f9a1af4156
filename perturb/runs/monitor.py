"""What a run shows and records: messages of its jobs, the progress, and the status file.

Snakemake's logger plugin `perturb` calls this from its thread; no error in this module ends a run.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from logging import LogRecord
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.logs import MONITORED, progress_in, warnings_in
from perturb.runs.events import Events, Job
from perturb.runs.progress import NUM_NAMED, Tracker

# Between two counts of all shards; longer if a count is slow, so that it takes at most 5 %.
_LOOK_S = 2
_COST = 0.05
# Rules whose jobs the count of cells follows; others show what their logs say.
_COUNTED = ("evaluate", "transfer_attacks")
_TRAINING = "train_model"
# How the message begins that comes last, on standard output.
_REPORT = "The report: "
_NO_REASON = "failed, and its log does not say why"
# Errors in reading files of other programs: a disk, a file, another version of Snakemake.
_TROUBLE = (OSError, ValueError, LookupError, AttributeError, TypeError, ImportError)


def watch(workflow: Any, config: Config) -> None:
    """Let Snakemake's logger `perturb`, if it is on, show the progress of a study."""
    for handler in workflow.logger_manager.get_log_handlers():
        start = getattr(handler, "watch", None)
        if start is not None and start(Monitor(config)):
            os.environ[MONITORED] = "1"


class Monitor:
    """The state of a run in progress.

    Parameters
    ----------
    clock : seconds of a monotonic clock.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self.events = Events()
        self._report = ""
        self._config = config
        self._clock = clock
        self._tracker: Tracker | None = None
        self._is_blind = False
        self._next_look = 0.0
        self._started_ns = time.time_ns()
        self._warned: dict[str, int] = {}
        self._line = ""

    def take(self, record: LogRecord) -> Sequence[str] | None:
        """Return the lines shown in place of a message; None to show it as Snakemake does."""
        if record.getMessage().startswith(_REPORT):
            self._report = record.getMessage()
            return ()
        running = self.events.running.copy()
        self.events.take(record)
        if self.events.jobs and self._tracker is None:
            self._tracker = Tracker(self._config, self.events, self._started_ns)
        match str(getattr(record, "event", None) or ""):
            case "job_error" | "group_error":
                return self._account(vars(record), running)
            case "job_finished":
                return self._warnings(running.get(str(vars(record)["job_id"])))
        return None

    def look(self) -> Sequence[str]:
        """Count what is done if that is due; return the warnings of running jobs."""
        now = self._clock()
        if self._tracker is None or now < self._next_look:
            return ()
        lines = self._count(now, "running")
        for job in [*self.events.running.values()]:
            lines += self._warnings(job)
        self._line = self._described()
        self._next_look = now + max(_LOOK_S, (self._clock() - now) / _COST)
        return lines

    def progress(self) -> str:
        """Return the progress as last counted."""
        return self._line

    def end(self) -> Sequence[str]:
        """Return the progress at the end, and the path of the report if it was written."""
        if self._tracker is None:
            return [self._report]
        lines = self._count(self._clock(), self._state())
        if not self._is_blind:
            lines.append(f"{time.strftime('%H:%M:%S')} {self._tracker}")
        self._line = ""
        failures = [f"FAILED: {failure}" for failure in self.events.failed.values()]
        lines += failures[:NUM_NAMED]
        if len(failures) > NUM_NAMED:
            lines.append(f"and {len(failures) - NUM_NAMED:,} more")
        return [*lines, self._report]

    def _state(self) -> str:
        if self.events.failed:
            return "failed"
        is_done = self.events.steps_done >= self.events.steps_total
        return "finished" if is_done else "stopped"

    def _count(self, now: float, state: str) -> list[str]:
        """Count the cells and write the status file; return the error of it, once."""
        assert self._tracker is not None
        try:
            self._tracker.count(now)
            self._tracker.write(state)
        except _TROUBLE as error:
            is_new, self._is_blind = not self._is_blind, True
            return [f"The progress cannot be shown: {error}"] if is_new else []
        return []

    def _account(self, facts: Mapping[str, Any], running: Mapping[str, Job]) -> list[str]:
        """Return the warnings and the reason of a job that has just failed."""
        job = str(facts.get("jobid", facts.get("groupid")))
        lines = self._warnings(running.get(job))
        failure = self.events.failed.get(job)
        if failure is None:
            return lines
        # On a cluster, its state: the log of a job that was killed does not say why.
        message = str(facts.get("rule_msg") or "").strip()
        reasons = "\n".join(filter(None, [message, failure.reasons()])) or _NO_REASON
        logs = f" (log: {', '.join(failure.log)})" if failure.log else ""
        return [*lines, f"{failure.rule}: {reasons}{logs}"]

    def _warnings(self, job: Job | None) -> list[str]:
        """Return the warnings in a job's logs that have not been shown."""
        found = []
        for log in job.logs() if job is not None else ():
            warnings = warnings_in(Path(log))
            found += warnings[self._warned.get(log, 0) :]
            self._warned[log] = len(warnings)
        return found

    def _described(self) -> str:
        """Return the progress: cells, jobs, models trained, and what the first other job logs."""
        assert self._tracker is not None
        events, parts = self.events, [str(self._tracker)]
        for rule, count in events.jobs.items():
            # In a workflow that uses this one as a module, the names of rules have a prefix.
            if rule.endswith(_TRAINING) and events.finished.get(rule, 0) < count:
                parts.insert(0, f"models trained {events.finished.get(rule, 0)} of {count}")
        lines = [
            line
            for job in [*events.running.values()]
            if not job.rule.endswith(_COUNTED)
            for log in job.logs()
            if (line := progress_in(Path(log))) is not None
        ]
        return ", ".join(parts) + (f" | {lines[0]}" if lines else "")
