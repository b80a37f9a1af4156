"""The make targets do what they say, with the CPUs and system packages there are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from envs import system
from tests.workspace import ROOT, make

LOCKS = ["envs/requirements.txt", "envs/requirements-cuda.txt", "envs/requirements-dev.txt"]


def test_help_lists_every_target_that_is_for_people() -> None:
    shown = re.findall(r"^  make (\S+)", make("help"), flags=re.MULTILINE)
    assert {"run", "test", "format", "lock", "clean", "help"} <= set(shown)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["CORES=3"], ["--cores 3"]),
        (["CORES=3", "CONFIG=config/smoke.yaml"], ["--configfile 'config/smoke.yaml'"]),
        ([], ["snakemake --cores"]),
    ],
)
def test_run_starts_the_workflow(arguments: list[str], words: list[str]) -> None:
    printed = make("--dry-run", "run", *arguments)
    assert [word for word in words if word not in printed] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "resume"),
        (["OPTIONS=-n"], "resume -n"),
        (
            ["CORES=3", "CONFIG=config/smoke.yaml"],
            "resume --cores 3 --configfile 'config/smoke.yaml'",
        ),
        (
            ["CONFIG=config/smoke.yaml", "OPTIONS=--profile slurm"],
            "resume --profile slurm --configfile 'config/smoke.yaml'",
        ),
    ],
)
def test_resume_is_given_what_run_is_given(arguments: list[str], words: str) -> None:
    printed = " ".join(make("--dry-run", "resume", *arguments).split())
    assert printed.endswith(f"python -m perturb {words}")


def test_every_check_is_run() -> None:
    printed = make("--dry-run", "test", "CORES=2")
    tools = ["ruff format --check", "ruff check", "mypy", "snakefmt --check", "snakemake --lint"]
    assert [tool for tool in [*tools, "pytest -n"] if tool not in printed] == []


def test_the_stamp_follows_the_content_of_the_locks(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    for name in [*LOCKS, "pyproject.toml"]:
        (tmp_path / name).write_text("as it was")
    stamps = []
    for text in ("as it was", "changed", "as it was"):
        (tmp_path / "envs" / "requirements.txt").write_text(text)
        printed = make(
            "--dry-run", "--directory", str(tmp_path), "--file", str(ROOT / "Makefile"), "env"
        )
        stamps.append(re.findall(r"touch (\S+)", printed)[-1])
    assert stamps[0] == stamps[2] != stamps[1]


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert lines[-1] == "make test"
    readme = (ROOT / "README.md").read_text()
    assert re.search(r"^(\$ )?make run\b", readme, flags=re.MULTILINE)
    assert re.search(r"^(\$ )?make test\b", readme, flags=re.MULTILINE)


# ----------------------------------------------------------------------------- the machine below


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no affinity mask")
def test_a_run_takes_the_cores_that_it_may_use() -> None:
    mask = os.sched_getaffinity(0)
    (first, *_) = mask
    try:
        os.sched_setaffinity(0, {first})
        assert "--cores 1 " in make("--dry-run", "run", f"BIN={Path(sys.executable).parent}")
    finally:
        os.sched_setaffinity(0, mask)


def test_browser_is_found() -> None:
    browser = system.find(*system.BROWSERS)
    assert browser is not None
    assert os.access(browser, os.X_OK)


@pytest.mark.parametrize(
    ("uid", "tools", "sudo_status", "expected"),
    [
        (0, ["apt-get"], 1, ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]),
        (1000, ["apt-get", "sudo"], 0, ["sudo", "--non-interactive", "env"]),
        (1000, ["apt-get", "sudo"], 1, None),
        (1000, ["apt-get"], 0, None),
        (0, [], 0, None),
    ],
)
def test_apt_get_runs_only_where_it_may(
    uid: int,
    tools: list[str],
    sudo_status: int,
    expected: list[str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr("shutil.which", lambda name: name if name in tools else None)
    answer = subprocess.CompletedProcess[bytes]([], sudo_status)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: answer)
    command = system.apt_get()
    assert (command and command[:3]) == expected


def test_missing_package_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(SystemExit, match="sudo apt-get install -y chromium"):
        system.main(["venv", "browser"])


def test_missing_package_is_installed_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there: list[str] = []
    monkeypatch.setitem(system.NEEDS, "browser", (lambda: there[0] if there else None, "chromium"))
    monkeypatch.setattr(system, "apt_get", lambda: ["apt-get"])
    monkeypatch.setattr(system, "install", lambda packages, _: there.extend(packages))
    system.main(["browser"])
    assert there == ["chromium"]
