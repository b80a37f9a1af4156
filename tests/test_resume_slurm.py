"""What SLURM does to a long run, on a workflow of three jobs that sleep.

The jobs that a killed run left are waited for, or cancelled; those that lost their place return.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import Cluster, wait_until
from tests.workspace import ROOT

pytestmark = pytest.mark.slurm

# What is done twice is seen: each job adds a line.
SNAKEFILE = """
onstart:
    from pathlib import Path
    from perturb.runs.last_run import record_run
    record_run(Path.cwd())
rule all:
    input: expand("out/{n}.txt", n=range(3))
rule work:
    output: "out/{n}.txt"
    resources: mem_mb=1500, runtime=5
    shell: "echo {wildcards.n} >> begun.txt; sleep $(cat seconds.txt); touch {output}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a workflow of three jobs and the profile."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "seconds.txt").write_text("20")
    shutil.copytree(ROOT / "slurm", tmp_path / "slurm")
    return tmp_path


def _start(cluster: Cluster, folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=cluster.environment() | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _running(cluster: Cluster, folder: Path) -> set[str]:
    """Return the numbers of the jobs in a folder that run."""
    told = cluster.command("squeue", "--noheader", "--states", "running", "-o", "%i|%Z")
    rows = (line.split("|") for line in told.splitlines())
    return {number for number, place in rows if place == str(folder)}


def _begun(folder: Path) -> list[str]:
    """Return which jobs have begun, as often as they have."""
    begun = folder / "begun.txt"
    return begun.read_text().split() if begun.exists() else []


@pytest.mark.parametrize("cancels", [pytest.param(False, marks=pytest.mark.exhaustive), True])
def test_jobs_of_a_killed_run_are_not_done_beside_it(
    cluster: Cluster, folder: Path, cancels: bool
) -> None:
    killed = _start(cluster, folder, "snakemake", "--profile", "slurm")
    wait_until(lambda: len(_begun(folder)) == 3, 90)
    orphans = _running(cluster, folder)
    killed.kill()
    killed.communicate()
    option = ["--cancel"] if cancels else []
    resumed = _start(cluster, folder, "perturb", "resume", *option)
    _, told = resumed.communicate(timeout=180)
    assert resumed.returncode == 0, told
    assert "Going on with: --profile slurm" in told
    for number in orphans:
        assert f"SLURM job {number} (running): rule_work" in told
    states = {number: cluster.jobs()[number]["state"] for number in orphans}
    assert set(states.values()) == {"CANCELLED" if cancels else "COMPLETED"}
    assert sorted(_begun(folder)) == sorted([*"012"] * (2 if cancels else 1))
    assert len(list(folder.glob("out/*.txt"))) == 3


def test_preempted_jobs_return_to_the_queue(cluster: Cluster, folder: Path) -> None:
    """No attempt is lost: with none to lose, the run still ends well."""
    (folder / "seconds.txt").write_text("300")  # none ends before it loses its place
    run = _start(cluster, folder, "snakemake", "--profile", "slurm", "--retries", "0")
    wait_until(lambda: len(_begun(folder)) == 3, 240)
    jobs = _running(cluster, folder)
    assert len(jobs) == 3
    (folder / "seconds.txt").write_text("1")
    # Whoever may go first takes both nodes, for a moment.
    urgent = ["--partition=urgent", "--nodes=2", "--exclusive", "--wrap=sleep 1"]
    cluster.command("sbatch", "--output=/dev/null", *urgent)
    try:
        for job in jobs:
            cluster.start_again_at_once(job)
        _, told = run.communicate(timeout=240)
    finally:
        run.kill()
    assert run.returncode == 0, told
    assert {cluster.jobs()[job]["state"] for job in jobs} == {"COMPLETED"}
    assert sorted(_begun(folder)) == sorted([*"012"] * 2)
    assert told.count("has been submitted") == 3
