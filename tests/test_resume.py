"""Runs that are repeated, extended and cut down: only what is missing is done again.

What kills and damaged files do to a run is in `test_faults.py` and `test_faulty_files.py`.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from perturb.config import load_config
from perturb.plan import products
from tests.tiny_study import TINY_STUDY
from tests.workspace import Workspace, fresh_clone

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
    assert planned["evaluate"] == 2  # its experiments
    assert "generate_dataset" not in planned


def test_a_new_severity_runs_its_own_cells_only(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    tiny_study["perturbations"]["corruptions"]["severities"].append(3)
    workspace.configure(tiny_study)
    planned = workspace.planned()
    assert planned["evaluate"] == 3  # a job of each model, which keeps its other severities
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
    assert planned["evaluate"] == 2
    assert "train_model" not in planned


def test_a_new_label_repeats_no_evaluation(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    tiny_study["datasets"]["test"]["label"] = "Pictures"
    workspace.configure(tiny_study)
    planned = workspace.planned()
    assert {"train_model", "generate_dataset", "evaluate"}.isdisjoint(planned)
    assert planned["describe_study"] == 1


def test_a_removed_model_leaves_no_trace_in_the_tables(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    del tiny_study["models"]["b"]
    workspace.configure(tiny_study)
    assert {"train_model", "evaluate"}.isdisjoint(workspace.planned())
    tables = products.tables(load_config(tiny_study))
    targets = [f"results/tables/{table}.parquet" for table in tables]
    done = workspace.run("--keep-going", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    for file in (workspace.folder / "results" / "tables").glob("*.parquet"):
        table = pq.read_table(file)
        if "model" in table.column_names:
            assert "b" not in table["model"].to_pylist(), file.name


def _shards(workspace: Workspace) -> dict[str, bytes]:
    """Return each shard; the time that its evaluation took stands in it."""
    folder = workspace.folder / "results" / "shards"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_a_run_evaluates_the_new_cells_alone(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    """Also in a fresh checkout, where Snakemake knows nothing of the results, and moved."""
    before = _shards(workspace)
    shutil.rmtree(workspace.folder / ".snakemake")
    (workspace.folder / "results").rename(workspace.folder / "moved")
    tiny_study["results"] = "moved"
    workspace.configure(tiny_study)
    assert {"train_model", "generate_dataset", "evaluate"}.isdisjoint(workspace.planned())
    (workspace.folder / "moved").rename(workspace.folder / "results")
    del tiny_study["results"]
    tiny_study["perturbations"]["corruptions"]["severities"].insert(0, 3)
    tiny_study["datasets"]["test"]["label"] = "Pictures"
    workspace.configure(tiny_study)
    done = workspace.run("--until", "evaluate")
    assert done.returncode == 0, done.stdout + done.stderr
    after = _shards(workspace)
    assert after.keys() - before.keys() == {
        f"{model}/test/corruptions/3.parquet" for model in ("a", "b", "reference")
    }
    assert {path: after[path] for path in before} == before
