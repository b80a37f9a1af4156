"""Start the workflow, also after a run that was killed: ``python -m perturb.launch --cores 4``.

A Snakemake that is killed leaves its lock behind, and may leave jobs that go on without it. The
next run would be refused because of the first and repeat the second. So this waits for jobs that
still run in this folder, refuses to start beside a Snakemake that does, removes a stale lock, and
hands over; all arguments are Snakemake's own.
"""

import logging
import subprocess
import sys
import time
from pathlib import Path

import psutil

logger = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Run Snakemake with these arguments; return its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folder = Path.cwd()
    running = _working_in(folder, "snakemake")
    if running:
        process = running[0]
        logger.error("A workflow is running in %s already (process %d).", folder, process.pid)
        return 1
    orphans = _working_in(folder, ".snakemake/scripts/")
    if orphans:
        logger.info("Waiting for %d jobs that a killed run left behind ...", len(orphans))
        while _working_in(folder, ".snakemake/scripts/"):
            time.sleep(1)
    snakemake = [sys.executable, "-m", "snakemake"]
    if any(Path(".snakemake/locks").glob("*")):
        logger.info("Removing the lock of a run that was killed.")
        subprocess.run([*snakemake, "--unlock", *arguments], check=True, capture_output=True)
    return subprocess.run([*snakemake, *arguments], check=False).returncode


def _working_in(folder: Path, program: str) -> list[psutil.Process]:
    """Return the other processes of Python that run a program or script in a folder."""
    ours = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            is_here = process.pid not in ours and Path(process.cwd()) == folder
            if is_here and _runs(process.cmdline(), program):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue  # ended meanwhile, or another user's
    return found


def _runs(command: list[str], program: str) -> bool:
    """Tell whether a command line is Python running this program, not one that only names it."""
    if not command or "python" not in Path(command[0]).name:
        return False
    if "/" in program:
        return any(program in argument for argument in command[1:2])
    return any(Path(argument).name == program for argument in command[1:3])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
