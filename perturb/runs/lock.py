"""A lock that allows one run in a folder at a time, also if two are started at the same moment.

The launcher holds an operating system's lock on a file until it ends; the kernel releases it when
the process ends in any way. The file records the last holder and its arguments, for a resumption
after a crash.

Limits: the lock of a folder on a network file system excludes launchers on the same host, and on
other hosts only if that file system shares locks (NFS does, Lustre with a mount option). A launcher
on another host that finds an unfinished run of this host refuses to start, because it cannot check
the process. A Snakemake that is started by hand does not take this lock: it records its start and
end here, and is found among the processes of its host.
"""

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

logger = logging.getLogger(__name__)

FOLDER = Path(".snakemake") / "perturb"
# Variables of a site that determine where a run's jobs go: slurm/README.md.
SITE = "PERTURB_SLURM_"


class BusyError(RuntimeError):
    """The workflow already runs here, or may run on a host that cannot be checked."""


@dataclass(frozen=True)
class Run:
    """The current or last run of the workflow in a folder.

    started : seconds since 1970.
    is_over : whether the launcher, or a Snakemake without one, recorded the end of the run.
    variables : the site's, from the environment; old records have none.
    """

    host: str
    pid: int
    started: float
    arguments: tuple[str, ...]
    is_over: bool
    variables: dict[str, str] = field(default_factory=dict)


class FolderLock:
    """The lock that this process holds; `last` is the run before this one, if any."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._run: Run | None = None
        self.last = _read(file)

    def record(self, arguments: Sequence[str]) -> None:
        """Record the new run of the workflow."""
        self._run = _run_of_this_process(arguments)
        _write(self._file, self._run)

    def record_end(self) -> None:
        """Record the end of the run, successful or not."""
        if self._run is not None:
            _write(self._file, replace(self._run, is_over=True))

    def take_back(self) -> None:
        """Restore the record of the run before this one, which never had a job."""
        self._run = None
        if self.last is None:
            os.truncate(self._file, 0)
        else:
            _write(self._file, self.last)


def last_run(folder: Path) -> Run | None:
    """Return the last run of the workflow in a folder, which may still run: no lock is checked."""
    try:
        return _parsed((folder / FOLDER / "lock").read_bytes())
    except OSError:
        return None


def record_bare_run(folder: Path, arguments: Sequence[str]) -> None:
    """Record that this Snakemake runs the workflow, unless its launcher did."""
    with _opened(folder) as file:
        last = _read(file)
        if last is None or last.is_over or not _is_process(last, os.getppid()):
            _write(file, _run_of_this_process(arguments))


def record_bare_end(folder: Path) -> None:
    """Record the end of this Snakemake's run, if `record_bare_run` recorded its start."""
    # No reason to fail: without this record only other hosts refuse to start, with an instruction.
    with suppress(OSError), _opened(folder) as file:
        last = _read(file)
        if last is not None and _is_process(last, os.getpid()):
            _write(file, replace(last, is_over=True))


@contextmanager
def folder_lock(folder: Path) -> Iterator[FolderLock]:
    """Hold the lock of a folder.

    Raises
    ------
    BusyError
        if another launcher holds it.
    """
    with _opened(folder) as file:
        _lock(file, folder)
        yield FolderLock(file)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    path = folder / FOLDER / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not truncated: it names the holder.
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield file
    finally:
        os.close(file)


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _read(file)
        who = f" (process {holder.pid} on {holder.host})" if holder else ""
        raise BusyError(f"A workflow is running in {folder} already{who}.") from None
    except OSError as error:
        # Some network file systems have no locks, and the study must run there too.
        logger.warning("%s cannot be locked (%s): start one run at a time.", folder, error.strerror)


def _read(file: int) -> Run | None:
    """Return the record in the file; nothing if it is truncated."""
    return _parsed(os.pread(file, 1_000_000, 0))


def _parsed(record: bytes) -> Run | None:
    try:
        told = json.loads(record.partition(b"\n")[0])
        return Run(**{**told, "arguments": tuple(told["arguments"])})
    except (ValueError, TypeError, KeyError):
        return None


def _write(file: int, run: Run) -> None:
    told = json.dumps(asdict(run)).encode() + b"\n"
    # Truncated last, so that the old record is not lost on a full disk.
    os.pwrite(file, told, 0)
    os.truncate(file, len(told))


def _run_of_this_process(arguments: Sequence[str]) -> Run:
    return Run(
        socket.gethostname(),
        os.getpid(),
        time.time(),
        tuple(arguments),
        is_over=False,
        variables={name: os.environ[name] for name in sorted(os.environ) if name.startswith(SITE)},
    )


def _is_process(run: Run, process: int) -> bool:
    return (run.host, run.pid) == (socket.gethostname(), process)
