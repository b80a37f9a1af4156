"""Results at any place: above the working directory, on another file system, under odd names."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from perturb.config import load_config
from tests.faults import TABLES, fault_study
from tests.workspace import Workspace, fresh_clone

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
    workspace = fresh_clone(tmp_path / "clone")
    workspace.configure(study)
    targets = [f"{results}/tables/{table}.parquet" for table in TABLES]
    workspace.told("--keep-going", *targets)
    assert workspace.tables(results) == finished.tables()
    assert "Nothing to be done" in workspace.told("--dry-run", *targets)
    assert not (workspace.folder / "results").exists()
