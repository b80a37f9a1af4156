"""Start the workflow, also after a run that was killed: ``python -m perturb.launch --cores 4``.

A killed Snakemake leaves its lock behind, and may leave running jobs, on this machine or on a
cluster. The lock would stop the next run, and the next run would repeat the jobs. Therefore the
launcher refuses to start while another Snakemake runs in the folder, waits for jobs that still run
(or cancels them), removes a stale lock, and starts Snakemake; all arguments are Snakemake's own.
While Snakemake runs, the progress is shown and written to a file: see `perturb.runs.progress`. A
dry run only starts Snakemake: it waits for nothing, changes nothing and is not recorded.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perturb.config.given import refuse_faulty_files
from perturb.runs.child import exit_status, run_watched, snakemake
from perturb.runs.lock import BusyError, FolderLock, Run, folder_lock, last_run
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

NUM_NAMED = 20
TELL_EVERY_S = 30
# Between two queries of SLURM's controller.
_SLURM_S = 10
INTERRUPTED = 130


@dataclass(frozen=True)
class LaunchOptions:
    """Options for the jobs and the lock of a killed run.

    cancels : cancel its jobs instead of waiting for them.
    host_is_down : the host of the last run is known to be down, so that its Snakemake is dead.
    added : arguments that follow those of the last run, if these are used.
    """

    cancels: bool = False
    host_is_down: bool = False
    added: tuple[str, ...] = ()


def main(arguments: list[str]) -> int:
    """Run Snakemake with these arguments; return its exit status."""
    return launch(arguments, LaunchOptions())


def launch(arguments: Sequence[str] | None, options: LaunchOptions) -> int:
    """Run Snakemake with these arguments, those of the last run for None; return its status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folder = Path.cwd()
    try:
        if is_dry_run(options.added if arguments is None else arguments):
            return _tell_plan(_chosen(arguments, last_run(folder), options))
        with folder_lock(folder) as lock:
            chosen = _chosen(arguments, lock.last, options)
            refuse_faulty_files(chosen)
            _refuse_without_slurm(chosen)
            _refuse_beside_another(folder, lock.last, options)
            _clear_orphans(folder, chosen, lock.last, options)
            return _run(chosen, lock)
    except (BusyError, SlurmError, ValueError) as error:
        logger.error("%s", error)
        return 1
    except OSError as error:  # such as a full disk
        logger.error("%s cannot be written to: %s", folder, error)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _tell_plan(arguments: Sequence[str]) -> int:
    """Run Snakemake as a dry run, also while another runs here."""
    refuse_faulty_files(arguments)
    return exit_status(subprocess.run(snakemake(arguments), check=False).returncode)


def _chosen(arguments: Sequence[str] | None, last: Run | None, options: LaunchOptions) -> list[str]:
    if arguments is not None:
        return list(arguments)
    if last is None:
        raise ValueError("Nothing is known of a run here: give Snakemake's arguments, --cores 4")
    chosen = [*last.arguments, *options.added]
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


def _run(arguments: list[str], lock: FolderLock) -> int:
    if any(Path(".snakemake/locks").glob("*")):
        logger.info("Removing the lock of a run that was killed.")
        unlocked = subprocess.run(
            snakemake([*arguments, "--unlock"]), check=False, capture_output=True, text=True
        )
        if unlocked.returncode != 0:
            logger.error("%s", unlocked.stderr.strip())
            return unlocked.returncode
    lock.record(arguments)
    ended = run_watched(arguments)
    if ended.status != 0 and not ended.had_jobs:
        lock.take_back()  # arguments that Snakemake rejects: `resume` uses those of the run before
    else:
        lock.record_end()
    return ended.status


def _refuse_without_slurm(arguments: Sequence[str]) -> None:
    """Raise a SlurmError if jobs could not be submitted or orphans not be found."""
    missing = missing_commands()
    if asks_for_slurm(arguments) and missing:
        raise SlurmError(
            f"Jobs are to go to SLURM, but {' and '.join(missing)} cannot be found on PATH. "
            "Make SLURM's commands available first, at many sites by: module load slurm"
        )


def _refuse_beside_another(folder: Path, last: Run | None, options: LaunchOptions) -> None:
    """Raise a BusyError if a Snakemake runs here, or may run on another host."""
    running = snakemakes(folder)
    if running:
        raise BusyError(
            f"A workflow is running in {folder} already (process {running[0].pid}"
            f" on {socket.gethostname()})."
        )
    is_elsewhere = last is not None and not last.is_over and last.host != socket.gethostname()
    if last is not None and is_elsewhere and not options.host_is_down:
        raise BusyError(
            f"The last run was started on {last.host} (process {last.pid}), has not come to an "
            f"end, and cannot be seen from here. Go on there; or, if {last.host} is down: "
            "python -m perturb resume --host-is-down"
        )


def _clear_orphans(
    folder: Path, arguments: Sequence[str], last: Run | None, options: LaunchOptions
) -> None:
    """Wait until no job of an earlier run is running, or cancel them."""
    is_on_slurm = uses_slurm(folder, [*arguments, *(last.arguments if last else ())])
    if is_on_slurm and "squeue" in missing_commands():
        logger.warning("squeue is not installed here: jobs of earlier runs cannot be seen.")
        is_on_slurm = False

    def listed() -> list[SlurmJob | LocalJob]:
        found = [*(slurm_jobs(folder) if is_on_slurm else ()), *local_jobs(folder)]
        # Checked after each list: a Snakemake that started meanwhile ignores our lock, its jobs are
        # no orphans, and its own lock is not stale.
        _refuse_beside_another(folder, last, options)
        return found

    orphans = listed()
    if not orphans:
        return
    logger.info("A killed run left jobs behind that go on:")
    for orphan in orphans[:NUM_NAMED]:
        logger.info("  %s", orphan)
    if options.cancels:
        logger.info("Cancelling %s ...", _counted(orphans))
        cancel(orphans)
    else:
        logger.info("Waiting for %s ...", _counted(orphans))
        logger.info("To cancel them instead: Ctrl-C, then python -m perturb resume --cancel")
    told = time.monotonic()
    while orphans := listed():
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            logger.info("%s waiting for %s", time.strftime("%H:%M:%S"), _counted(orphans))
            if options.cancels:
                # They had time to end normally. Some never do: a Snakemake that receives a signal
                # at the moment when its own job has ended may wait for itself without end.
                cancel(orphans, signal.SIGKILL)
        time.sleep(_SLURM_S if is_on_slurm else 1)


def _counted(orphans: Sequence[SlurmJob | LocalJob]) -> str:
    num_slurm = sum(isinstance(orphan, SlurmJob) for orphan in orphans)
    kinds = {"SLURM jobs": num_slurm, "processes of this machine": len(orphans) - num_slurm}
    return " and ".join(f"{number} {kind}" for kind, number in kinds.items() if number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
