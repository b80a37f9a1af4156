"""Labs that evaluate a model each, laid together, have the tables of one run of both models."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from perturb.__main__ import main
from tests.faults import TABLES, fault_study
from tests.tiny_study import TINY_STUDY
from tests.two_labs import working_in
from tests.workspace import Workspace, fresh_clone, planned_jobs

pytestmark = pytest.mark.slow


def _study(*models: str, results: str) -> dict[str, Any]:
    """Return the smallest study with corruptions, of some models and without a reference."""
    chosen = {id: TINY_STUDY["models"][id] for id in models}
    return fault_study() | {"models": chosen, "results": results}


def _run(
    workspace: Workspace, study: dict[str, Any], *targets: str, option: str = "--keep-going"
) -> str:
    """Run a study, up to its tables or the targets that are given; return the output."""
    name = f"{study['results']}.yaml"
    (workspace.folder / name).write_text(yaml.safe_dump(study, sort_keys=False))
    tables = [f"{study['results']}/tables/{table}.parquet" for table in TABLES]
    done = workspace.run(option, *(targets or tables), configuration=name)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_merged_labs_have_the_tables_of_one_run(tmp_path: Path) -> None:
    workspace = fresh_clone(tmp_path)
    _run(workspace, _study("a", "b", results="whole"))
    for lab, model in (("lab1", "a"), ("lab2", "b")):
        _run(workspace, _study(model, results=lab), f"{lab}/receipts/{model}/all.json")
    with working_in(tmp_path):
        assert main(["merge", "lab1", "lab2", "--into", "all"]) == 0
    merged = _study("a", "b", results="all")
    planned = planned_jobs(_run(workspace, merged, option="--dry-run"))
    assert planned.keys() == {"check_shards", "describe_study", "make_table"}
    _run(workspace, merged)
    assert workspace.tables("all") == workspace.tables("whole")
    assert workspace.tables("all")
