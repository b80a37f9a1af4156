"""The workflow on a real SLURM: the command as users write it, and what clusters do to long runs.

The study is as small as one can be: a job here costs seconds before it does any work.
"""

import copy
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.cluster import COMMANDS, NODES, Cluster, running_cluster, wait_until
from tests.cluster_runs import PATIENCE, Run
from tests.conftest import TINY_STUDY
from tests.workspace import CONFIG, Workspace, fresh_clone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(sys.platform != "linux", reason="SLURM runs on Linux alone"),
]

# As a user writes it, from the root of a fresh clone.
COMMAND = ["--profile", "slurm", "--configfile", CONFIG]
SHARD = "results/shards/a/test/none/0.parquet"
INVENTORY = "results/inventory.parquet"


def _study() -> dict[str, Any]:
    """Return the smallest study in which two models are trained and evaluated side by side."""
    study = copy.deepcopy(TINY_STUDY)
    del study["perturbations"]["corruptions"]
    del study["models"]["reference"]
    del study["datasets"]["second"]
    return study


Start = Callable[..., Run]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def start(cluster: Cluster) -> Iterator[Start]:
    """Return what starts runs on the cluster; all of them have ended when the tests have."""
    runs = []

    def start_run(workspace: Workspace, *targets: str, asked: str = "", **variables: str) -> Run:
        log = workspace.folder.with_name(f"{workspace.folder.name}-{len(runs)}.log")
        with log.open("w") as file:
            process = subprocess.Popen(
                ["snakemake", *targets, *COMMAND, *(("--set-resources", asked) if asked else ())],
                cwd=workspace.folder,
                # Seven seconds: about what a job takes here. And each asks for a fake GPU, though
                # the study computes on CPUs: its jobs would not find the GPU that they asked for.
                env=cluster.environment()
                | {"PERTURB_SLURM_POLL": "7", "SBATCH_GPUS": "1"}
                | variables,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        runs.append(Run(process, cluster, log))
        return runs[-1]

    yield start_run
    for run in runs:
        run.kill()


@pytest.fixture(scope="module")
def begun(start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Run]:
    """Start the command in a fresh clone."""
    workspace = fresh_clone(tmp_path_factory.mktemp("cluster"))
    workspace.configure(_study())
    return workspace, start(workspace)


@pytest.fixture(scope="module")
def local(begun: object, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a workspace in which the study has been run to its end, without a cluster."""
    del begun  # goes on meanwhile
    workspace = fresh_clone(tmp_path_factory.mktemp("local"))
    workspace.configure(_study())
    done = workspace.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace


@pytest.fixture(scope="module")
def overdue(
    start: Start, cluster: Cluster, local: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Run]:
    """Start a job that may take a minute and never ends; others run while the minute passes."""
    workspace = _without_shard(local, tmp_path_factory.mktemp("overdue") / "copy")
    run = start(workspace, SHARD, asked="evaluate_cells_0:runtime=attempt")
    job = run.wait_for("evaluate_cells", "RUNNING")["id"]
    wait_until(lambda: cluster.num_tasks(job) == 2, 60, run.told)
    cluster.command("scancel", "--signal=STOP", f"{job}.0")
    return workspace, run


@pytest.fixture(scope="module")
def starved(
    start: Start, local: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Run]:
    """Start a job that at first may take less memory than Python does, and then plenty."""
    workspace = _without_shard(local, tmp_path_factory.mktemp("starved") / "copy")
    asked = "evaluate_cells_0:mem_mb=60 + 4000 * (attempt - 1)"
    return workspace, start(workspace, SHARD, asked=asked)


@pytest.fixture(scope="module")
def blind(start: Start, local: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Start jobs that ask for GPUs, which are none to torch: as where a driver is broken."""
    workspace = local.copy(tmp_path_factory.mktemp("blind") / "copy")
    workspace.configure(_study() | {"device": "cuda"})
    cards = [f"results/checkpoints/{model}/card.json" for model in ("a", "b")]
    return start(workspace, *cards, PERTURB_SLURM_RETRIES="0", SBATCH_GPUS="0")


@pytest.fixture(scope="module")
def finished(
    begun: tuple[Workspace, Run], overdue: object, starved: object, blind: object
) -> tuple[Workspace, Run]:
    """Return a fresh clone after the command has been run to its end."""
    del overdue, starved, blind  # they take their time meanwhile
    workspace, run = begun
    assert run.end() == 0, run.told()
    return workspace, run


def _without_shard(finished: Workspace, folder: Path) -> Workspace:
    """Return a copy of a finished workspace that lacks model a's shard and what is made of it."""
    workspace = finished.copy(folder)
    (workspace.folder / SHARD).unlink()
    for made in ("tables", "charts", "report"):
        shutil.rmtree(workspace.folder / "results" / made)
    (workspace.folder / INVENTORY).unlink()
    return workspace


def _rows(workspace: Workspace) -> Any:
    return pq.read_table(workspace.folder / SHARD)


def test_tables_are_those_of_a_local_run_to_the_last_byte(
    finished: tuple[Workspace, Run], local: Workspace
) -> None:
    workspace, run = finished
    assert (workspace.folder / "results" / "report" / "index.html").exists()
    assert workspace.tables() == local.tables()
    assert set(Counter(job["state"] for job in run.jobs().values())) == {"COMPLETED"}
    # Nothing but `all` itself was done on the login node.
    assert len(run.jobs()) == run.told().count("has been submitted")


def test_jobs_see_gpus_of_their_own(finished: tuple[Workspace, Run]) -> None:
    _, run = finished
    seen = run.cluster.gpu_uses()
    uses = [seen[id] for id in run.jobs()]
    assert all(len(use.gpus) == 1 and use.gpus[0].isdecimal() for use in uses), uses
    pairs = [(one, two) for one in uses for two in uses if one is not two]
    assert not any(one.overlaps(two) for one, two in pairs)
    assert any(one.start < two.start < one.end for one, two in pairs), "never two at once"


def test_jobs_without_the_gpu_that_they_asked_for_fail_at_once(blind: Run) -> None:
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
    starved: tuple[Workspace, Run], local: Workspace
) -> None:
    workspace, run = starved
    assert run.end() == 0, run.told()
    states = Counter(job["state"] for job in run.jobs().values())
    assert states["COMPLETED"] == 1
    assert states.total() == 2
    assert "memory limit" in run.told()
    assert _rows(workspace) == _rows(local)


def test_a_job_over_its_time_limit_gets_more(
    overdue: tuple[Workspace, Run], finished: object, local: Workspace
) -> None:
    del finished  # the minute has passed meanwhile
    workspace, run = overdue
    assert run.end() == 0, run.told()
    states = [job["state"] for job in run.jobs().values()]
    assert sorted(states) == ["COMPLETED", "TIMEOUT"]
    assert _rows(workspace) == _rows(local)


def test_a_node_set_down_costs_one_attempt(
    start: Start, cluster: Cluster, local: Workspace, tmp_path: Path
) -> None:
    # After the tests above: what they started in common is not to be on that node.
    workspace = _without_shard(local, tmp_path / "copy")
    run = start(workspace, SHARD)
    node = run.wait_for("evaluate_cells", "RUNNING")["node"]
    assert node in NODES
    cluster.command("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        assert run.end() == 0, run.told()
    finally:
        cluster.command("scontrol", "update", f"nodename={node}", "state=resume")
    states = [job["state"] for job in run.jobs().values()]
    assert sorted(states) == ["COMPLETED", "NODE_FAIL"]
    assert _rows(workspace) == _rows(local)


def test_a_killed_run_is_resumed_and_ends_in_the_same_tables(
    start: Start, local: Workspace, tmp_path: Path
) -> None:
    """Kill Snakemake alone, while jobs wait, while they run, and when they have ended unseen."""
    workspace = _without_shard(local, tmp_path / "copy")
    moments = [("evaluate_cells", "RUNNING"), ("check_shards", "COMPLETED")]
    for rule, state in moments:
        run = start(workspace, INVENTORY)
        run.wait_for(rule, state)
        run.kill()
        _wait_for_orphans(run)
        assert any(workspace.folder.glob(".snakemake/locks/*"))
        assert workspace.run("--unlock").returncode == 0
    run = start(workspace, INVENTORY)
    assert run.end() == 0, run.told()
    done = workspace.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert workspace.tables() == local.tables()
    assert workspace.planned() == {}


def _wait_for_orphans(run: Run) -> None:
    """Wait for the jobs of a killed run: they go on, and have to end before the next run begins."""
    goes_on = {"PENDING", "RUNNING", "COMPLETING"}
    wait_until(
        lambda: goes_on.isdisjoint(job["state"] for job in run.jobs().values()), PATIENCE, run.told
    )


def test_every_command_of_the_cluster_is_its_own(cluster: Cluster) -> None:
    for name in COMMANDS:
        found = shutil.which(name, path=cluster.environment()["PATH"])
        assert found == str(cluster.folder / "bin" / name)
