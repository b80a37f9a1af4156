"""The study that faults are done to, the processes of its run, and how they are killed."""

import copy
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from tests.tiny_study import TINY_STUDY
from tests.workspace import CONFIG, Workspace, environment, fresh_clone, told_by

TABLES = ("accuracy", "claims", "corruption_error", "models")
NUM_CELLS = 4
_SCRIPTS = ".snakemake/scripts/"


def fault_study() -> dict[str, Any]:
    """Return the smallest study with a model, a reference and corruptions: 4 cells, 2 jobs."""
    study = copy.deepcopy(TINY_STUDY)
    del study["datasets"]["second"], study["models"]["b"]
    none, corruptions = study["perturbations"]["none"], study["perturbations"]["corruptions"]
    corruptions |= {"severities": [1], "corruptions": ["contrast"]}
    study["training"]["samples"] = study["pretraining"]["small"]["samples"] = 64
    return study | {"jobs_by": "model", "perturbations": {"none": none, "corruptions": corruptions}}


def new_workspace(folder: Path) -> Workspace:
    """Return a fresh clone with the study."""
    folder.mkdir(parents=True, exist_ok=True)
    workspace = fresh_clone(folder)
    workspace.configure(fault_study())
    return workspace


def command(*arguments: str, ways: Sequence[str] = ("snakemake",)) -> list[str]:
    """Return the command line of a run up to some tables."""
    targets = [f"results/tables/{table}.parquet" for table in TABLES]
    cores = ["--cores", "2", "--nocolor", "--configfile", CONFIG]
    return [sys.executable, "-m", *ways, *targets, *cores, *arguments]


def start(workspace: Workspace, way: str = "unlock") -> subprocess.Popen[str]:
    """Start a run in a session of its own; its output goes to `told.txt`.

    Parameters
    ----------
    way : after a killed run, `unlock` as Snakemake's message says, or `resume` by our command.
    """
    if way == "unlock":
        unlock(workspace)
    ways = ("perturb", "resume") if way == "resume" else ("snakemake",)
    with (workspace.folder / "told.txt").open("a") as told:
        return subprocess.Popen(
            command(ways=ways),
            cwd=workspace.folder,
            stdout=told,
            stderr=told,
            text=True,
            env=environment(),
            start_new_session=True,
        )


def unlock(workspace: Workspace) -> None:
    """Remove the lock of a killed run, if it left one."""
    if any((workspace.folder / ".snakemake" / "locks").glob("*")):
        told_by(command("--unlock"), workspace.folder)


def launch(workspace: Workspace, status: int = 0) -> str:
    """Run to the end, which is to come with this exit status; return the output."""
    unlock(workspace)
    return told_by(command(), workspace.folder, status=status)


def complete(workspace: Workspace, finished: Workspace) -> str:
    """Run to the end, and check the tables with `assert_same`; return the output."""
    told = launch(workspace)
    assert_same(workspace, finished)
    return told


def without(workspace: Workspace, *folders: str) -> Workspace:
    """Return a finished workspace less some folders of its results, and less its tables."""
    for folder in (*folders, "tables"):
        shutil.rmtree(workspace.folder / "results" / folder)
    return workspace


def assert_same(workspace: Workspace, finished: Workspace) -> None:
    """Check that tables are those of an undisturbed run, and made of each cell once."""
    assert workspace.tables() == finished.tables()
    results = workspace.folder / "results"
    inventories = sorted((results / "inventory").glob("*.parquet"))
    listed = [path for file in inventories for path in pq.read_table(file)["path"].to_pylist()]
    found = {str(path.relative_to(workspace.folder)) for path in results.glob("shards/*/*/*/*")}
    assert len(listed) == NUM_CELLS
    assert set(listed) == found
    assert not [*results.rglob(".*.tmp")]


def jobs(run: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """Return the processes of a run that are jobs, by the names of their scripts."""
    return {
        line[1].rpartition("/")[2].split(".")[1]: process
        for process, line in _family(run)
        if len(line) > 1 and _SCRIPTS in line[1]
    }


def wait_until(holds: Callable[[], object], run: subprocess.Popen[str]) -> bool:
    """Wait for something in a run; return whether it came before the run's end."""
    while run.poll() is None:
        if holds():
            return True
        time.sleep(0.05)
    return False


def kill(run: subprocess.Popen[str], kind: str) -> set[str]:
    """Kill processes of a run as SIGKILL does; return the jobs that were at work.

    Parameters
    ----------
    kind : `all` of them, as a machine that goes down; `Snakemake` alone, whose jobs go on.
    """
    at_work = set(jobs(run))
    run.kill()
    run.wait(timeout=60)
    while kind == "all" and (left := _of_session(run.pid)):
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    return at_work


def _family(run: subprocess.Popen[str]) -> list[tuple[psutil.Process, list[str]]]:
    family = []
    # One may end meanwhile: the others are seen the next time.
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(run.pid).children(recursive=True):
            family.append((process, process.cmdline()))
    return family


def _of_session(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
