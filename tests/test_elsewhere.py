"""The workflow used from elsewhere: as a module, from an unusual folder."""

import sys
from pathlib import Path

import pytest
import yaml

from tests.faults import TABLES, fault_study
from tests.workspace import UNUSUAL, Workspace, fresh_clone, told_by

pytestmark = pytest.mark.slow

MODULE = """
configfile: "mine.yaml"


module robustness:
    snakefile:
        {snakefile!r}
    config:
        config["robustness"]


use rule * from robustness as robustness_*


rule all:
    default_target: True
    input:
        expand("results/tables/{{table}}.parquet", table=config["tables"]),
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a fresh clone in a folder with spaces, quotes and a letter beyond ASCII."""
    folder = tmp_path_factory.mktemp("clone") / UNUSUAL
    folder.mkdir()
    return fresh_clone(folder)


def _told(folder: Path, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor", *arguments]
    return told_by(command, folder, status=status)


def _module(folder: Path, clone: Workspace, **changes: object) -> None:
    """Write a workflow that uses the clone's as a module."""
    snakefile = str(clone.folder / "Snakefile")
    (folder / "Snakefile").write_text(MODULE.format(snakefile=snakefile))
    own = {"tables": list(TABLES), "robustness": fault_study() | changes}
    (folder / "mine.yaml").write_text(yaml.safe_dump(own, sort_keys=False))


def test_a_workflow_uses_it_as_a_module(
    clone: Workspace, finished: Workspace, tmp_path: Path
) -> None:
    """With rules under a prefix, and the study below a key of its own configuration."""
    _module(tmp_path, clone)
    _told(tmp_path)
    # One job makes all tables where none of them is a target of the command line.
    assert Workspace(tmp_path).tables().items() >= finished.tables().items()
    assert "Nothing to be done" in _told(tmp_path)


def test_a_module_checks_the_files_of_its_study(clone: Workspace, tmp_path: Path) -> None:
    """Before any job, though Snakemake calls the `onstart` of the outer workflow alone."""
    models = fault_study()["models"]
    given = {"file": "none.safetensors", "sha256": "0" * 64}
    models["a"] = {key: value for key, value in models["a"].items() if key != "weights"}
    _module(tmp_path, clone, models=models | {"a": models["a"] | {"weights": given}})
    assert "none.safetensors" in _told(tmp_path, status=1)
    assert not (tmp_path / "results").exists()
