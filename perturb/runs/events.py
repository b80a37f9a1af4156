"""The state of a run, from the events that Snakemake's plugin appends to a file."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A job that failed and is not tried again; `log` names the files with the reason."""

    rule: str
    log: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule}: see {', '.join(self.log)}" if self.log else self.rule


@dataclass
class Events:
    """The state of a run, as far as Snakemake has reported.

    jobs : number of jobs of each rule; empty until that is known.
    steps_done, steps_total : jobs of all rules.
    failed : by Snakemake's number of the job.
    num_retries : number of failed attempts that were followed by another.
    slurm_run : the name of all SLURM jobs of this run.
    """

    path: Path
    jobs: dict[str, int] = field(default_factory=dict)
    steps_done: int = 0
    steps_total: int = 0
    failed: dict[str, Failure] = field(default_factory=dict)
    num_retries: int = 0
    slurm_run: str | None = None
    _offset: int = 0

    def read(self) -> None:
        """Read the lines appended since the last call; an incomplete line is read next time."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, end, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(end)
        for line in whole.splitlines():
            self._take(json.loads(line))

    def _take(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "run_info":
                jobs = event["stats"] or {}
                self.jobs = {rule: int(count) for rule, count in jobs.items() if rule != "total"}
                self.steps_total = sum(self.jobs.values())
            case "progress":
                self.steps_done, self.steps_total = int(event["done"]), int(event["total"])
            case "job_error":
                self.failed[str(event["jobid"])] = Failure(
                    str(event["rule_name"]), _telling(tuple(map(str, event["log"] or ())))
                )
            case "group_error":
                self.failed[str(event["groupid"])] = Failure("group", _telling(()))
            case "message":
                self._take_message(event["message"])

    def _take_message(self, message: str) -> None:
        if found := re.match(r"Trying to restart job (\S+?)\.?$", message):
            # It has just been counted as failed.
            self.failed.pop(found[1], None)
            self.num_retries += 1
        elif found := re.match(r"SLURM run ID: (\S+)", message):
            self.slurm_run = found[1]


def _telling(logs: tuple[str, ...]) -> tuple[str, ...]:
    """Return a failed job's logs, or Snakemake's own if they are empty: the job never started."""
    if any(_has_content(Path(log)) for log in logs):
        return logs
    # Their names begin with the time.
    own = sorted(Path(".snakemake/log").glob("*.snakemake.log"))
    return (str(own[-1]),) if own else logs


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
