"""The smoke configuration, run whole as a user runs it, and what it leaves behind."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from perturb import products
from perturb.cells import cells, evaluated_datasets
from perturb.charts.catalogue import CHARTS
from perturb.config import load_config
from perturb.tables.catalogue import TABLES
from tests.workspace import Workspace, environment, fresh_clone

pytestmark = pytest.mark.slow

CONFIGURATION = "config/smoke.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """Return a fresh clone after the run, and what the run told."""
    workspace = fresh_clone(tmp_path_factory.mktemp("smoke"))
    launch = [sys.executable, "-m", "perturb.launch", "--cores", "2", "--quiet", "rules"]
    done = subprocess.run(
        [*launch, "--configfile", CONFIGURATION],
        cwd=workspace.folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace, done.stdout + done.stderr


def test_the_run_ends_with_the_path_of_the_report(finished: tuple[Workspace, str]) -> None:
    _, told = finished
    (report,) = re.findall(r"^The report: (.+)$", told, re.MULTILINE)
    assert Path(report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_product_is_there(finished: tuple[Workspace, str]) -> None:
    workspace, _ = finished
    results = workspace.folder / "results" / "smoke"
    config = load_config(yaml.safe_load((workspace.folder / CONFIGURATION).read_text()))
    # The smoke configuration has every study, so it makes every table and chart there is but those
    # that set published numbers of real images beside ours.
    published = {"class_subset", "paper", "published"}
    assert set(TABLES) - set(products.tables(config)) == {
        name for name, table in TABLES.items() if published & set(table.needs)
    }
    assert set(CHARTS) - set(products.charts(config)) == {
        name for name, chart in CHARTS.items() if published & set(chart.needs)
    }
    for table in products.tables(config):
        for suffix in ("parquet", "csv", "md", "tex"):
            assert (results / "tables" / f"{table}.{suffix}").stat().st_size > 0
    for chart in products.charts(config):
        for suffix in ("html", "svg", "png"):
            assert (results / "charts" / f"{chart}.{suffix}").stat().st_size > 0
    for dataset in config.datasets:
        assert (results / "contact_sheets" / f"{dataset}.png").stat().st_size > 0


def test_tables_hold_every_cell(finished: tuple[Workspace, str]) -> None:
    workspace, _ = finished
    config = load_config(yaml.safe_load((workspace.folder / CONFIGURATION).read_text()))
    results = workspace.folder / "results" / "smoke"
    assert pq.read_table(results / "inventory.parquet").num_rows == len(cells(config))
    accuracy = pq.read_table(results / "tables" / "accuracy.parquet").to_pandas()
    benchmark = [model for model in config.models.values() if not model.is_reference]
    # On each data set as it is but the cue conflicts, and on the corrupted clean one.
    assert len(accuracy) == len(benchmark) * len(evaluated_datasets(config))
    assert (accuracy["accuracy_low"] <= accuracy["accuracy"]).all()
    assert (accuracy["accuracy"] <= accuracy["accuracy_high"]).all()
    decisions = accuracy.set_index("test_set")["num_decisions"]
    corruptions = config.perturbations["corruptions"]
    expected = corruptions.num_images * 15 * len(corruptions.severities)
    assert (decisions["corruptions"] == expected).all()


def test_snakemake_writes_its_own_report(finished: tuple[Workspace, str]) -> None:
    workspace, _ = finished
    done = workspace.run("--report", "report.zip", configuration=CONFIGURATION)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (workspace.folder / "report.zip").stat().st_size > 100_000
