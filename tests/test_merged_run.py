"""Labs that evaluate a model each, laid together, have the tables of one run of both models."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from perturb.__main__ import main
from tests import two_labs
from tests.faults import fault_study
from tests.tiny_study import TINY_STUDY
from tests.workspace import Workspace, fresh_clone

pytestmark = pytest.mark.slow

# Of clean and of corrupted images.
TABLE = "tables/corruption_accuracy.parquet"


def _study(*models: str, results: str) -> dict[str, Any]:
    """Return the smallest study with corruptions, of some models and without a reference."""
    chosen = {id: TINY_STUDY["models"][id] for id in models}
    return fault_study() | {"models": chosen, "results": results}


def _run(workspace: Workspace, study: dict[str, Any]) -> None:
    """Run a study up to its table."""
    name = f"{study['results']}.yaml"
    (workspace.folder / name).write_text(yaml.safe_dump(study, sort_keys=False))
    done = workspace.run("--keep-going", f"{study['results']}/{TABLE}", configuration=name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_merged_labs_have_the_tables_of_one_run(tmp_path: Path) -> None:
    """Each lab evaluates a model by itself; nothing of that is done again."""
    workspace = fresh_clone(tmp_path)
    _run(workspace, _study("a", "b", results="whole"))
    for lab, model in (("lab1", "a"), ("lab2", "b")):
        # To train and to render again would take longer than all the rest.
        for made in ("decoded", f"checkpoints/{model}"):
            shutil.copytree(tmp_path / "whole" / made, tmp_path / lab / made)
        with two_labs.working_in(tmp_path):
            assert len(two_labs.run(_study(model, results=lab))) == 2
    with two_labs.working_in(tmp_path):
        assert main(["merge", "lab1", "lab2", "--into", "all"]) == 0
    _run(workspace, _study("a", "b", results="all"))
    ran = {path.stem for path in (tmp_path / "all/logs").iterdir()}
    assert ran == {"check_shards", "describe_study", "make_table"}
    assert len(workspace.tables("all")) == 4
    assert workspace.tables("all") == workspace.tables("whole")
