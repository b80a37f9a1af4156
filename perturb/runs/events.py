"""The state of a run, from Snakemake's log records."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from perturb.logs import reason_in


@dataclass(frozen=True)
class Failure:
    """A job that failed and is not tried again; `log` names the files with the reason."""

    rule: str
    log: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule}: see {', '.join(self.log)}" if self.log else self.rule

    def reasons(self) -> str:
        """Return the last error of each log; empty without one."""
        return "\n".join(filter(None, (reason_in(Path(log)) for log in self.log)))


@dataclass(frozen=True)
class Job:
    """A job that was started or submitted; `before` has the time of each log that was there then.

    The log of an earlier run stays until the job itself opens it, which may take a while, or never
    happen where the job is killed first.
    """

    rule: str
    before: dict[str, int | None]

    def logs(self) -> list[str]:
        """Return the logs that this job has written to."""
        return [log for log, time in self.before.items() if _time_of(log) != time]


@dataclass
class Events:
    """The state of a run, as far as Snakemake has reported.

    jobs : number of jobs of each rule; empty until that is known.
    steps_done, steps_total : jobs of all rules.
    running : each job that was started or submitted, by Snakemake's number.
    finished : number of finished jobs of each rule.
    failed : by Snakemake's number of the job.
    num_retries : number of failed attempts that were followed by another.
    slurm_run : the name of all SLURM jobs of this run.
    """

    jobs: dict[str, int] = field(default_factory=dict)
    steps_done: int = 0
    steps_total: int = 0
    running: dict[str, Job] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    num_retries: int = 0
    slurm_run: str | None = None

    def take(self, record: LogRecord) -> None:
        """Take a record of Snakemake's logger."""
        facts = vars(record)
        # As text: the names of `snakemake_interface_logger_plugins.common.LogEvent`.
        match str(facts.get("event") or ""):
            case "run_info":
                stats = facts["stats"] or {}
                self.jobs = {rule: int(count) for rule, count in stats.items() if rule != "total"}
                self.steps_total = sum(self.jobs.values())
            case "progress":
                self.steps_done, self.steps_total = int(facts["done"]), int(facts["total"])
            case "job_info":
                before = {log: _time_of(log) for log in _logs(facts["log"])}
                self.running[str(facts["jobid"])] = Job(str(facts["rule_name"]), before)
            case "job_finished":
                job = self.running.pop(str(facts["job_id"]), _UNKNOWN)
                self.finished[job.rule] = self.finished.get(job.rule, 0) + 1
            case "job_error":
                self._fail(str(facts["jobid"]), str(facts["rule_name"]), _logs(facts["log"]))
            case "group_error":
                self._fail(str(facts["groupid"]), "group", ())
            case "":
                self._take_message(str(record.msg))

    def _fail(self, job: str, rule: str, logs: tuple[str, ...]) -> None:
        begun = self.running.pop(job, _UNKNOWN)
        own = tuple(log for log in logs if log not in begun.before or log in begun.logs())
        self.failed[job] = Failure(rule, _telling(own, logs))

    def _take_message(self, message: str) -> None:
        if found := re.match(r"Trying to restart job (\S+?)\.?$", message):
            # It has just been counted as failed.
            self.failed.pop(found[1], None)
            self.num_retries += 1
        elif found := re.match(r"SLURM run ID: (\S+)", message):
            self.slurm_run = found[1]


def _logs(names: Sequence[object] | None) -> tuple[str, ...]:
    return tuple(map(str, names or ()))


def _telling(own: tuple[str, ...], all_logs: tuple[str, ...]) -> tuple[str, ...]:
    """Return a failed job's own logs, or Snakemake's if they are empty: the job never started."""
    if any((stat := _stat(log)) and stat.st_size for log in own):
        return own
    # Their names begin with the time.
    snakemakes = sorted(Path(".snakemake/log").glob("*.snakemake.log"))
    return (str(snakemakes[-1]),) if snakemakes else all_logs


def _time_of(log: str) -> int | None:
    stat = _stat(log)
    return stat.st_mtime_ns if stat else None


def _stat(log: str) -> os.stat_result | None:
    try:
        return Path(log).stat()
    except OSError:
        return None


_UNKNOWN = Job("", {})
