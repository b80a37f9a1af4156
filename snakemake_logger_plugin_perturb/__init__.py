"""Snakemake's logger `perturb`: the terminal of a run, which shows its progress.

Snakemake finds logger plugins by the name of their package, and `profiles/default` switches this
one on. It replaces Snakemake's own handler of the terminal: messages pass through Snakemake's own
filter and formatter, less those of single jobs, in whose place the progress is shown. The complete
messages are in Snakemake's log file as always. A dry run, `--verbose` and a workflow that sets no
monitor (`LogHandler.watch`) look as they do without this plugin.

Snakemake imports every installed plugin at every start: this package imports nothing of the
workflow, whose own version of `perturb` sets the monitor.
"""

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from logging import LogRecord
from typing import Protocol, TypeVar

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase

from snakemake_logger_plugin_perturb.screen import Screen, screen_of

T = TypeVar("T")

_LOOK_S = 1.0
# Steps of Snakemake itself, at every start and before every job.
_STEPS = (
    *("Assuming unrestricted shared", "Building DAG", "Execute ", "Select jobs", "Using shell"),
    *("Provided ", "Rules claiming", "Conda environments:", "Singularity containers:"),
)
_OF_JOBS = {Quietness.RULES, Quietness.PROGRESS, Quietness.HOST, Quietness.REASON}


class Monitor(Protocol):
    """What a workflow says of its run."""

    def take(self, record: LogRecord) -> Sequence[str] | None:
        """Return the lines shown in place of a message; None to show it as Snakemake does."""

    def look(self) -> Sequence[str]:
        """Return lines that are to be shown now."""

    def progress(self) -> str:
        """Return the progress, a line that replaces the last one; empty if it is not known."""

    def end(self) -> Sequence[str]:
        """Return the last lines; the very last one goes to standard output."""


class LogHandler(LogHandlerBase):
    """Writes messages and the progress to the terminal."""

    def __post_init__(self) -> None:
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        self._screen: Screen = screen_of(stream)
        self._own = ColorizingTextHandler(nocolor=settings.nocolor, stream=stream)
        self._own.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
        self._shown = self._filter(set(settings.quiet or ()))
        self._monitor: Monitor | None = None
        self._guard = threading.RLock()
        self._has_ended = threading.Event()

    def _filter(self, quiet: set[Quietness]) -> DefaultFilter:
        settings = self.common_settings
        return DefaultFilter(
            quiet,
            settings.debug_dag,
            settings.verbose,
            settings.dryrun,
            settings.printshellcmds,
        )

    def watch(self, monitor: Monitor) -> bool:
        """Show the progress of a run from now on, as its monitor reports it.

        Returns false where messages stay as they are: in a dry run, with `--verbose`.
        """
        settings = self.common_settings
        if settings.dryrun or settings.verbose or settings.debug_dag:
            return False
        quiet = set(settings.quiet or ())
        with self._guard:
            self._monitor = monitor
            self._shown = self._filter(quiet | _OF_JOBS)
        if quiet.isdisjoint({Quietness.ALL, Quietness.PROGRESS}):
            threading.Thread(target=self._look_on, daemon=True).start()
        return True

    def emit(self, record: LogRecord) -> None:
        """Show a message; a terminal that is gone is no reason for the run to end."""
        with self._guard, suppress(OSError, ValueError):
            lines = self._ask(lambda monitor: monitor.take(record))
            if lines is not None:
                self._screen.write(lines)
            elif self._is_shown(record):
                with self._screen.cleared():
                    self._own.emit(record)

    def _ask(self, question: Callable[[Monitor], T]) -> T | None:
        """Return what the monitor answers; None without one.

        One that fails is not asked again, and messages are shown as Snakemake does: an error here
        would end the thread that shows them, and nothing more of the run would be seen.
        """
        if self._monitor is None:
            return None
        try:
            return question(self._monitor)
        except Exception as error:  # noqa: BLE001
            self._monitor = None
            self._shown = self._filter(set(self.common_settings.quiet or ()))
            self._screen.write([f"The progress cannot be shown: {type(error).__name__}: {error}"])
            return None

    def _is_shown(self, record: LogRecord) -> bool:
        if self._monitor is None or record.levelno > logging.INFO:
            # Whatever is quiet: without the reason of its end a run is of no use.
            return record.levelno >= logging.ERROR or self._shown.filter(record)
        return self._shown.filter(record) and not str(record.msg).startswith(_STEPS)

    def _look_on(self) -> None:
        while not self._has_ended.wait(_LOOK_S):
            with self._guard, suppress(OSError, ValueError):
                self._screen.write(self._ask(lambda monitor: monitor.look()) or ())
                self._screen.show(self._ask(lambda monitor: monitor.progress()) or "")

    def close(self) -> None:
        """Show the end of the run."""
        self._has_ended.set()
        with self._guard, suppress(OSError, ValueError):
            ending = self._ask(lambda monitor: monitor.end())
            self._monitor = None
            if ending:
                *lines, last = ending
                self._screen.write(lines)
                self._screen.close()
                if last:
                    sys.stdout.write(f"{last}\n")
                    sys.stdout.flush()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Return true: Snakemake installs no handler of its own for the terminal."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Return false: Snakemake's own log file stays."""
        return False

    @property
    def has_filter(self) -> bool:
        """Return true: errors are shown under any `--quiet`."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Return true: messages are formatted as Snakemake does, or by the monitor."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Return false: no graph is drawn."""
        return False
