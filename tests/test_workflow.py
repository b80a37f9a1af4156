"""The workflow before any job: parsing, listing, lint, and refusing a wrong configuration."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from perturb.cells import evaluation_jobs
from perturb.config import load_config
from tests.tiny_study import TINY_STUDY
from tests.workspace import ROOT, Workspace, environment, fresh_clone, planned_jobs

HEAVY = ("torch", "timm", "pyarrow", "duckdb", "altair", "safetensors", "PIL", "vl_convert")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a fresh clone that nothing is run in."""
    return fresh_clone(tmp_path_factory.mktemp("clone"))


def _snakemake_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake where none of the study's packages can be imported."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r}))\n"
        f"from snakemake.cli import main; main({list(arguments)!r})"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )


def test_dry_run_needs_nothing_but_snakemake(clone: Workspace) -> None:
    done = _snakemake_alone(clone.folder, "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stdout + done.stderr
    config = load_config(yaml.safe_load((clone.folder / "config.yaml").read_text()))
    planned = planned_jobs(done.stdout + done.stderr)
    jobs = evaluation_jobs(config)
    assert planned["evaluate_cells"] == sum(len(job.models) for job in jobs)
    assert planned["transfer_attacks"] == len(config.benchmark_models)
    assert planned["train_model"] == len(config.models)


def test_list_describes_every_rule(clone: Workspace) -> None:
    done = _snakemake_alone(clone.folder, "--list")
    assert done.returncode == 0, done.stdout + done.stderr
    listed = set(re.findall(r"^(\w+?)(?:_\d+)? \(", done.stdout, re.M))
    scripts = {script.stem for script in (ROOT / "scripts").glob("*.py")}
    assert listed == scripts | {"all"}
    rules = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    assert len(re.findall(r'^ *rule(?: \w+)?:\n +"""', rules, re.M)) == len(scripts)


def test_resources_can_be_set_for_all_evaluations_at_once(clone: Workspace) -> None:
    clone.configure(TINY_STUDY | {"cells_per_job": 1})
    others = ["evaluate_cells:mem_mb=700*attempt", "evaluate_cells_1:mem_mb=800"]
    done = clone.run("--dry-run", "--set-resources", *others)
    assert done.returncode == 0, done.stderr
    jobs = re.findall(
        r"^rule evaluate_cells_(\d+):\n(?:    .*\n)*?.* mem_mb=(\d+)", done.stdout, re.M
    )
    found = {(int(number), int(mem_mb)) for number, mem_mb in jobs}
    assert {mem_mb for number, mem_mb in found if number != 1} == {700}
    assert {mem_mb for number, mem_mb in found if number == 1} == {800}


def test_lint_finds_nothing(clone: Workspace) -> None:
    done = _snakemake_alone(clone.folder, "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("configuration", ["config.yaml", "config/smoke.yaml"])
def test_shipped_configuration_is_valid_and_names_the_schema(configuration: str) -> None:
    path = ROOT / configuration
    load_config(yaml.safe_load(path.read_text()))
    hint = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
    assert hint is not None
    assert (path.parent / hint[1]).samefile(ROOT / "schemas" / "config.schema.json")


def test_given_configuration_replaces_the_default_one(
    clone: Workspace, tiny_study: dict[str, Any]
) -> None:
    clone.configure(tiny_study)
    planned = clone.planned()
    assert planned["train_model"] == 3
    assert planned["evaluate_cells"] == 9


def test_mistake_stops_the_run_before_any_job(clone: Workspace, tiny_study: dict[str, Any]) -> None:
    tiny_study["perturbations"]["corruptions"]["severties"] = [1]
    clone.configure(tiny_study)
    done = clone.run()
    told = done.stdout + done.stderr
    assert done.returncode == 1
    assert "perturbations.corruptions: unknown key `severties`" in told
    assert "Did you mean `severities`" in told
    assert "Traceback" not in told
    assert not (clone.folder / "results").exists()


def test_default_profile_holds_neutral_keys_only() -> None:
    """Whatever stands in it would beat a profile given on the command line."""
    profile = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    site_keys = {"executor", "default-resources", "set-resources", "jobs", "sdm", "retries"}
    assert site_keys.isdisjoint(profile)
    assert profile["scheduler"] == "greedy"
    assert profile["resources"] == ["gpu=1"]
    assert "code" not in profile["rerun-triggers"]
