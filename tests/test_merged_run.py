"""Labs that evaluate a model each, laid together, have the tables of one run of both models."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from perturb.__main__ import main
from tests.faults import fault_study
from tests.tiny_study import TINY_STUDY
from tests.two_labs import working_in
from tests.workspace import Workspace, fresh_clone

pytestmark = pytest.mark.slow

# Of clean and of corrupted images.
TABLE = "tables/corruption_accuracy.parquet"


def _study(*models: str, results: str) -> dict[str, Any]:
    """Return the smallest study with corruptions, of some models and without a reference."""
    chosen = {id: TINY_STUDY["models"][id] for id in models}
    return fault_study() | {"models": chosen, "results": results}


def _run(workspace: Workspace, study: dict[str, Any], file: str) -> None:
    """Run a study up to one of its files."""
    name = f"{study['results']}.yaml"
    (workspace.folder / name).write_text(yaml.safe_dump(study, sort_keys=False))
    done = workspace.run("--keep-going", f"{study['results']}/{file}", configuration=name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_merged_labs_have_the_tables_of_one_run(tmp_path: Path) -> None:
    """Each lab trains and evaluates a model; nothing of that is done again."""
    workspace = fresh_clone(tmp_path)
    _run(workspace, _study("a", "b", results="whole"), TABLE)
    for lab, model in (("lab1", "a"), ("lab2", "b")):
        # Both render the same images: that takes as long as all the rest.
        shutil.copytree(tmp_path / "whole/decoded", tmp_path / lab / "decoded")
        _run(workspace, _study(model, results=lab), f"receipts/{model}/all.json")
    with working_in(tmp_path):
        assert main(["merge", "lab1", "lab2", "--into", "all"]) == 0
    _run(workspace, _study("a", "b", results="all"), TABLE)
    ran = {path.name for path in (tmp_path / "all/logs").iterdir()}
    assert ran == {"check_shards", "describe_study", "make_table"}
    assert len(workspace.tables("all")) == 4
    assert workspace.tables("all") == workspace.tables("whole")
