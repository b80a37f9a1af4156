"""An installed package: its files, its command, and the workflow run from another folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import perturb
from perturb import places
from tests.workspace import (
    ROOT,
    environment,
    files_of_repository,
    fresh_clone,
    planned_jobs,
    told_by,
)

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which the wheel is installed, built without a network."""
    source, wheels, site = map(tmp_path_factory.mktemp, ("source", "wheels", "site"))
    fresh_clone(source)
    alone = ["--quiet", "--no-index", "--no-deps"]
    build = ["wheel", *alone, "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    subprocess.run([*PIP, *build], check=True)
    (wheel,) = wheels.iterdir()
    subprocess.run([*PIP, "install", *alone, "--target", str(site), str(wheel)], check=True)
    return site


def python(site: Path, folder: Path, *arguments: str) -> str:
    """Return what Python prints in a folder, with the installed package at hand."""
    variables = environment() | {"PYTHONPATH": str(site)}
    return told_by([sys.executable, *arguments], folder, variables)


def test_the_wheel_holds_the_package_and_the_workflow_without_tests(installed: Path) -> None:
    held = {path.relative_to(installed).as_posix() for path in installed.rglob("*")}
    code = set(files_of_repository("perturb", "snakemake_logger_plugin_perturb"))
    tests = {name for name in code if Path(name).match("perturb/experiments/*/test_*.py")}
    assert code - tests <= held
    parts = ("Snakefile", "config.yaml", "config", "profiles", "report", "resources", "rules")
    files = files_of_repository(*parts, "schemas", "scripts", "slurm", "envs/*.yaml")
    assert {f"perturb/workflow/{name}" for name in files} <= held
    apart = ("tests", "benchmarks", "docs", "conftest.py")
    assert [name for name in held if name in tests or name.startswith(apart)] == []


def test_the_command_is_installed(installed: Path, tmp_path: Path) -> None:
    told = python(installed, tmp_path, str(installed / "bin" / "perturb"), "--help")
    assert told.startswith("usage: perturb ")
    assert told == python(installed, tmp_path, "-m", "perturb", "--help")
    assert (installed / f"perturb-{perturb.__version__}.dist-info").is_dir()


def test_the_cost_of_an_installed_configuration_is_told(installed: Path, tmp_path: Path) -> None:
    configuration = installed / "perturb" / "workflow" / "config" / "digits.yaml"
    told = python(installed, tmp_path, "-m", "perturb", "cost", "--configfile", str(configuration))
    assert "shards" in told


def test_an_installed_workflow_is_planned_elsewhere(installed: Path, tmp_path: Path) -> None:
    workflow = installed / "perturb" / "workflow"
    smoke = str(workflow / "config" / "smoke.yaml")
    told = python(
        installed,
        tmp_path,
        *("-m", "snakemake", "--dry-run", "--snakefile", str(workflow / "Snakefile")),
        *("--directory", str(tmp_path / "else where"), "--configfile", smoke),
    )
    assert {"train_model", "check_shards", "make_tables", "write_page"} <= set(planned_jobs(told))
    # The code that tables are made by is that of the installation.
    assert str(installed / "perturb" / "tables" / "facts.py") in told


def test_a_copy_of_the_workflow_runs_its_own_code(tmp_path: Path) -> None:
    """Also in jobs, where the environment has another copy, as after `pip install --editable`."""
    workspace = fresh_clone(tmp_path / "copy")
    other = tmp_path / "other"
    (other / "perturb").mkdir(parents=True)
    (other / "perturb" / "__init__.py").write_text("raise ImportError('another copy')")
    (workspace.folder / "probe.smk").write_text(
        'include: "Snakefile"\n\n\nrule probe:\n    output:\n        "probe.txt",\n'
        '    script:\n        "probe.py"\n'
    )
    (workspace.folder / "probe.py").write_text(
        "import perturb\nfrom pathlib import Path\n"
        "Path(snakemake.output[0]).write_text(perturb.__file__)\n"
    )
    command = workspace.command("--snakefile", "probe.smk", configuration="config/smoke.yaml")
    variables = environment() | {"PYTHONPATH": str(other)}
    workspace.python([*command[1:], "--", "probe.txt"], variables)
    expected = workspace.folder / "perturb" / "__init__.py"
    assert (workspace.folder / "probe.txt").read_text() == str(expected)


# In place of Apptainer: it tells what it was given, and runs the command of the container here.
APPTAINER = """#!/bin/sh
[ "$1" = --version ] && { echo apptainer version 1.3.0; exit; }
echo "$@" >> apptainer.txt
for command; do :; done
exec bash -c "$command"
"""


def test_jobs_run_in_the_image_only_if_that_is_asked_for(tmp_path: Path) -> None:
    workspace = fresh_clone(tmp_path)
    apptainer = tmp_path / "bin" / "singularity"
    apptainer.parent.mkdir()
    apptainer.write_text(APPTAINER)
    apptainer.chmod(0o755)
    variables = environment() | {"PATH": f"{apptainer.parent}:{os.environ['PATH']}"}
    command = workspace.command("--forcerun", "generate_dataset", configuration="config/smoke.yaml")
    target = ["--", "results/smoke/decoded/shapes/images.npy"]
    images = []
    for deployment, variable in (
        ([], {"PERTURB_IMAGE": "other.sif"}),
        (["--sdm", "apptainer"], {}),
        (["--sdm", "apptainer"], {"PERTURB_IMAGE": "/images/mine.sif"}),
    ):
        workspace.python([*command[1:], *deployment, *target], variables | variable)
        told = tmp_path / "apptainer.txt"
        images.append(re.findall(r"\S+\.sif", told.read_text() if told.exists() else "")[-1:])
    assert images == [[], ["perturb.sif"], ["/images/mine.sif"]]


@pytest.mark.parametrize("folder", ["root", "elsewhere"])
def test_digests_of_inputs_do_not_depend_on_folders(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT if folder == "root" else tmp_path)
    files = [places.as_input(places.resource("claims.csv")), *places.code("random.py")]
    assert all(Path(file).is_file() for file in files)
    assert places.wherever(files) == ["resources/claims.csv", "perturb/random.py"]
    assert places.wherever(["results/models.parquet"]) == ["results/models.parquet"]


def test_an_installed_package_leaves_the_search_path_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/given")
    monkeypatch.setattr(places, "IS_INSTALLED", True)
    places.prefer_own_code()
    assert os.environ["PYTHONPATH"] == "/given"
    monkeypatch.setattr(places, "IS_INSTALLED", False)
    places.prefer_own_code()
    places.prefer_own_code()
    assert os.environ["PYTHONPATH"] == f"{places.WORKFLOW}:/given"
