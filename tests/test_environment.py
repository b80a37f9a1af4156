"""The installed environment, the locks and the conda file agree with one another."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from packaging.requirements import Requirement

from envs import check, install, lock, lockfile, overlay
from tests.workspace import locked_environment

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT / "envs"
LOCKS = [ROOT / path for path in (lock.RUN_LOCK, lock.CUDA_LOCK, lock.DEV_LOCK, lock.PEER_LOCK)]
RUN_LOCK, CUDA_LOCK, DEV_LOCK, PEER_LOCK = LOCKS
CONDA_NAMES = {"torch": "pytorch", "duckdb": "python-duckdb", "snakemake": "snakemake-minimal"}
# Spelt in two pieces, so that this file names none of them.
REGISTRIES = [
    ".".join(host)
    for host in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download.pytorch", "org"),
        ("anaconda", "org"),
        ("anaconda", "com"),
        ("deb.debian", "org"),
        ("archive.ubuntu", "com"),
        ("registry.npmjs", "org"),
    ]
]
CPU_TORCH = ["filelock", "setuptools>=77.0.3", 'optree>=0.13.0; extra == "optree"']
CUDA_TORCH = [
    *CPU_TORCH,
    'cuda-bindings<14,>=13.0.3; platform_system == "Linux"',
    'nvidia-cudnn-cu13==9.20.0.48; platform_system == "Linux"',
    'triton==3.7.1; platform_system == "Linux"',
]


def top_level(source: Path) -> list[str]:
    """The names that a file of requirements asks for."""
    lines = [line.split("#")[0].strip() for line in source.read_text().splitlines()]
    return [Requirement(line).name for line in lines if line]


def files_of_repository() -> list[Path]:
    """Every file that is tracked, or would be by `git add --all`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]


def pin(name: str, version: str, marker: str = "") -> lockfile.Pin:
    """A pin as a lock would hold it."""
    return lockfile.Pin(name, version, marker, ("0" * 64,), f"{name}=={version}")


# ------------------------------------------------------------------------------------- the locks


def test_every_locked_package_is_installed_at_its_version() -> None:
    cuda = [CUDA_LOCK] if check.needs_cuda() else []
    assert check.problems([RUN_LOCK, DEV_LOCK, *cuda]) == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lock_holds_pins_and_hashes_and_no_address(path: Path) -> None:
    assert lockfile.read_pins(path)
    assert "://" not in path.read_text()
    assert "--index" not in path.read_text()


@pytest.mark.parametrize("path", [RUN_LOCK, DEV_LOCK, PEER_LOCK], ids=lambda path: str(path.parent))
def test_lock_covers_what_is_asked_for(path: Path) -> None:
    assert set(top_level(path.with_suffix(".in"))) <= set(lockfile.read_pins(path))


@pytest.mark.parametrize(("module", "is_there"), [("pygments", True), ("pytest", False)])
def test_an_environment_of_the_lock_of_a_run_has_no_more(
    module: str, is_there: bool, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", f"import {module}"]
    done = subprocess.run(command, check=False, env=locked_environment(tmp_path))
    assert (done.returncode == 0) == is_there


def test_locks_agree_on_common_packages() -> None:
    found: dict[str, set[str]] = {}
    for path in (RUN_LOCK, DEV_LOCK, PEER_LOCK):
        for name, one in lockfile.read_pins(path).items():
            found.setdefault(name, set()).add(one.version)
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}


def test_the_peers_bring_no_torch_of_their_own() -> None:
    pins = lockfile.read_pins(PEER_LOCK)
    assert [name for name in pins if name == "torch" or lock.is_cuda(name)] == []


def test_cuda_and_torchvision_are_in_a_lock_of_their_own() -> None:
    assert [name for name in lockfile.read_pins(RUN_LOCK) if lock.is_cuda(name)] == []
    assert [name for name in lockfile.read_pins(CUDA_LOCK) if not lock.is_cuda(name)] == []
    assert "torchvision" in lockfile.read_pins(CUDA_LOCK)


def test_lock_allows_the_cpu_builds_of_torch() -> None:
    torch = lockfile.read_pins(RUN_LOCK)["torch"]
    rows = [line.split() for line in lock_sums().splitlines()]
    assert rows
    for digest, wheel in rows:
        assert wheel.startswith(f"torch-{torch.version}+cpu-")
        assert digest in torch.hashes


def test_cpu_builds_are_added_once() -> None:
    torch = lockfile.read_pins(RUN_LOCK)["torch"]
    assert len(set(torch.hashes)) == len(torch.hashes)
    assert lock.with_cpu_builds(torch, lock_sums()) == torch.text
    (digest, *_) = lock_sums().split()
    text = f"torch=={torch.version} \\\n    --hash=sha256:{'0' * 64}"
    bare = dataclasses.replace(torch, hashes=("0" * 64,), text=text)
    assert lock.with_cpu_builds(bare, lock_sums()) == f"{text} \\\n    --hash=sha256:{digest}"


def lock_sums() -> str:
    """The sums of the CPU builds of torch."""
    return (ROOT / lock.CPU_BUILDS).read_text()


def test_a_torch_without_known_cpu_build_is_refused_when_locking() -> None:
    with pytest.raises(ValueError, match=r"no line for torch-9\.9\.9\+cpu"):
        lock.with_cpu_builds(pin("torch", "9.9.9"), lock_sums())


@pytest.mark.parametrize("text", ["torch>=2.13 --hash=sha256:" + "0" * 64, "torch==2.13.0"])
def test_a_line_that_is_no_hashed_pin_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(text)
    with pytest.raises(ValueError, match="is not a pin"):
        lockfile.read_pins(tmp_path / "lock.txt")


def test_conda_file_carries_the_versions_of_the_lock() -> None:
    pins = lockfile.read_pins(RUN_LOCK)
    wanted = {
        CONDA_NAMES.get(name, name): pins[name].version
        for name in top_level(ENVS / "requirements.in")
    }
    lines = yaml.safe_load((ENVS / "perturb.yaml").read_text())["dependencies"]
    found = dict(line.split(" ==") for line in lines if not line.startswith("python "))
    assert found == wanted


def test_no_file_names_a_registry() -> None:
    pattern = re.compile("|".join(re.escape(host) for host in REGISTRIES).encode())
    files = files_of_repository()
    assert ROOT / "Makefile" in files
    assert [path for path in files if pattern.search(path.read_bytes())] == []


# -------------------------------------------------------------------------------- installing them


@pytest.mark.parametrize(
    ("locked", "installed", "expected"),
    [
        (pin("torch", "2.13.0"), {"torch": "2.13.0"}, None),
        (pin("torch", "2.13.0"), {"torch": "2.13.0+cpu"}, None),
        (pin("torch", "2.13.0"), {"torch": "2.11.0"}, "torch 2.13.0 is locked, and 2.11.0"),
        (pin("numpy", "2.4.6"), {}, "numpy 2.4.6 is locked, and not installed"),
        (pin("colorama", "0.4.6", "sys_platform == 'win32'"), {}, None),
        (pin("triton", "3.7.1", "sys_platform == 'linux'"), {}, "triton 3.7.1 is locked"),
    ],
)
def test_pin_problem(locked: lockfile.Pin, installed: dict[str, str], expected: str | None) -> None:
    problem = check.pin_problem(locked, installed, {"sys_platform": "linux"})
    assert (problem or "").startswith(expected or "")
    assert (problem is None) == (expected is None)


@pytest.mark.parametrize(
    ("requires", "libraries"),
    [
        (CPU_TORCH, []),
        (CUDA_TORCH, ["cuda-bindings", "nvidia-cudnn-cu13", "triton"]),
        (['nvidia-cublas; platform_system == "Windows"'], []),
        (['nvidia-dali; extra == "dali"'], []),
        (["nvidia_cublas"], ["nvidia-cublas"]),
        ([], []),
    ],
)
def test_cuda_libraries(requires: list[str], libraries: list[str]) -> None:
    assert check.cuda_libraries(requires, {"platform_system": "Linux"}) == libraries


def test_cuda_is_wanted_only_where_torch_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "installed_versions", lambda: {"cuda-bindings": "13", "triton": "3"})
    monkeypatch.setattr("importlib.metadata.requires", lambda _: CPU_TORCH)
    assert not check.needs_cuda()
    assert check.missing_cuda() == []
    monkeypatch.setattr("importlib.metadata.requires", lambda _: CUDA_TORCH)
    assert check.needs_cuda()
    assert check.missing_cuda() == ["nvidia-cudnn-cu13"]


@pytest.mark.parametrize("is_locked", [True, False])
def test_torch_comes_from_pips_wheel_only_if_its_sum_is_locked(
    is_locked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "torch-2.13.0+cpu-py3-none-any.whl"
    # In place of `pip download`, which puts one wheel into the folder.
    monkeypatch.setattr("subprocess.run", lambda *_, **__: wheel.write_bytes(b"wheel"))
    digest = hashlib.sha256(b"wheel").hexdigest()
    hashes = ("0" * 64, digest) if is_locked else ("0" * 64,)
    locked = lockfile.Pin("torch", "2.13.0", "", hashes, "torch as locked")
    expected = f"torch @ {wheel.as_uri()} --hash=sha256:{digest}" if is_locked else locked.text
    assert install.torch_requirement(locked, tmp_path) == expected


def test_pip_takes_over_where_uv_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def run(command: list[str], *, check: bool) -> None:
        assert check
        commands.append(command[2])
        if command[2] == "uv":
            raise subprocess.CalledProcessError(2, command)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    install.install(DEV_LOCK)
    assert commands == ["pip", "uv", "pip"]


def test_an_overlay_imports_what_lies_below_and_holds_nothing(tmp_path: Path) -> None:
    overlay.make_overlay(tmp_path)
    python = tmp_path / "bin" / "python"
    program = "import pip, sys, torch; print(sys.prefix, torch.__file__, sep='|')"
    command = [python, "-c", program]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert answer == f"{tmp_path}|{torch.__file__}"
    assert [path.name for path in tmp_path.glob("lib/*/site-packages/*")] == ["below.pth"]
