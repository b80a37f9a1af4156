"""The log of a job: its identity, its messages and, if it fails, the reason."""

import logging
import os
import platform
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import psutil

# Names of a job's facts that stand first, in this order.
_FACTS = ("model", "source", "dataset", "store")
_WARNING = "WARNING: "
#: Set in the environment of jobs whose warnings the run itself shows, from their logs.
MONITORED = "PERTURB_MONITORED"
# Of a log, enough for its last lines [bytes].
_TAIL = 4096
_TRACEBACK = "Traceback (most recent call last):\n"


def log_to(path: str, job: Any = None) -> None:
    """Send the process's log messages, warnings and tracebacks to a file, line by line.

    Logged warnings also go to the terminal at once; where the run is monitored, it shows them.

    Parameters
    ----------
    job : the script's `snakemake`, if the log is to begin with the facts about the job.
    """
    sys.stderr = Path(path).open("w", buffering=1)  # noqa: SIM115 - open until the process ends
    sys.excepthook = _tell
    if job is not None:
        sys.stderr.write(log_header(job) + "\n")
    handlers = [_handler(sys.stderr, "%(asctime)s %(mark)s%(message)s", logging.INFO)]
    if sys.__stderr__ is not None and MONITORED not in os.environ:
        handlers.append(_handler(sys.__stderr__, "%(mark)s%(message)s", logging.WARNING))
    logging.basicConfig(level=logging.INFO, handlers=handlers)


def _handler(stream: TextIO, line: str, level: int) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(line, "%H:%M:%S"))
    handler.addFilter(_mark)
    return handler


def _mark(record: logging.LogRecord) -> bool:
    """Mark warnings for `warnings_in`; let every record pass."""
    record.mark = _WARNING if record.levelno >= logging.WARNING else ""
    return True


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write a traceback to the log, or to the terminal if the disk is full."""
    told = "".join(traceback.format_exception(kind, error, trace))
    try:
        sys.stderr.write(told)
        sys.stderr.flush()
    except OSError:
        if sys.__stderr__ is not None:
            sys.__stderr__.write(told)


def warnings_in(path: Path) -> list[str]:
    """Return the warnings in a job's log, in their order."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    return [found[1] for found in re.finditer(rf"^[\d:]{{8}} ({_WARNING}.*)$", text, re.MULTILINE)]


def progress_in(path: Path) -> str | None:
    """Return the last line of a job's log that says how far it is, `N of M`; None without one."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    found = (re.fullmatch(r"[\d:]{8} (.*\d of [\d,]+\b.*)", line) for line in reversed(lines))
    return next((match[1] for match in found if match), None)


def reason_in(path: Path) -> str | None:
    """Return why a job failed: the last error of its log, without its traceback; None without one.

    In the log that SLURM keeps of a job that it killed, that is the first error of SLURM itself.
    """
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return None
    _, start, rest = text.rpartition(_TRACEBACK)
    lines = rest.splitlines()
    while lines and lines[0].startswith(" "):
        del lines[0]
    if not start:
        lines = re.findall(r"^slurmstepd\S*: error: (.*)$", text, re.MULTILINE)[:1]
    return "\n".join(lines).strip() or None


def log_header(job: Any) -> str:
    """Return the facts about a job, one per line: rule, model, device, host, attempt.

    Parameters
    ----------
    job : the script's `snakemake`: its `rule`, `wildcards` and `params` are used.
    """
    facts: list[tuple[str, str]] = [("rule", str(job.rule))]
    wildcards, params = dict(job.wildcards.items()), dict(job.params.items())
    facts += [(name, str(wildcards[name])) for name in _FACTS if name in wildcards]
    facts += [("device", _device(params)), ("host", f"{platform.node()}, process {os.getpid()}")]
    facts += _of_cluster()
    facts.append(("begun", datetime.now().astimezone().isoformat(timespec="seconds")))
    return "\n".join(f"{label:<10}{value}" for label, value in facts) + "\n"


def _device(params: Mapping[str, Any]) -> str:
    """Return the requested device, and the one that the job finds."""
    tasks = [params, *(value for value in params.values() if isinstance(value, Mapping))]
    asked = next((str(task["device"]) for task in tasks if "device" in task), "cpu")
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return asked if seen is None else f"{asked} (CUDA_VISIBLE_DEVICES={seen})"


def _of_cluster() -> list[tuple[str, str]]:
    """Return the number of the SLURM job of this process, and its attempt.

    Snakemake removes SLURM's variables from the environment of scripts and does not pass the
    attempt; both are read from the environment and arguments of the parent processes.
    """
    facts: dict[str, str] = {}
    for process in [psutil.Process(), *psutil.Process().parents()]:
        try:
            environment, command = process.environ(), process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            break
        if "SLURM_JOB_ID" in environment:
            facts.setdefault("SLURM job", environment["SLURM_JOB_ID"])
        if "--attempt" in command[:-1]:
            facts.setdefault("attempt", command[command.index("--attempt") + 1])
    return list(facts.items())
