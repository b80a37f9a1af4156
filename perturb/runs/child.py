"""Snakemake as a child process: progress while it runs, signals, exit status.

Signals: SIGINT and SIGHUP go to Snakemake and its jobs, as from a terminal; Snakemake then
cancels submitted jobs. SIGTERM goes to Snakemake alone, which starts no more jobs and waits
for running ones. The launcher itself ends only after Snakemake.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from perturb.runs.events import Events
from perturb.runs.lock import FOLDER
from perturb.runs.progress import NUM_NAMED, Tracker
from perturb.runs.study import study_of
from perturb.runs.terminal import Display, display

logger = logging.getLogger(__name__)

_PLUGINS = Path(__file__).parent / "plugins"
_TO_ALL = (signal.SIGINT, signal.SIGHUP)
_TO_SNAKEMAKE = (signal.SIGTERM,)
# Between two counts of all shards; longer if a count is slow, so that it takes at most 5 %.
_LOOK_S = 10
_COST = 0.05
_READ_S = 1


def snakemake(arguments: Sequence[str]) -> list[str]:
    """Return the command line of a Snakemake."""
    return [sys.executable, "-m", "snakemake", *arguments]


@dataclass(frozen=True)
class Ended:
    """The end of a Snakemake.

    status : its exit status, 128 + n if signal n ended it.
    had_jobs : whether it had reported its jobs, as far as is known.
    """

    status: int
    had_jobs: bool


def run_watched(arguments: Sequence[str]) -> Ended:
    """Run Snakemake to its end; return its status."""
    events = FOLDER / "events.jsonl"
    events.parent.mkdir(parents=True, exist_ok=True)
    events.write_bytes(b"")
    watching = ["--logger", "perturb", "--logger-perturb-file", str(events)]
    is_told = "--logger" not in arguments
    command = snakemake([*watching, *arguments] if is_told else arguments)
    with display() as shown, passing_on_signals() as signals:
        # A process group of its own: Ctrl-C reaches it through the launcher, once.
        output = shown.output
        process = subprocess.Popen(
            command,
            env=_environment(),
            process_group=0,
            stdin=subprocess.DEVNULL,
            stdout=output if output is not None and sys.stdout.isatty() else None,
            stderr=output,
        )
        signals.send_to(process)
        watch = Watch(list(arguments), Events(events), shown)
        while True:
            try:
                status = process.wait(timeout=_READ_S)
                break
            except subprocess.TimeoutExpired:
                watch.look()
        status = exit_status(status)
        watch.end(status, is_stopped=signals.were_sent)
    return Ended(status, had_jobs=bool(watch.events.jobs) or not is_told)


def exit_status(returncode: int) -> int:
    """Return the exit status of a process as in a shell: 128 + n if signal n ended it."""
    return returncode if returncode >= 0 else 128 - returncode


def _environment() -> dict[str, str]:
    """Return an environment in which Snakemake finds this package and our plugin."""
    path = [str(_PLUGINS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)}


# Errors in reading files of other programs: a disk, a file, another version of Snakemake.
_TROUBLE = (OSError, ValueError, LookupError, AttributeError, ImportError, SystemExit)


class Watch:
    """The state of a run in progress; no error in this class ends the run."""

    def __init__(self, arguments: Sequence[str], events: Events, shown: Display) -> None:
        self._arguments = arguments
        self.events = events
        self._shown = shown
        self._started_ns = events.path.stat().st_mtime_ns
        self._tracker: Tracker | None = None
        self._is_known = self._is_blind = False
        self._next_look = 0.0
        self._num_told = 0

    def look(self) -> None:
        """Show the progress, and count shards if that is due."""
        with self._unharmed():
            self._read()
            if self._tracker is None:
                return
            now = time.monotonic()
            if now >= self._next_look:
                self._tracker.count(now)
                self._next_look = now + max(_LOOK_S, (time.monotonic() - now) / _COST)
                self._tracker.write("running")
            self._shown.show(str(self._tracker.progress()))

    def end(self, status: int, *, is_stopped: bool) -> None:
        """Show the end of the run."""
        state = "finished" if status == 0 else "stopped" if is_stopped else "failed"
        with self._unharmed():
            self._read()
            if self._tracker is not None:
                self._tracker.count(time.monotonic())
                self._tracker.write(state, status)
                self._shown.show(str(self._tracker.progress()))

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        """Continue without progress after an error, and report it once."""
        try:
            yield
        except _TROUBLE as error:
            if not self._is_blind:
                self._is_blind = True
                with suppress(OSError):
                    self._shown.tell(f"The progress cannot be shown: {error}")

    def _read(self) -> None:
        self.events.read()
        if self.events.jobs and not self._is_known:
            # Snakemake has read the arguments and the configuration: they are valid.
            self._is_known = True
            study = study_of(self._arguments)
            if study is not None:
                self._tracker = Tracker(study, self.events, self._started_ns)
        self._tell_failures()

    def _tell_failures(self) -> None:
        """Name each job that failed in its last attempt; Snakemake does not under `--quiet`."""
        failed = list(self.events.failed.values())
        for failure in failed[self._num_told : NUM_NAMED]:
            self._shown.tell(f"FAILED: {failure}")
        self._num_told = max(self._num_told, len(failed))


class Signals:
    """Signals for Snakemake; those that arrive before it starts are kept until then."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self.were_sent = False

    def take(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on."""
        self.were_sent = True
        if self._process is None:
            self._waiting.append(number)
        elif self._process.poll() is None:
            if number in _TO_ALL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)

    def send_to(self, process: subprocess.Popen[bytes]) -> None:
        """Set the process that receives the signals."""
        self._process = process
        for number in self._waiting:
            self.take(number, None)


@contextmanager
def passing_on_signals() -> Iterator[Signals]:
    """Pass signals on while the block runs; ignored ones (`nohup`) are still ignored."""
    signals = Signals()
    before = {number: signal.getsignal(number) for number in (*_TO_ALL, *_TO_SNAKEMAKE)}
    kept = {number: old for number, old in before.items() if old != signal.SIG_IGN}
    for number in kept:
        signal.signal(number, signals.take)
    try:
        yield signals
    finally:
        for number, old in kept.items():
            signal.signal(number, old)
