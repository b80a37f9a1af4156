"""Runs that are repeated, killed, extended and cut down: only what is missing is done again."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import TINY_STUDY
from tests.workspace import Workspace, environment, fresh_clone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a workspace in which the tiny study has been run to its end, undisturbed."""
    workspace = fresh_clone(tmp_path_factory.mktemp("finished"))
    workspace.configure(TINY_STUDY)
    done = workspace.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (workspace.folder / "results" / "report" / "index.html").exists()
    return workspace


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path) -> Workspace:
    """Return a finished workspace to change."""
    return finished.copy(tmp_path / "copy")


def test_a_finished_study_has_nothing_to_do(workspace: Workspace) -> None:
    assert workspace.planned() == {}


def test_new_dates_of_a_checkout_repeat_nothing(workspace: Workspace) -> None:
    for name in ("scripts", "rules", "perturb", "config.yaml", "Snakefile", "envs", "report"):
        for file in [workspace.folder / name, *(workspace.folder / name).rglob("*")]:
            os.utime(file)
    assert workspace.planned() == {}


def test_a_new_model_runs_its_own_cells_only(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    tiny_study["models"]["c"] = tiny_study["models"]["a"]
    workspace.configure(tiny_study)
    planned = workspace.planned()
    assert planned["train_model"] == 1
    assert planned["evaluate_cells"] == 3
    assert "generate_dataset" not in planned


def test_a_new_severity_runs_its_own_cells_only(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    tiny_study["perturbations"]["corruptions"]["severities"].append(3)
    workspace.configure(tiny_study)
    planned = workspace.planned()
    assert planned["evaluate_cells"] == 3
    assert {"train_model", "generate_dataset"}.isdisjoint(planned)


def test_a_new_data_set_runs_its_own_cells_only(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    hard = {"generate": {"set": "hard", "split": "test"}, "images": 12}
    tiny_study["datasets"]["third"] = hard
    tiny_study["perturbations"]["none"]["datasets"].append("third")
    workspace.configure(tiny_study)
    planned = workspace.planned()
    assert planned["generate_dataset"] == 1
    assert planned["evaluate_cells"] == 2
    assert "train_model" not in planned


def test_a_new_label_repeats_no_evaluation(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    tiny_study["datasets"]["test"]["label"] = "Pictures"
    workspace.configure(tiny_study)
    planned = workspace.planned()
    assert {"train_model", "generate_dataset", "evaluate_cells"}.isdisjoint(planned)
    assert planned["describe_study"] == 1


def test_a_removed_model_leaves_no_trace_in_the_tables(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    del tiny_study["models"]["b"]
    workspace.configure(tiny_study)
    assert {"train_model", "evaluate_cells"}.isdisjoint(workspace.planned())
    done = workspace.run()
    assert done.returncode == 0, done.stdout + done.stderr
    for file in (workspace.folder / "results" / "tables").glob("*.parquet"):
        table = pq.read_table(file)
        if "model" in table.column_names:
            assert "b" not in table["model"].to_pylist(), file.name


@pytest.mark.parametrize("fault", ["cut short", "another model's"])
def test_a_faulty_shard_is_named_and_refused(workspace: Workspace, fault: str) -> None:
    shards = workspace.folder / "results" / "shards"
    shard = shards / "a" / "test" / "corruptions" / "2.parquet"
    other = shards / "b" / "test" / "corruptions" / "2.parquet"
    shard.write_bytes(shard.read_bytes()[:-9] if fault == "cut short" else other.read_bytes())
    done = workspace.run()
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert "results/shards/a/test/corruptions/2.parquet: " in told
    # The way out that the message leaves: without the shard, its cell is run again.
    shard.unlink()
    assert workspace.planned()["evaluate_cells"] == 1


def test_a_killed_run_ends_in_the_same_tables(finished: Workspace, tmp_path: Path) -> None:
    """Kill a run and its jobs at random moments until it has come to its end."""
    workspace = fresh_clone(tmp_path)
    workspace.configure(TINY_STUDY)
    moments = random.Random(7)
    num_kills, cells_before = 0, 0
    while True:
        process = subprocess.Popen(
            workspace.command("--rerun-incomplete"),
            cwd=workspace.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
        try:
            status = process.wait(timeout=moments.uniform(12, 25))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            num_kills += 1
            assert num_kills < 30, "the run makes no progress between kills"
            assert workspace.run("--unlock").returncode == 0
            done = set(workspace.folder.glob("results/shards/*/*/*/*.parquet"))
            assert len(done) >= cells_before
            cells_before = len(done)
        else:
            assert status == 0
            break
    assert num_kills > 0
    assert workspace.tables() == finished.tables()
    assert workspace.planned() == {}


def test_two_undisturbed_runs_agree_to_the_last_byte(
    finished: Workspace, workspace: Workspace
) -> None:
    tables = workspace.folder / "results" / "tables"
    for file in tables.iterdir():
        file.unlink()
    (workspace.folder / "results" / "inventory.parquet").unlink()
    time.sleep(0.01)
    done = workspace.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert workspace.tables() == finished.tables()
