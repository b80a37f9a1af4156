"""Progress of a run: finished cells, rate, time left, failures; for people and for programs.

A cell is finished when a valid receipt lists it, or when its shard is newer than the run's start.
The planned cells are those not finished at its start: the run evaluates those of them that have no
shard of their identity. No folder is searched: the paths follow from the cells.

The status file, `status.json` in the results folder, is replaced as a whole. Its keys:

    schema              2
    state               running, finished, failed, or stopped (by a signal)
    host, pid           of Snakemake; if the state is running without this process, it was killed
    arguments           of Snakemake's command line
    started, updated    ISO 8601, UTC
    cells               total: of the study; done: finished; planned, new: of this run
    jobs                total: of all rules in this run; done: of these
    cells_per_minute    over the last half hour at most; null before the first cell
    seconds_left        until the last cell, at this rate; null if unknown
    num_failed          jobs that failed and are not tried again
    num_retries         attempts that failed and were followed by another
    failures            of these jobs, the first 20: rule, log (a list of paths)
    warnings            a sentence for each model that is no better than chance on clean images
    slurm_run           the name of the run's SLURM jobs; null elsewhere
"""

import json
import os
import socket
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from perturb.config import Config
from perturb.files import replacing
from perturb.formatting import duration
from perturb.plan.cells import cells
from perturb.plan.paths import Paths
from perturb.plan.receipts import done_files
from perturb.runs.clean import ChanceWarnings
from perturb.runs.events import Events

STATUS_FILE = "status.json"
NUM_NAMED = 20
_WINDOW_S = 1800


class Tracker:
    """Tracks a run of a study; `started_ns` is the time of a file made at its start.

    The module's docstring describes its numbers: cells as last counted, jobs as last reported.
    """

    def __init__(self, config: Config, events: Events, started_ns: int) -> None:
        paths = Paths(config.results)
        self.status_path = Path(paths.root) / STATUS_FILE
        self._config = config
        self._shards = [paths.shard(cell) for cell in cells(config)]
        self._events = events
        self._started_ns = started_ns
        self._started = datetime.now(UTC)
        self._samples: deque[tuple[float, int]] = deque()
        self.num_done = self.num_new = 0
        self.num_planned: int | None = None
        self._clean = ChanceWarnings(config)

    def count(self, now: float) -> None:
        """Count the cells; `now` is in seconds of a monotonic clock."""
        listed = done_files(self._config)
        new = new_files(self._shards, self._started_ns)
        self.num_new = len(new)
        self.num_done = sum(shard in listed or shard in new for shard in self._shards)
        if self.num_planned is None:
            self.num_planned = len(self._shards) - self.num_done + self.num_new
        samples = self._samples
        samples.append((now, self.num_done))
        # The rate starts at the count before the first cell, or at the limit of its window.
        while len(samples) > 2 and (
            samples[1][1] == samples[0][1] or samples[1][0] < now - _WINDOW_S
        ):
            samples.popleft()

    @property
    def cells_per_minute(self) -> float | None:
        """The rate; None before the first cell."""
        if not self._samples:
            return None
        (then, before), (now, new) = self._samples[0], self._samples[-1]
        return 60 * (new - before) / (now - then) if new > before and now > then else None

    @property
    def seconds_left(self) -> float | None:
        """The time until the last cell, at this rate; None if unknown."""
        rate, num_left = self.cells_per_minute, len(self._shards) - self.num_done
        return 60 * num_left / rate if rate and num_left else None

    def __str__(self) -> str:
        events = self._events
        told = [f"cells {self.num_done:,} of {len(self._shards):,}"]
        if self.cells_per_minute is not None:
            told.append(f"{self.cells_per_minute:.3g} a minute")
        if self.seconds_left is not None:
            told.append(f"{duration(self.seconds_left)} left")
        told.append(f"jobs {events.steps_done:,} of {events.steps_total:,}")
        if events.num_retries:
            told.append(f"{events.num_retries:,} tried again")
        if events.failed:
            told.append(f"{len(events.failed):,} FAILED")
        return ", ".join(told)

    def write(self, state: str) -> None:
        """Replace the status file.

        Raises
        ------
        OSError
            such as on a full disk; the old file is then kept.
        """
        events, failed = self._events, [*self._events.failed.values()]
        status = {
            "schema": 2,
            "cells": {
                "total": len(self._shards),
                "done": self.num_done,
                "planned": self.num_planned or 0,
                "new": self.num_new,
            },
            "jobs": {"total": events.steps_total, "done": events.steps_done},
            "cells_per_minute": self.cells_per_minute,
            "seconds_left": self.seconds_left,
            "num_failed": len(failed),
            "num_retries": events.num_retries,
            "failures": [asdict(failure) for failure in failed[:NUM_NAMED]],
            "slurm_run": events.slurm_run,
            "warnings": self._clean.found(),
            "state": state,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "arguments": sys.argv[1:],
            "started": self._started.isoformat(timespec="seconds"),
            "updated": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with replacing(self.status_path) as temporary:
            temporary.write_text(json.dumps(status, indent=1) + "\n")


def new_files(paths: Sequence[str], started_ns: int) -> set[str]:
    """Return the files that are newer than a time."""
    new = set()
    for path in paths:
        try:
            changed = os.stat(path).st_mtime_ns  # noqa: PTH116 - a Path takes twice as long
        except OSError:
            continue
        if changed >= started_ns:
            new.add(path)
    return new
