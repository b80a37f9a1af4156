"""The smoke configuration, run whole as users run it: on one machine, and on a SLURM cluster."""

import html
import re
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from perturb.config import load_config
from perturb.experiments.registry import needs_of
from perturb.plan import products
from perturb.plan.cells import cells, evaluated_datasets
from perturb.plan.paths import Paths
from tests.cluster import running_cluster
from tests.cluster_runs import Run, starting
from tests.study_tables import CHARTS, TABLES
from tests.workspace import Workspace, fresh_clone, locked_environment, planned_jobs

pytestmark = pytest.mark.slow

CONFIGURATION = "config/smoke.yaml"
RESULTS = "results/smoke"
# How long the run may take on a cluster of two busy cores [s].
PATIENCE = 1200


@pytest.fixture(scope="module")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Run]]:
    """Start the command for a cluster in a fresh clone."""
    with running_cluster() as cluster, starting(cluster) as start:
        workspace = fresh_clone(tmp_path_factory.mktemp("submitted"))
        yield workspace, start(workspace, configuration=CONFIGURATION)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """Return a fresh clone after the run, and the run's output."""
    workspace = fresh_clone(tmp_path_factory.mktemp("smoke"))
    return workspace, workspace.told(configuration=CONFIGURATION)


# test_cluster.py shows the same of a smaller study.
@pytest.mark.exhaustive
@pytest.mark.slurm
@pytest.mark.skipif(sys.platform != "linux", reason="SLURM runs on Linux alone")
def test_tables_made_on_a_cluster_are_those_of_one_machine(
    submitted: tuple[Workspace, Run], finished: tuple[Workspace, str]
) -> None:
    """The first test, so that both runs are under way at the same time."""
    workspace, run = submitted
    assert run.end(PATIENCE) == 0, run.told()
    assert workspace.tables(RESULTS) == finished[0].tables(RESULTS)
    assert (workspace.folder / RESULTS / "report" / "index.html").exists()
    jobs = run.jobs()
    assert set(Counter(job["state"] for job in jobs.values())) == {"COMPLETED"}
    # Nothing but `all` itself was done on the login node.
    assert len(jobs) == run.told().count("has been submitted")
    _check_gpus(run)


def _check_gpus(run: Run) -> None:
    """Check that each job saw one GPU, and that none saw another's."""
    seen = run.cluster.gpu_uses()
    uses = [seen[id] for id in run.jobs()]
    assert all(len(use.gpus) == 1 and use.gpus[0].isdecimal() for use in uses), uses
    pairs = list(combinations(uses, 2))
    assert not any(one.overlaps(two) for one, two in pairs)
    at_once = [(one, two) for one, two in pairs if one.start < two.end and two.start < one.end]
    assert at_once, "never two at once"


def test_the_run_ends_with_the_path_of_the_report(finished: tuple[Workspace, str]) -> None:
    _, told = finished
    (report,) = re.findall(r"^The report: (.+)$", told, re.MULTILINE)
    assert Path(report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_product_is_there(finished: tuple[Workspace, str]) -> None:
    workspace, _ = finished
    results = workspace.folder / RESULTS
    config = load_config(yaml.safe_load((workspace.folder / CONFIGURATION).read_text()))
    # The smoke configuration has every study, so it makes every table and chart there is but those
    # that set published numbers of real images beside ours, those of several training runs, and
    # those of L2 attacks.
    left_out = {"class_subset", "paper", "published", "training_runs", "attack_ensemble_l2"}
    assert set(TABLES) - set(products.tables(config)) == {
        name for name, table in TABLES.items() if left_out & set(table.needs)
    }
    assert set(CHARTS) - set(products.charts(config)) == {
        name for name, chart in CHARTS.items() if left_out & needs_of(chart)
    }
    for table in products.tables(config):
        for suffix in ("parquet", "csv", "md", "tex"):
            assert (results / "tables" / f"{table}.{suffix}").stat().st_size > 0
    for chart in products.charts(config):
        for suffix in ("html", "svg", "png", "pdf"):
            assert (results / "charts" / f"{chart}.{suffix}").stat().st_size > 0
    for dataset in config.datasets:
        assert (results / "contact_sheets" / f"{dataset}.png").stat().st_size > 0
    for example in Paths(str(results)).examples:
        assert Path(example).stat().st_size > 0


def test_tables_hold_every_cell(finished: tuple[Workspace, str]) -> None:
    workspace, _ = finished
    config = load_config(yaml.safe_load((workspace.folder / CONFIGURATION).read_text()))
    results = workspace.folder / RESULTS
    inventories = [pq.read_table(file) for file in (results / "inventory").glob("*.parquet")]
    assert sum(table.num_rows for table in inventories) == len(cells(config))
    accuracy = pq.read_table(results / "tables" / "accuracy.parquet").to_pandas()
    benchmark = [model for model in config.models.values() if not model.is_reference]
    # On each dataset as it is but the cue conflicts, and on the corrupted clean one.
    assert len(accuracy) == len(benchmark) * len(evaluated_datasets(config))
    assert (accuracy["accuracy_low"] <= accuracy["accuracy"]).all()
    assert (accuracy["accuracy"] <= accuracy["accuracy_high"]).all()
    predictions = accuracy.set_index("test_set")["num_predictions"]
    corruptions = config.perturbations["corruptions"]
    expected = corruptions.num_images * 15 * len(corruptions.severities)
    assert (predictions["corruptions"] == expected).all()


def test_snakemake_writes_its_own_report(finished: tuple[Workspace, str], tmp_path: Path) -> None:
    """With what the lock of a run holds, and no more."""
    workspace, _ = finished
    command = workspace.command("--report", "report.zip", configuration=CONFIGURATION)
    workspace.python(command[1:], locked_environment(tmp_path))
    with zipfile.ZipFile(workspace.folder / "report.zip") as report:
        page = report.read("report/report.html").decode()
    config = load_config(yaml.safe_load((workspace.folder / CONFIGURATION).read_text()))
    titles = [TABLES[name].title for name in products.tables(config)]
    titles += [chart.title for chart in products.charts(config).values()]
    for title in titles:  # each product stands under its own caption
        assert f"<strong>{html.escape(title, quote=False)}" in page, title


def test_results_that_the_study_does_not_ask_for_are_made_again(
    finished: tuple[Workspace, str], tmp_path: Path
) -> None:
    """Without Snakemake's records, and where every product stands there already."""
    workspace = finished[0].copy(tmp_path / "copy")
    shutil.rmtree(workspace.folder / ".snakemake")
    study = yaml.safe_load((workspace.folder / CONFIGURATION).read_text())
    study["training"]["samples"] += 64
    (workspace.folder / CONFIGURATION).write_text(yaml.safe_dump(study, sort_keys=False))
    told = workspace.told("--dry-run", configuration=CONFIGURATION)
    assert "num_samples." in told
    again = planned_jobs(told)
    models = len(study["models"])
    # The second reference has no cell: it chooses images, and divides nothing.
    evaluated = len({cell.model for cell in cells(load_config(study))})
    assert (again["train_model"], again["evaluate"]) == (models, evaluated)
    assert (evaluated, again["write_page"]) == (models - 1, 1)
