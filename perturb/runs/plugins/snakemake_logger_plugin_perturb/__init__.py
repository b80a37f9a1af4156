"""Snakemake's events of a run as lines of JSON, which `perturb.runs.events` reads.

Snakemake finds plugins by their package's name on Python's path; `perturb.runs.child` adds this
folder to it. Snakemake's own log is no substitute: its content depends on --quiet.
"""

import json
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

# Stored entries of each kind of event.
_KEPT = {
    "run_info": ("stats",),
    "progress": ("done", "total"),
    "job_error": ("jobid", "rule_name", "log"),
    "group_error": ("groupid",),
}
# Relevant messages without a kind.
_TELLING = ("Trying to restart job ", "SLURM run ID: ")


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options on Snakemake's command line."""

    file: str = field(
        default="", metadata={"help": "File that receives a line of JSON for each event."}
    )


class LogHandler(LogHandlerBase):
    """Appends the relevant events to a file."""

    def emit(self, record: LogRecord) -> None:
        """Append a record; a full disk must not end the run."""
        kept, path = told(record), getattr(self.settings, "file", "")
        if kept is None or not path:
            return
        try:
            with Path(path).open("a") as file:
                file.write(json.dumps(kept, default=str) + "\n")
        except OSError:
            self.handleError(record)

    @property
    def writes_to_stream(self) -> bool:
        """Return false: Snakemake keeps its own output."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """Return false: Snakemake does not name the file at the end."""
        return False

    @property
    def has_filter(self) -> bool:
        """Return true: the stored events do not depend on --quiet."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Return true: lines are JSON."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Return false: no graph is drawn."""
        return False


def told(record: LogRecord) -> dict[str, object] | None:
    """Return the stored part of a record, or None."""
    event = str(getattr(record, "event", None) or "")
    if event in _KEPT:
        return {"event": event, **{key: getattr(record, key, None) for key in _KEPT[event]}}
    message = str(record.msg)
    if message.startswith(_TELLING):
        return {"event": "message", "message": message}
    return None
