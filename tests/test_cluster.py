"""The workflow on a real SLURM: what clusters do to long runs.

The study is as small as one can be: a job here costs seconds before it does any work. The whole of
the smoke configuration is run on a cluster in test_smoke.py.
"""

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.cluster import COMMANDS, NODES, Cluster, wait_until
from tests.cluster_runs import PATIENCE, Run, Start, starting
from tests.faults import complete, fault_study, launch
from tests.workspace import Workspace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(sys.platform != "linux", reason="SLURM runs on Linux alone"),
]

SHARD = "results/shards/a/test/none/0.parquet"
RECEIPT = "results/receipts/a/all.json"
INVENTORY = "results/inventory/benchmarks.parquet"


@pytest.fixture(scope="module")
def start(cluster: Cluster) -> Iterator[Start]:
    with starting(cluster) as start:
        yield start


@pytest.fixture(scope="module")
def overdue(
    start: Start, cluster: Cluster, finished: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Run]:
    """Start a job that may take a minute and never ends; others run while the minute passes."""
    workspace = _without_shard(finished, tmp_path_factory.mktemp("overdue") / "copy")
    run = start(workspace, RECEIPT, asked="evaluate:runtime=attempt")
    job = run.wait_for("evaluate", "RUNNING")["id"]
    wait_until(lambda: cluster.num_tasks(job) == 2, 60, run.told)
    cluster.command("scancel", "--signal=STOP", f"{job}.0")
    return workspace, run


@pytest.fixture(scope="module")
def starved(
    start: Start, finished: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Run]:
    """Start a job that at first may take less memory than Python does, and then plenty."""
    workspace = _without_shard(finished, tmp_path_factory.mktemp("starved") / "copy")
    asked = "evaluate:mem_mb=60 + 4000 * (attempt - 1)"
    return workspace, start(workspace, RECEIPT, asked=asked)


@pytest.fixture(scope="module")
def blind(start: Start, finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Start jobs that ask for GPUs, which are none to torch: as where a driver is broken."""
    workspace = finished.copy(tmp_path_factory.mktemp("blind") / "copy")
    workspace.configure(fault_study() | {"device": "cuda"})
    cards = [f"results/checkpoints/{model}/card.json" for model in ("a", "reference")]
    return start(workspace, *cards, PERTURB_SLURM_RETRIES="0", SBATCH_GPUS="0")


def _without_shard(finished: Workspace, folder: Path) -> Workspace:
    """Return a copy of a finished workspace that lacks model a's shard and what is made of it."""
    workspace = finished.copy(folder)
    (workspace.folder / SHARD).unlink()
    shutil.rmtree(workspace.folder / "results" / "tables")
    (workspace.folder / INVENTORY).unlink()
    return workspace


def _rows(workspace: Workspace) -> Any:
    return pq.read_table(workspace.folder / SHARD)


def test_jobs_without_the_gpu_that_they_asked_for_fail_at_once(
    overdue: object, starved: object, blind: Run
) -> None:
    del overdue, starved  # they take their time meanwhile
    run = blind
    assert run.end() == 1
    jobs = run.jobs("train_model")
    assert [job["state"] for job in jobs.values()] == ["FAILED", "FAILED"]
    assert run.told().count("device 'cuda' was asked for") >= 2, run.told()
    assert run.told().count("sees 0 GPUs on node") >= 2
    # One GPU at a time is what one machine has: here the jobs need not wait for one another.
    seen = run.cluster.gpu_uses()
    one, two = (seen[id] for id in jobs)
    assert len(one.gpus) == len(two.gpus) == 1
    assert not one.overlaps(two)
    assert run.submitted_before_any_end()


def test_a_job_killed_for_memory_gets_more(
    starved: tuple[Workspace, Run], finished: Workspace
) -> None:
    workspace, run = starved
    assert run.end() == 0, run.told()
    states = Counter(job["state"] for job in run.jobs().values())
    assert states["COMPLETED"] == 1
    assert states.total() == 2
    assert "memory limit" in run.told()
    assert _rows(workspace) == _rows(finished)


def test_a_job_over_its_time_limit_gets_more(
    overdue: tuple[Workspace, Run], finished: Workspace
) -> None:
    workspace, run = overdue
    assert run.end() == 0, run.told()
    states = [job["state"] for job in run.jobs().values()]
    assert sorted(states) == ["COMPLETED", "TIMEOUT"]
    assert _rows(workspace) == _rows(finished)


def test_jobs_of_a_node_set_down_go_on_elsewhere(
    start: Start, cluster: Cluster, finished: Workspace, tmp_path: Path
) -> None:
    # After the tests above: what they started in common is not to be on that node.
    workspace = _without_shard(finished, tmp_path / "copy")
    run = start(workspace, RECEIPT)
    job = run.wait_for("evaluate", "RUNNING")
    cluster.command("scontrol", "update", f"nodename={job['node']}", "state=down", "reason=test")
    try:
        cluster.start_again_at_once(job["id"])
        assert run.end() == 0, run.told()
    finally:
        cluster.command("scontrol", "update", f"nodename={job['node']}", "state=resume")
    [again] = run.jobs().values()
    assert again["state"] == "COMPLETED"
    assert {again["node"], job["node"]} == set(NODES)
    assert _rows(workspace) == _rows(finished)


# tests/test_resume_slurm.py has kills that the command clears up after.
@pytest.mark.exhaustive
def test_a_killed_run_is_resumed_and_ends_in_the_same_tables(
    start: Start, finished: Workspace, tmp_path: Path
) -> None:
    """Kill Snakemake alone, while jobs run, and when they have ended unseen.

    Gone on with by hand, then by the command that knows how: it was told nothing of these runs.
    """
    workspace = _without_shard(finished, tmp_path / "copy")
    workspace.told("--cleanup-metadata", RECEIPT)
    _kill_at(start(workspace, INVENTORY), "evaluate", "RUNNING")
    assert any(workspace.folder.glob(".snakemake/locks/*"))
    workspace.told("--unlock")
    # What was done without Snakemake is there, and says itself what it was made from.
    assert "Nothing to be done" in workspace.told("--dry-run", RECEIPT)
    _kill_at(start(workspace, INVENTORY), "check_shards", "COMPLETED")
    resumed = start(workspace, command=[sys.executable, "-m", "perturb", "resume"])
    assert resumed.end() == 0, resumed.told()
    assert f"Going on with: {INVENTORY} --profile slurm --configfile" in resumed.told()
    complete(workspace, finished)
    assert "Nothing to be done" in launch(workspace)


def _kill_at(run: Run, rule: str, state: str) -> None:
    """Kill a run when a job is in a state; wait for those that go on without it."""
    run.wait_for(rule, state)
    run.kill()
    goes_on = {"PENDING", "RUNNING", "COMPLETING"}
    wait_until(
        lambda: goes_on.isdisjoint(job["state"] for job in run.jobs().values()), PATIENCE, run.told
    )


def test_every_command_of_the_cluster_is_its_own(cluster: Cluster) -> None:
    for name in COMMANDS:
        found = shutil.which(name, path=cluster.environment()["PATH"])
        assert found == str(cluster.folder / "bin" / name)
