"""Fixtures shared by the tests: the default configuration, the smallest study, a finished run."""

import copy
import fcntl
import functools
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import torch
import yaml

from perturb.config import Config, load_config
from tests.cluster import Cluster, running_cluster
from tests.faults import launch, new_workspace
from tests.pages import running_browser, write_nasty_page
from tests.study_tables import table_of
from tests.synthetic_study import Study, make_study
from tests.tiny_study import TINY_STUDY
from tests.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent

# Tests run side by side, one a core, and results must not depend on threads anyway.
torch.set_num_threads(1)
# A shell that starts the tests in the background has them ignore Ctrl-C, and their children too:
# the runs that are stopped by it in tests are to hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def default_config() -> dict[str, Any]:
    """Return config.yaml as Snakemake parses it."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    return config


@pytest.fixture
def imagenet() -> dict[str, Any]:
    """Return a fresh copy of the paper's study on ImageNet, as a user may change it."""
    return copy.deepcopy(_imagenet())


@functools.cache
def _imagenet() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "config" / "imagenet.yaml").read_text())
    return found


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], str]) -> str:
    """Return what `make` returned when it filled a folder of this name, once for all processes.

    The first process that asks makes it, the others wait.
    """
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said, content = folder / "said.txt", folder / "content"
        if not said.exists():
            # Of an attempt that failed nothing is gone on with.
            shutil.rmtree(content, ignore_errors=True)
            content.mkdir()
            said.write_text(make(content), encoding="utf-8")
        return said.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return the made-up study with everything; tests add files beside it and change none of it."""
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def made(study: Study) -> Callable[[str], pa.Table]:
    """Return what makes a table of the made-up study, once."""
    return functools.cache(functools.partial(table_of, study.joined()))


@pytest.fixture(scope="session")
def fog_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return the made-up study with one corruption at one severity, for tests of other changes."""
    return make_study(tmp_path_factory.mktemp("fog"), corruptions=["fog"], severities=(3,))


@pytest.fixture(scope="session")
def joined_fog(fog_study: Study) -> Study:
    """Return `fog_study` with its predictions in one file."""
    return fog_study.joined()


@pytest.fixture
def tiny_study() -> dict[str, Any]:
    """Return a fresh copy of the smallest study with both families and a reference."""
    return copy.deepcopy(TINY_STUDY)


@pytest.fixture
def config(tiny_study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return a study of nine cells whose folder, with its config.yaml, is the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(yaml.safe_dump(tiny_study))
    return load_config(tiny_study)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the whole runs first: nothing else could fill the cores while the last of them runs."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page whose every typed text tries to be HTML; tests change none of its files."""

    def write(folder: Path) -> str:
        return str(write_nasty_page(folder))

    return Path(made_once(tmp_path_factory, "page", write))


# Of a module: while a browser runs, no other test may start an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, float]:
    """Return a workspace in which `fault_study` was run undisturbed, and the seconds that took.

    It is never changed.
    """

    def run(folder: Path) -> str:
        workspace = new_workspace(folder / "workspace")
        started = time.monotonic()
        launch(workspace)
        return json.dumps([str(workspace.folder), time.monotonic() - started])

    folder, seconds = json.loads(made_once(tmp_path_factory, "undisturbed", run))
    return Workspace(Path(folder)), seconds


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a running SLURM."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def finished(undisturbed: tuple[Workspace, float]) -> Workspace:
    """Return the workspace of the undisturbed run."""
    return undisturbed[0]
