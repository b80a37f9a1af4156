"""Resumption after a crash: ``perturb resume``, with Snakemake's arguments or without.

A killed Snakemake leaves its lock behind, and may leave running jobs, on this machine or on a
cluster. They do no harm to a run that starts beside them (results get their name when they are
complete, and carry their identity), but their work would be done twice. The command finds these
jobs, waits for them or cancels them, removes the lock, and becomes Snakemake. Without arguments of
Snakemake it uses those of the last run; with -n alone, it prints what these would run.
"""

import argparse
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from perturb.config.given import refuse_faulty_files
from perturb.runs.last_run import Run, last_run
from perturb.runs.orphans import (
    LocalJob,
    SlurmError,
    SlurmJob,
    asks_for_slurm,
    cancel,
    is_dry_run,
    local_jobs,
    missing_commands,
    slurm_jobs,
    snakemakes,
    uses_slurm,
)

logger = logging.getLogger(__name__)

_NUM_NAMED = 20
TELL_EVERY_S = 30
# Between two queries of SLURM's controller.
_SLURM_S = 10
_INTERRUPTED = 130


class BusyError(RuntimeError):
    """The workflow runs here, or may run on a host that cannot be checked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command; all others are passed to Snakemake."""
    parser.allow_abbrev = False
    parser.usage = "perturb resume [-h] [--cancel] [--host-is-down] [arguments of Snakemake ...]"
    parser.epilog = (
        "Without arguments of Snakemake: those of the last run in this folder. With -n alone:"
        " these, as a dry run, which waits for nothing and cancels nothing."
    )
    parser.add_argument(
        "--cancel",
        action="store_true",
        help="cancel the jobs that a killed run left behind, instead of waiting for them",
    )
    parser.add_argument(
        "--host-is-down",
        action="store_true",
        help="the last run's host is another one and known to be down: its Snakemake is dead",
    )
    parser.set_defaults(hands_on=True)


def run(arguments: argparse.Namespace) -> int:
    """Clear up after the last run, then become Snakemake; return the status of a refusal.

    `more` are the arguments for Snakemake.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folder = Path.cwd()
    try:
        last = last_run(folder)
        chosen = _chosen(arguments.more, last)
        refuse_faulty_files(chosen)
        if not is_dry_run(chosen):
            _refuse_without_slurm(chosen)
            clear_orphans(folder, chosen, last, arguments)
            _unlock(chosen)
        os.execv(sys.executable, _snakemake(chosen))
    except (BusyError, SlurmError, ValueError) as error:
        logger.error("%s", error)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _snakemake(arguments: Sequence[str]) -> list[str]:
    """Return the command line of a Snakemake."""
    return [sys.executable, "-m", "snakemake", *arguments]


def _chosen(more: Sequence[str], last: Run | None) -> list[str]:
    if not all(is_dry_run([word]) for word in more):
        return list(more)
    if last is None:
        raise ValueError("Nothing is known of a run here: give Snakemake's arguments, --cores 4")
    chosen = [*last.arguments, *more]
    logger.info("Going on with: %s", " ".join(chosen))
    _take_variables(last.variables)
    return chosen


def _take_variables(variables: Mapping[str, str]) -> None:
    """Set the site's variables of the last run, and print those that this environment changes."""
    for name, value in variables.items():
        if name not in os.environ:
            os.environ[name] = value
            logger.info("As in the last run: %s=%s", name, value)
        elif os.environ[name] != value:
            logger.info("Other than in the last run: %s=%s, not %s", name, os.environ[name], value)


def _unlock(arguments: Sequence[str]) -> None:
    """Remove the lock of a killed run."""
    if not any(Path(".snakemake/locks").glob("*")):
        return
    logger.info("Removing the lock of a run that was killed.")
    command = _snakemake([*arguments, "--unlock"])
    unlocked = subprocess.run(command, check=False, capture_output=True, text=True)
    if unlocked.returncode != 0:
        raise ValueError(unlocked.stderr.strip())


def _refuse_without_slurm(arguments: Sequence[str]) -> None:
    """Raise a SlurmError if jobs could not be submitted or orphans not be found."""
    missing = missing_commands()
    if asks_for_slurm(arguments) and missing:
        raise SlurmError(
            f"Jobs are to go to SLURM, but {' and '.join(missing)} cannot be found on PATH. "
            "Make SLURM's commands available first, at many sites by: module load slurm"
        )


def _refuse_beside_another(folder: Path, last: Run | None, *, host_is_down: bool) -> None:
    """Raise a BusyError if a Snakemake runs here, or may run on another host."""
    running = snakemakes(folder)
    if running:
        raise BusyError(
            f"A workflow is running in {folder} already (process {running[0].pid}"
            f" on {socket.gethostname()})."
        )
    is_locked = any((folder / ".snakemake" / "locks").glob("*"))
    is_elsewhere = last is not None and is_locked and last.host != socket.gethostname()
    if last is not None and is_elsewhere and not host_is_down:
        raise BusyError(
            f"The last run was started on {last.host} (process {last.pid}), has not come to an "
            f"end, and cannot be seen from here. Go on there; or, if {last.host} is down: "
            "perturb resume --host-is-down"
        )


def clear_orphans(
    folder: Path, arguments: Sequence[str], last: Run | None, options: argparse.Namespace
) -> None:
    """Wait until no job of an earlier run is running, or cancel them."""
    is_on_slurm = uses_slurm(folder, [*arguments, *(last.arguments if last else ())])
    if is_on_slurm and "squeue" in missing_commands():
        logger.warning("squeue is not installed here: jobs of earlier runs cannot be seen.")
        is_on_slurm = False

    def listed() -> list[SlurmJob | LocalJob]:
        found = [*(slurm_jobs(folder) if is_on_slurm else ()), *local_jobs(folder)]
        # Checked after each list: the jobs of a Snakemake that started meanwhile are no orphans,
        # and its lock is not stale.
        _refuse_beside_another(folder, last, host_is_down=options.host_is_down)
        return found

    orphans = listed()
    if not orphans:
        return
    logger.info("A killed run left jobs behind that go on:")
    for orphan in orphans[:_NUM_NAMED]:
        logger.info("  %s", orphan)
    if options.cancel:
        logger.info("Cancelling %s ...", _counted(orphans))
        cancel(orphans)
    else:
        logger.info("Waiting for %s ...", _counted(orphans))
        logger.info("To cancel them instead: Ctrl-C, then perturb resume --cancel")
    shown = time.monotonic()
    while orphans := listed():
        if time.monotonic() - shown > TELL_EVERY_S:
            shown = time.monotonic()
            logger.info("%s waiting for %s", time.strftime("%H:%M:%S"), _counted(orphans))
            if options.cancel:
                # They had time to end normally. Some never do: a Snakemake that receives a signal
                # at the moment when its own job has ended may wait for itself without end.
                cancel(orphans, signal.SIGKILL)
        time.sleep(_SLURM_S if is_on_slurm else 1)


def _counted(orphans: Sequence[SlurmJob | LocalJob]) -> str:
    num_slurm = sum(isinstance(orphan, SlurmJob) for orphan in orphans)
    kinds = {"SLURM jobs": num_slurm, "processes of this machine": len(orphans) - num_slurm}
    return " and ".join(f"{number} {kind}" for kind, number in kinds.items() if number)
