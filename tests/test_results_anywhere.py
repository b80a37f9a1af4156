"""Results at any place: above the working directory, on another file system, under odd names.

The workflow stands in an unusual folder, and runs in another directory.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from perturb.config import load_config
from tests.faults import TABLES, fault_study
from tests.workspace import UNUSUAL, Workspace, fresh_clone, told_by

pytestmark = pytest.mark.slow

MEMORY = Path("/dev/shm")
ODD = "a=1 50% & $$d #1; (x) | y, z~ -q b\\c 'one' \"two\" é ß 漢"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on another file system where there is one."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    "place",
    [pytest.param("../beside/r", marks=pytest.mark.exhaustive), f"$ELSEWHERE/{ODD}/r"],
)
def test_tables_are_the_same_wherever_the_results_lie(
    place: str,
    finished: Workspace,
    elsewhere: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ELSEWHERE", str(elsewhere))
    study = fault_study() | {"results": place}
    results = load_config(study).results
    (tmp_path / UNUSUAL).mkdir()
    clone = fresh_clone(tmp_path / UNUSUAL)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    directory = tmp_path / "work" / UNUSUAL
    command = [
        *(sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor"),
        *(f"{results}/tables/{table}.parquet" for table in TABLES),
        *("-s", str(clone.folder / "Snakefile"), "--directory", str(directory)),
        *("--configfile", "study.yaml"),
    ]
    told_by([*command, "--keep-going"], tmp_path)
    assert Workspace(directory).tables(results) == finished.tables()
    assert "Nothing to be done" in told_by([*command, "--dry-run"], tmp_path)
    assert not (directory / "results").exists()
    assert not (clone.folder / "results").exists()
