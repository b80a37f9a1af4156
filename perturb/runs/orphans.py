"""Running processes of a folder: Snakemakes, and the jobs that a killed one left running.

A job on this machine is a Python process that runs a script of Snakemake's in this folder. A
job on SLURM is one of this user's whose working directory is this folder and whose name is the id
that Snakemake's executor gives to all jobs of a run; so it is found without any log, also if it was
submitted at the moment when Snakemake was killed.
"""

import getpass
import logging
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

logger = logging.getLogger(__name__)

_SCRIPTS = ".snakemake/scripts/"
# The executor's names of jobs: a UUID, which a prefix may precede.
_RUN_ID = re.compile(r"(?:[A-Za-z0-9_-]{1,50}_)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIMEOUT_S = 120
# Snakemake's options for the place of jobs, and for a dry run, also combined with others.
_CHOOSING = ("--profile", "--workflow-profile", "--executor", "-e")
_DRY = re.compile(r"--dry-?run|-[fFkp]*n[fFkpq]*")


class SlurmError(RuntimeError):
    """SLURM does not list its jobs."""


@dataclass(frozen=True)
class SlurmJob:
    """A job in the queue or on a node."""

    id: str
    state: str
    run: str
    comment: str

    def __str__(self) -> str:
        return f"SLURM job {self.id} ({self.state.lower()}): {self.comment}"


@dataclass(frozen=True)
class LocalJob:
    """A process of this machine."""

    process: psutil.Process
    name: str

    def __str__(self) -> str:
        return f"process {self.process.pid}: {self.name}"


def snakemakes(folder: Path) -> list[psutil.Process]:
    """Return the Snakemakes that run a workflow in a folder, without those of jobs and dry runs."""
    return [
        process
        for process, command in _commands(folder)
        if is_snakemake(command) and not _is_inside_job(command) and not is_dry_run(command)
    ]


def local_jobs(folder: Path) -> list[LocalJob]:
    """Return the processes in a folder that are jobs or submit jobs."""
    jobs = []
    for process, command in _commands(folder):
        program = _program(command)
        if _SCRIPTS in program:
            # A copy of the script whose name begins with random letters.
            jobs.append(LocalJob(process, program.rpartition("/")[2].partition(".")[2]))
        elif is_snakemake(command) and _is_inside_job(command):
            jobs.append(LocalJob(process, "a job's own Snakemake"))
        elif command and Path(command[0]).name == "sbatch":
            jobs.append(LocalJob(process, "sbatch"))
    return jobs


def slurm_jobs(folder: Path) -> list[SlurmJob]:
    """Return this user's unfinished SLURM jobs of a workflow in a folder.

    Raises
    ------
    SlurmError
        if `squeue` fails.
    """
    # The working directory comes last: it may hold any character.
    shown = ("--noheader", "--array", "--format", "%i|%T|%j|%k|%Z")
    jobs = []
    for line in _slurm("squeue", *shown, "--user", getpass.getuser()).splitlines():
        id, state, run, comment, place = line.split("|", 4)
        if _RUN_ID.fullmatch(run) and _is_same(Path(place), folder):
            jobs.append(SlurmJob(id, state, run, comment))
    return jobs


def cancel(jobs: Sequence[SlurmJob | LocalJob], number: signal.Signals = signal.SIGTERM) -> None:
    """Request the end of jobs, on this machine by a signal; they take a while to end."""
    ids = [job.id for job in jobs if isinstance(job, SlurmJob)]
    for start in range(0, len(ids), 500):  # the length of a command line is limited
        _slurm("scancel", *ids[start : start + 500])
    for job in jobs:
        if isinstance(job, LocalJob):
            with suppress(psutil.NoSuchProcess):
                job.process.send_signal(number)


def uses_slurm(folder: Path, arguments: Sequence[str]) -> bool:
    """Return whether a run with these arguments, or one of the last in the folder, used SLURM."""
    if any("slurm" in argument for argument in arguments):
        return True
    logs = sorted((folder / ".snakemake" / "log").glob("*.snakemake.log"))
    return any(_names_slurm_run(log) for log in logs[-50:])


def asks_for_slurm(arguments: Sequence[str]) -> bool:
    """Return whether a run with these arguments would submit jobs: by its profile or executor."""
    words = [part for argument in arguments for part in argument.split("=", 1)]
    return any(option in _CHOOSING and "slurm" in value for option, value in pairwise(words))


def missing_commands() -> list[str]:
    """Return the SLURM commands that a run needs and that are not on PATH."""
    return [name for name in ("squeue", "sbatch") if shutil.which(name) is None]


def _names_slurm_run(log: Path) -> bool:
    with log.open(errors="replace") as file:
        return "SLURM run ID: " in file.read(1 << 16)


def _slurm(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
        ).stdout
    except subprocess.CalledProcessError as error:
        raise SlurmError(f"{command[0]} failed: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmError(f"{command[0]} failed: {error}") from error


def _commands(folder: Path) -> Iterator[tuple[psutil.Process, list[str]]]:
    """Yield the other processes in a folder with their command lines."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            if process.pid not in ours and Path(process.cwd()) == folder:
                yield process, process.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue  # ended meanwhile, or of another user


def is_dry_run(arguments: Sequence[str]) -> bool:
    """Return whether these arguments ask Snakemake for a dry run."""
    return any(map(_DRY.fullmatch, arguments))


def is_snakemake(command: Sequence[str]) -> bool:
    """Return whether a command line runs Snakemake, and does not only name it."""
    return Path(_program(command)).name == "snakemake"


def _is_inside_job(command: Sequence[str]) -> bool:
    """Return whether a command line is a Snakemake that another one started for a job."""
    return any(option == "--mode" and mode != "default" for option, mode in pairwise(command))


def _program(command: Sequence[str]) -> str:
    """Return the script or module of a Python command line."""
    if not command or "python" not in Path(command[0]).name:
        return ""
    words = iter(command[1:])
    for word in words:
        if word == "-m":
            return next(words, "")
        if word in ("-W", "-X", "-c"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _is_same(place: Path, folder: Path) -> bool:
    try:
        return place.resolve() == folder.resolve()
    except OSError:  # a folder that this host cannot read
        return False
