"""Runs that are repeated, extended and cut down: only what is missing is done again.

What kills and damaged files do to a run is in `test_faults.py` and `test_faulty_files.py`.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.tiny_study import TINY_STUDY
from tests.workspace import Workspace, fresh_clone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a workspace in which the tiny study has been run to its end, undisturbed."""
    workspace = fresh_clone(tmp_path_factory.mktemp("finished"))
    workspace.configure(TINY_STUDY)
    workspace.told()
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


def _another_dataset(study: dict[str, Any]) -> None:
    study["datasets"]["third"] = {"generate": {"set": "hard", "split": "test"}, "images": 12}
    study["perturbations"]["none"]["datasets"].append("third")


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        # Its experiments.
        (
            lambda study: study["models"].update(c=study["models"]["a"]),
            {"train_model": 1, "evaluate": 2},
        ),
        # A job of each model, which keeps its other severities.
        (
            lambda study: study["perturbations"]["corruptions"]["severities"].append(3),
            {"evaluate": 3},
        ),
        (_another_dataset, {"generate_dataset": 1, "evaluate": 2}),
        (lambda study: study["datasets"]["test"].update(label="Pictures"), {"describe_study": 1}),
    ],
    ids=["model", "severity", "dataset", "label"],
)
def test_an_addition_runs_its_own_cells_only(
    change: Callable[[dict[str, Any]], object],
    jobs: dict[str, int],
    workspace: Workspace,
    tiny_study: dict[str, Any],
) -> None:
    change(tiny_study)
    workspace.configure(tiny_study)
    planned = workspace.planned()
    costly = {"train_model", "generate_dataset", "evaluate"}
    assert planned.items() >= jobs.items()
    assert costly & planned.keys() == costly & jobs.keys()


def test_a_removed_model_leaves_no_trace_in_the_tables(
    workspace: Workspace, tiny_study: dict[str, Any]
) -> None:
    del tiny_study["models"]["b"]
    workspace.configure(tiny_study)
    assert {"train_model", "evaluate"}.isdisjoint(workspace.planned())
    workspace.told("--until", "make_tables")
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
    workspace.told("--until", "evaluate")
    after = _shards(workspace)
    assert after.keys() - before.keys() == {
        f"{model}/test/corruptions/3.parquet" for model in ("a", "b", "reference")
    }
    assert {path: after[path] for path in before} == before
