"""The installed environment, the locks and the conda environments agree with one another."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from envs import install, lock
from envs.pins import read_pins
from tests.workspace import (
    ROOT,
    files_of_repository,
    locked_environment,
    make,
    run_command,
    told_by,
)

ENVS = ROOT / "envs"
LOCKS = [
    ROOT / path
    for path in (lock.RUN_LOCK, lock.CUDA_LOCK, lock.DEV_LOCK, lock.PEER_LOCK, lock.REAL_LOCK)
]
RUN_LOCK, CUDA_LOCK, DEV_LOCK, PEER_LOCK, REAL_LOCK = LOCKS
CONDA = sorted(ENVS.glob("*.yaml"))
CONDA_NAMES = {
    "torch": "pytorch",
    "duckdb": "python-duckdb",
    "ruamel-yaml": "ruamel.yaml",
    "snakemake": "snakemake-minimal",
}
# Spelt in two pieces, so that this file names none of them.
HOSTS = {
    "org": ("pypi", "pythonhosted", "download.pytorch", "anaconda", "deb.debian", "registry.npmjs"),
    "com": ("anaconda", "archive.ubuntu"),
}
REGISTRIES = [f"{host}.{top}" for top, hosts in HOSTS.items() for host in hosts]
# Imports what scripts import, without the named modules; prints what else functions would import.
IMPORTS = """
import ast, sys
from pathlib import Path
scripts, hidden = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
sys.modules.update(dict.fromkeys(hidden))
for script in scripts:
    for node in ast.parse(Path(f"scripts/{script}.py").read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(ast.unparse(node), {})
if "evaluate" in scripts:
    from perturb.experiments import registry
    from perturb.experiments.measurements import measure
    for item in registry.perturbations().values():
        item.evaluator and registry.entry_point(item.evaluator)
for name, module in list(sys.modules.items()):
    if name.startswith("perturb.") and module.__file__:
        nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text())))
        branches = [node for node in nodes if isinstance(node, ast.If)]
        typed = [node for node in branches if "TYPE_CHECKING" in ast.unparse(node.test)]
        nodes = set(nodes) - {inner for node in typed for inner in ast.walk(node)}
        for node in nodes:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for found in names:
                if found.partition(".")[0] in hidden:
                    print(name, "imports", found)
"""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUN = PROJECT["project"]["dependencies"]
TOOLS, CHECKS = (PROJECT["dependency-groups"][group] for group in ("env", "dev"))
PEERS, REAL = (
    [
        line.split("#")[0]
        for line in path.with_suffix(".in").read_text().splitlines()
        if line.split("#")[0]
    ]
    for path in (PEER_LOCK, REAL_LOCK)
)


def names(asked: list[str]) -> list[str]:
    """The packages that requirements ask for."""
    return [Requirement(line).name for line in asked]


def version(pin: str) -> str:
    """The version that a pin names."""
    return pin.split()[0].partition("==")[2]


# ------------------------------------------------------------------------------------- the locks


def test_every_locked_package_is_installed_at_its_version() -> None:
    installed = {canonicalize_name(one.metadata["Name"]): one.version for one in distributions()}
    locks = [RUN_LOCK, DEV_LOCK, *([] if install.has_cpu_build() else [CUDA_LOCK])]
    for name, pin in (item for path in locks for item in read_pins(path).items()):
        marker = Requirement(pin.partition(" \\\n")[0]).marker
        if marker is None or marker.evaluate():
            # A local version, such as 2.13.0+cpu, fulfils the plain one.
            assert Version(installed[name]).public == version(pin), name


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lock_holds_pins_and_hashes_and_no_address(path: Path) -> None:
    assert read_pins(path)
    assert "://" not in path.read_text()
    assert "--index" not in path.read_text()


@pytest.mark.parametrize(
    ("path", "asked"),
    [(RUN_LOCK, RUN + TOOLS), (DEV_LOCK, CHECKS), (PEER_LOCK, PEERS), (REAL_LOCK, REAL)],
)
def test_lock_covers_what_is_asked_for(path: Path, asked: list[str]) -> None:
    assert set(names(asked)) <= set(read_pins(path))


def test_the_project_needs_what_the_lock_fulfils() -> None:
    pins = read_pins(RUN_LOCK)
    asked = map(Requirement, RUN)
    assert [str(one) for one in asked if version(pins[one.name]) not in one.specifier] == []


@pytest.mark.parametrize(("module", "is_there"), [("pygments", True), ("pytest", False)])
def test_an_environment_of_the_lock_of_a_run_has_no_more(
    module: str, is_there: bool, tmp_path: Path
) -> None:
    done = run_command(
        [sys.executable, "-c", f"import {module}"], ROOT, locked_environment(tmp_path)
    )
    assert (done.returncode == 0) == is_there


def test_locks_agree_on_common_packages() -> None:
    found: dict[str, set[str]] = {}
    for path in (RUN_LOCK, DEV_LOCK, PEER_LOCK, REAL_LOCK):
        for name, pin in read_pins(path).items():
            found.setdefault(name, set()).add(version(pin))
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}


@pytest.mark.parametrize("path", [PEER_LOCK, REAL_LOCK], ids=lambda path: path.parent.name)
def test_an_overlay_brings_no_torch_of_its_own(path: Path) -> None:
    pins = read_pins(path)
    assert [name for name in pins if name == "torch" or lock.is_cuda(name)] == []


def test_cuda_is_in_a_lock_of_its_own() -> None:
    assert [name for name in read_pins(RUN_LOCK) if lock.is_cuda(name)] == []
    assert [name for name in read_pins(CUDA_LOCK) if not lock.is_cuda(name)] == []
    assert {"cuda-bindings", "nvidia-cudnn-cu13", "triton"} <= set(read_pins(CUDA_LOCK))
    assert all("sys_platform == 'linux'" in pin for pin in read_pins(CUDA_LOCK).values())


def test_lock_allows_the_cpu_builds_of_torch() -> None:
    torch = read_pins(RUN_LOCK)["torch"]
    rows = [line.split() for line in lock_sums().splitlines()]
    assert rows
    for digest, wheel in rows:
        assert wheel.startswith(f"torch-{version(torch)}+cpu-")
        assert digest in torch


def test_cpu_builds_are_added_once() -> None:
    torch = read_pins(RUN_LOCK)["torch"]
    assert len(re.findall("--hash", torch)) == len(set(re.findall("sha256:[0-9a-f]{64}", torch)))
    assert lock.with_cpu_builds(torch, lock_sums()) == torch
    (digest, *_) = lock_sums().split()
    bare = f"torch=={version(torch)} \\\n    --hash=sha256:{'0' * 64}"
    assert lock.with_cpu_builds(bare, lock_sums()) == f"{bare} \\\n    --hash=sha256:{digest}"


def lock_sums() -> str:
    """The sums of the CPU builds of torch."""
    return (ROOT / lock.CPU_BUILDS).read_text()


def test_a_torch_without_known_cpu_build_is_refused_when_locking() -> None:
    with pytest.raises(ValueError, match=r"no line for torch-9\.9\.9\+cpu"):
        lock.with_cpu_builds("torch==9.9.9", lock_sums())


@pytest.mark.parametrize("text", ["torch>=2.13 --hash=sha256:" + "0" * 64, "torch==2.13.0"])
def test_a_line_that_is_no_hashed_pin_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(text)
    with pytest.raises(ValueError, match="is not a pin"):
        read_pins(tmp_path / "lock.txt")


def packages_of(environment: Path) -> dict[str, str]:
    """The packages of an environment for conda with their versions, apart from Python."""
    lines = yaml.safe_load(environment.read_text())["dependencies"]
    return dict(line.split(" ==") for line in lines if not line.startswith("python "))


def test_conda_environments_hold_the_packages_of_the_lock() -> None:
    pins = read_pins(RUN_LOCK)
    wanted = {CONDA_NAMES.get(name, name): version(pins[name]) for name in names(RUN)}
    found = [packages_of(file) for file in CONDA]
    assert {name: version for one in found for name, version in one.items()} == wanted
    assert [one for one in found if not one.items() <= wanted.items()] == []


def rules() -> list[tuple[str, str]]:
    """The environment for conda and the script of every rule."""
    texts = [file.read_text() for file in (ROOT / "rules").glob("*.smk")]
    files = r'conda:\s+"../envs/(\w+)\.yaml".*?script:\s+"../scripts/(\w+)\.py"'
    found = [pair for text in texts for pair in re.findall(files, text, re.DOTALL)]
    assert len(found) == sum(text.count("conda:") for text in texts)
    return found


def test_every_environment_for_jobs_is_named_by_a_rule() -> None:
    assert {environment for environment, _ in rules()} == {file.stem for file in CONDA}
    scripts = {file.stem for file in (ROOT / "scripts").glob("*.py")}
    assert {script for _, script in rules()} == scripts


@pytest.mark.parametrize("environment", CONDA, ids=lambda file: file.stem)
def test_scripts_import_only_what_their_environment_holds(environment: Path) -> None:
    """Also what functions import, and what experiments declare for the jobs of evaluation."""
    outside = {
        module
        for module, owners in packages_distributions().items()
        for owner in owners
        if owner in names(RUN) and CONDA_NAMES.get(owner, owner) not in packages_of(environment)
    }
    scripts = sorted({script for name, script in rules() if name == environment.stem})
    told = told_by([sys.executable, "-c", IMPORTS, *scripts, "--", *sorted(outside)])
    # A matrix of classes is asked for by jobs that run networks; the check of class vectors is left
    # to such a job where it cannot be made.
    known = {"class_maps imports torch", "class_vectors imports safetensors"}
    assert set(told.splitlines()) <= {f"perturb.models.{import_}" for import_ in known}


def test_no_file_names_a_registry() -> None:
    pattern = re.compile("|".join(re.escape(host) for host in REGISTRIES).encode())
    files = files_of_repository()
    assert "Makefile" in files
    assert [file for file in files if pattern.search((ROOT / file).read_bytes())] == []


# -------------------------------------------------------------------------------- installing them


@pytest.mark.parametrize("is_locked", [True, False])
def test_torch_comes_from_pips_wheel_only_if_its_sum_is_locked(
    is_locked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "torch" / "torch-2.13.0+cpu-py3-none-any.whl"
    wheel.parent.mkdir()
    # In place of `pip download`, which puts one wheel into the folder.
    monkeypatch.setattr("subprocess.run", lambda *_, **__: wheel.write_bytes(b"wheel"))
    digest = hashlib.sha256(b"wheel").hexdigest()
    pin = f"torch==2.13.0 --hash=sha256:{digest if is_locked else '0' * 64}"
    expected = f"torch @ {wheel.as_uri()} --hash=sha256:{digest}" if is_locked else pin
    assert install.torch_requirement(pin, wheel.parent) == expected


@pytest.mark.parametrize(("build", "has_cuda"), [("2.13.0+cpu", False), ("2.13.0", True)])
def test_cuda_is_installed_only_beside_another_torch_than_a_cpu_build(
    build: str, has_cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda command, **_: commands.append(command))
    monkeypatch.setattr("importlib.metadata.version", lambda _: build)
    install.install([RUN_LOCK], tmp_path)
    (sync,) = commands
    assert sync[1:5] == ["-m", "uv", "pip", "sync"]
    assert "--require-hashes" in sync
    assert sync[-1 - has_cuda :] == [str(RUN_LOCK), str(CUDA_LOCK)][: 1 + has_cuda]


def test_pip_takes_over_where_uv_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def run(command: list[str], *, check: bool) -> None:
        assert check
        commands.append(command)
        if command[2] == "uv":
            raise subprocess.CalledProcessError(2, command)

    monkeypatch.setattr("subprocess.run", run)
    install.install([DEV_LOCK], tmp_path)
    uv, pip = commands
    assert (uv[2], pip[2]) == ("uv", "pip")
    assert {"--require-hashes", "--no-deps", f"-r{DEV_LOCK}"} <= set(pip)


def test_an_overlay_imports_what_lies_below_and_holds_nothing(tmp_path: Path) -> None:
    peers = tmp_path / "peers"
    make("overlay", f"OVERLAY={peers}", f"BIN={Path(sys.executable).parent}")
    program = "import pip, sys, torch; print(sys.prefix, torch.__file__, sep='|')"
    answer = told_by([peers / "bin" / "python", "-c", program]).strip()
    assert answer == f"{peers}|{torch.__file__}"
    assert [path.name for path in peers.glob("lib/*/site-packages/*")] == ["below.pth"]
